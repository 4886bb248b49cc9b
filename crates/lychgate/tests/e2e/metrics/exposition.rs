//! Which metrics are served, where, and under which labels.

use super::{hello, replica};
use crate::PROGRAM;
use lychgate_telemetry::metrics::{Metric, Part};
use lychgate_testkit::app::App;
use lychgate_testkit::http::{Call, get};
use lychgate_testkit::metrics::Scrape;
use lychgate_testkit::process::finish;
use lychgate_types::Ambient;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use std::collections::BTreeSet;

fn names(scrape: &Scrape) -> BTreeSet<(String, String)> {
    scrape.families.iter().cloned().collect()
}

fn listed(parts: &[Part]) -> BTreeSet<(String, String)> {
    let of_them = Metric::ALL.iter().filter(|metric| parts.contains(&metric.part()));
    of_them
        .map(|metric| (metric.name().to_owned(), metric.kind().as_str().to_owned()))
        .collect()
}

/// Each role serves exactly the documented metrics, all of them from the start, and only listed label values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_served_metrics_are_exactly_the_listed_ones() {
    let app = App::start(PROGRAM, None).await;
    let replica = replica(&app, "edge-1", &[]).await;
    let (data_plane, control_plane) = (replica.metrics().await, app.metrics().await);
    assert_eq!(names(&data_plane), listed(&[Part::Process, Part::DataPlane]));
    let all = [Part::Process, Part::DataPlane, Part::ControlPlane];
    assert_eq!(names(&control_plane), listed(&all));
    for scrape in [&data_plane, &control_plane] {
        for metric in Metric::ALL {
            let begin = format!("{}{{", metric.name());
            for series in scrape.samples.keys().filter(|series| series.starts_with(&begin)) {
                let labels = series[begin.len()..].trim_end_matches('}').split(',');
                for (pair, label) in labels.zip(metric.labels()) {
                    let (name, value) = pair.split_once('=').unwrap();
                    assert_eq!(name, label.name, "{series}");
                    if let Some(values) = label.values {
                        assert!(values().contains(&value.trim_matches('"')), "{series}");
                    }
                }
            }
        }
        assert!(scrape.number("process_resident_memory_bytes") > 1e6);
        assert!(scrape.number("process_open_fds") > 3.0);
        assert!(scrape.number("process_cpu_seconds_total") > 0.0);
    }
    for process in [&replica.process, &app.server] {
        let base = process.line("metrics on ").await;
        let base = base.trim_end_matches("/metrics");
        for (path, status) in [
            ("/healthz", 200),
            ("/readyz", 200),
            ("/readyz/gateway", 200),
            ("/", 404),
            ("/ai/anthropic/v1/models", 404),
            ("/api/v1/openapi.json", 404),
        ] {
            assert_eq!(get(format!("{base}{path}")).send().await.status, status, "{path}");
        }
        let post = Call::new(http::Method::POST, format!("{base}/metrics"));
        post.send().await.expect(405);
    }
    // The other listeners do not serve them.
    for base in [&replica.url, &app.url] {
        get(format!("{base}/metrics")).send().await.expect(404);
    }
}

/// Clients can't add series, whatever they send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_add_series() {
    let app = App::start(PROGRAM, None).await;
    let replica = replica(&app, "edge-1", &[]).await;
    let series = async || replica.metrics().await.samples.into_keys().collect::<Vec<_>>();
    let before = series().await;
    let ambient = Ambient::system();
    for n in 0..50 {
        let mut ask = hello(n % 2 == 0);
        ask.body["model"] = format!("invented-{n}").into();
        ask.call(&replica.url, &app.token).send().await.expect(200);
        let token = UserTokenSecret::generate(&ambient);
        ask.call(&replica.url, token.expose()).send().await.expect(401);
        ask.call(&replica.url, &format!("lgu_{n}")).send().await.expect(401);
        let path = format!("{}/ai/invented-{n}/v1/messages", replica.url);
        get(path).header("x-api-key", &app.token).send().await.expect(404);
    }
    let after = replica.metrics().await;
    assert_eq!(after.samples.keys().cloned().collect::<Vec<_>>(), before);
    assert!(!after.text.contains("invented"), "{}", after.text);
    for (series, number) in [
        (
            "lychgate_requests_total{provider=\"anthropic\",outcome=\"completed\"}",
            50.0,
        ),
        ("lychgate_requests_refused_total{reason=\"token_unknown\"}", 50.0),
        ("lychgate_requests_refused_total{reason=\"token_malformed\"}", 50.0),
        ("lychgate_requests_refused_total{reason=\"unknown_provider\"}", 50.0),
        ("lychgate_token_lookups_total{result=\"unknown\"}", 50.0),
        ("lychgate_token_leases{kind=\"denied\"}", 50.0),
    ] {
        assert_eq!(after.number(series), number, "{series}");
    }
}

/// Without the option nothing listens, and an address that is taken is reported with the option's name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_served_only_when_configured() {
    let app = App::start(PROGRAM, None).await;
    let replica = app.replica("edge-1").await;
    assert!(
        !replica.process.stdout().contains("metrics"),
        "{}",
        replica.process.stdout()
    );
    let taken = app.url.trim_start_matches("http://");
    let key = app.write("any.key", GatewayKeySecret::generate(&Ambient::system()).expose());
    let mut second = app.command();
    second
        .args(["gateway", "--listen", "127.0.0.1:0", "--control-url", &app.url])
        .arg("--key-file")
        .arg(key)
        .args(["--metrics-listen", taken]);
    let finished = finish(second, "").await;
    assert_eq!(finished.code, 1, "{}", finished.all());
    assert!(
        finished.stderr.contains("--metrics-listen IP:PORT"),
        "{}",
        finished.all()
    );
}
