//! What Prometheus is served agrees with what happens: during an outage, after a refusal, and with the stored records.

mod control_plane;
mod data_plane;
mod exposition;

use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::metrics::Scrape;
use lychgate_testkit::wait::eventually;

const LISTEN: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// A replica that serves metrics and is ready.
async fn replica(app: &App, name: &str, more: &[&str]) -> Replica {
    let key = app.key_file(name).await;
    let replica = app
        .replica_on(&key, &app.fresh_spool(), &[&LISTEN, more].concat())
        .await;
    eventually("the replica is ready", async || {
        (replica.readiness().await.0 == 200).then_some(())
    })
    .await;
    replica
}

/// Waits until all these series have these values in one scrape, and returns it.
async fn settled(scrape: impl AsyncFn() -> Scrape, wanted: &[(&str, f64)]) -> Scrape {
    eventually(&format!("the metrics say {wanted:?}"), async || {
        let now = scrape().await;
        let all = wanted.iter().all(|(series, number)| now.number(series) == *number);
        all.then_some(now)
    })
    .await
}

/// The states of this metric whose value is 1.
fn state(scrape: &Scrape, metric: &str) -> Vec<String> {
    let begin = format!("{metric}{{");
    let of = scrape.samples.iter().filter(|(series, _)| series.starts_with(&begin));
    of.filter(|(_, number)| **number == 1.0)
        .filter_map(|(series, _)| Some(series.split('"').nth(1)?.to_owned()))
        .collect()
}

fn hello(stream: bool) -> Ask {
    Ask::new(Endpoint::Messages, Scenario::Text, stream, "Hello")
}
