//! The load: a number of connections, each of which sends its next request when it has read the last answer's end.

use crate::process::cpu;
use crate::target::{Answer, Target};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

/// Load before counting starts: connections are made, pools and caches filled.
const WARM_UP: Duration = Duration::from_millis(500);

/// What one measurement says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// CPU time of what is measured, per request.
    pub(crate) cpu_micros: Option<f64>,
    /// CPU time of the control plane, per request.
    pub(crate) control_cpu_micros: Option<f64>,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) first_byte_p50_micros: f64,
}

/// What the connections share.
#[derive(Default)]
struct Tally {
    counting: Cell<bool>,
    over: Cell<bool>,
    /// Microseconds to the first byte of the body, and to its end.
    times: RefCell<Vec<(u32, u32)>>,
    sent: Cell<u64>,
}

/// Puts the load on a target for a while. Also answers how many requests were sent in all, warm-up included.
pub(crate) async fn measure(
    target: &Target,
    answer: Answer,
    connections: usize,
    time: Duration,
    ticks_per_second: u64,
) -> anyhow::Result<(Measured, u64)> {
    let tally = Rc::new(Tally::default());
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let request = target.request(answer)?;
        tasks.push(local.spawn_local(connection(target.address, request, Rc::clone(&tally))));
    }
    let used = |pid: Option<u32>| pid.map(|pid| cpu(pid, ticks_per_second)).transpose();
    let span = local
        .run_until(async {
            sleep(WARM_UP).await;
            let before = (used(target.measured)?, used(target.control)?);
            tally.counting.set(true);
            let start = Instant::now();
            sleep(time).await;
            tally.counting.set(false);
            let took = start.elapsed();
            let after = (used(target.measured)?, used(target.control)?);
            tally.over.set(true);
            for task in tasks {
                task.await
                    .context("a connection's task broke")?
                    .with_context(|| format!("load on {}", target.kind.name()))?;
            }
            anyhow::Ok((took, before, after))
        })
        .await;
    let (took, before, after) = span?;
    let mut times = tally.times.take();
    if times.is_empty() {
        bail!("no request on {} ended within {} s", target.kind.name(), time.as_secs());
    }
    let requests = times.len();
    let per_request = |before: Option<Duration>, after: Option<Duration>| {
        Some(after?.checked_sub(before?)?.as_secs_f64() * 1e6 / requests as f64)
    };
    times.sort_unstable_by_key(|(first, _)| *first);
    let first_byte_p50_micros = percentile(times.iter().map(|(first, _)| *first), 50);
    times.sort_unstable_by_key(|(_, whole)| *whole);
    let measured = Measured {
        requests: requests as u64,
        requests_per_second: requests as f64 / took.as_secs_f64(),
        cpu_micros: per_request(before.0, after.0),
        control_cpu_micros: per_request(before.1, after.1),
        p50_micros: percentile(times.iter().map(|(_, whole)| *whole), 50),
        p99_micros: percentile(times.iter().map(|(_, whole)| *whole), 99),
        first_byte_p50_micros,
    };
    Ok((measured, tally.sent.get()))
}

async fn connection(
    address: std::net::SocketAddr,
    request: hyper::Request<Full<Bytes>>,
    tally: Rc<Tally>,
) -> anyhow::Result<()> {
    let mut sender = crate::api::connect(address).await?;
    while !tally.over.get() {
        let start = Instant::now();
        let first = exchange(&mut sender, request.clone(), start).await?;
        tally.sent.set(tally.sent.get() + 1);
        if tally.counting.get() {
            tally.times.borrow_mut().push((micros(first), micros(start.elapsed())));
        }
    }
    Ok(())
}

/// Sends one request, reads its answer to the end, answers when the first byte of the body came.
async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: hyper::Request<Full<Bytes>>,
    start: Instant,
) -> anyhow::Result<Duration> {
    sender.ready().await.context("the connection was closed")?;
    let response = sender.send_request(request).await.context("no answer")?;
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        let text = body.collect().await.context("the answer broke off")?.to_bytes();
        bail!(
            "{status}: {}",
            String::from_utf8_lossy(&text).chars().take(300).collect::<String>()
        );
    }
    let mut first = None;
    while let Some(frame) = body.frame().await {
        frame.context("the answer broke off")?;
        first.get_or_insert_with(|| start.elapsed());
    }
    first.context("an answer without a body")
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// Of sorted values, which are not empty.
fn percentile(sorted: impl ExactSizeIterator<Item = u32>, percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let mut sorted = sorted;
    f64::from(sorted.nth(last * percent / 100).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn percentiles_are_values_that_occurred() {
        let of = |percent| super::percentile((1..=100).collect::<Vec<u32>>().into_iter(), percent);
        assert_eq!((of(0), of(50), of(99), of(100)), (1.0, 50.0, 99.0, 100.0));
        assert_eq!(super::percentile([7].into_iter(), 99), 7.0);
    }
}
