//! What Prometheus is told agrees with what happens: in an outage, after a refusal, by the records' own numbers.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_telemetry::metrics::{Metric, Part};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{self, TestEngine};
use lychgate_testkit::http::{Call, get};
use lychgate_testkit::metrics::Scrape;
use lychgate_testkit::process::finish;
use lychgate_testkit::wait::eventually;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use lychgate_types::{Ambient, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;

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

/// Waits until all these series have these numbers at once, and gives that answer.
async fn told(scrape: impl AsyncFn() -> Scrape, wanted: &[(&str, f64)]) -> Scrape {
    eventually(&format!("the metrics say {wanted:?}"), async || {
        let now = scrape().await;
        let all = wanted.iter().all(|(series, number)| now.number(series) == *number);
        all.then_some(now)
    })
    .await
}

/// The one of these states that it is in.
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

both_engines! {
    /// The numbers are those of the records on the books, before, in and after an outage.
    async fn an_outage_is_told_with_its_reason_and_the_numbers_agree_with_the_records(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        let replica = replica(&app, "edge-1", &[]).await;
        let stranger = app.cli_ok(&["tokens", "create", "--user", "alice"]).await.trim().to_owned();
        hello(false).call(&replica.url, &app.token).send().await.expect(200);
        app.newest_interception(1).await;
        let before = told(async || replica.metrics().await, &[
            ("lychgate_spool_delivered_total", 1.0),
            ("lychgate_spool_records", 0.0),
            ("lychgate_requests_in_flight", 0.0),
        ]).await;
        assert_eq!(state(&before, "lychgate_link_state"), ["attached"]);
        assert!(state(&before, "lychgate_link_trouble").is_empty());
        for (series, number) in [
            ("lychgate_gateway_ready", 1.0),
            ("lychgate_link_offline_seconds", 0.0),
            ("lychgate_link_offline_limit_seconds", 900.0),
            ("lychgate_link_attachments_total", 1.0),
            ("lychgate_link_losses_total", 0.0),
            ("lychgate_token_lookups_total{result=\"allowed\"}", 1.0),
            ("lychgate_token_leases{kind=\"good\"}", 1.0),
            ("lychgate_requests_total{provider=\"anthropic\",outcome=\"completed\"}", 1.0),
            ("lychgate_requests_total{provider=\"openai\",outcome=\"completed\"}", 0.0),
            ("lychgate_spool_oldest_record_timestamp_seconds", 0.0),
        ] {
            assert_eq!(before.number(series), number, "{series}");
        }

        app.server.kill().await;
        let away = told(async || replica.metrics().await, &[("lychgate_link_state{state=\"offline\"}", 1.0)]).await;
        assert_eq!(state(&away, "lychgate_link_trouble"), ["unreachable"]);
        for stream in [false, true, true] {
            hello(stream).call(&replica.url, &app.token).send().await.expect(200);
        }
        Ask::new(Endpoint::Messages, Scenario::Error400, false, "Hello").call(&replica.url, &app.token).send().await.expect(400);
        hello(false).call(&replica.url, &stranger).send().await.expect(503);
        let away = told(async || replica.metrics().await, &[("lychgate_spool_records", 4.0)]).await;
        let failed = eventually("delivery is tried", async || {
            let now = replica.metrics().await;
            (now.number("lychgate_spool_delivery_failures_total") > 0.0).then_some(now)
        }).await;
        let oldest = failed.number("lychgate_spool_oldest_record_timestamp_seconds");
        let started = failed.number("process_start_time_seconds");
        assert!(oldest > started && oldest < started + 300.0, "{oldest} {started}");
        assert!(away.number("lychgate_link_offline_seconds") > 0.0 && away.number("lychgate_spool_bytes") > 0.0);
        assert_eq!(away.number("lychgate_gateway_ready"), 1.0);
        assert_eq!(away.number("lychgate_requests_refused_total{reason=\"control_plane_unreachable\"}"), 1.0);
        assert!(state(&away, "lychgate_spool_no_room").is_empty());

        app.start_again().await;
        app.newest_interception(5).await;
        let after = told(async || replica.metrics().await, &[
            ("lychgate_link_state{state=\"attached\"}", 1.0),
            ("lychgate_spool_records", 0.0),
            ("lychgate_spool_delivered_total", 5.0),
        ]).await;
        assert!(state(&after, "lychgate_link_trouble").is_empty());
        for (series, number) in [
            ("lychgate_link_attachments_total", 2.0),
            ("lychgate_link_losses_total", 1.0),
            ("lychgate_spool_bytes", 0.0),
            ("lychgate_spool_appended_total", 5.0),
            ("lychgate_spool_rejected_total", 0.0),
            ("lychgate_spool_oldest_record_timestamp_seconds", 0.0),
            ("lychgate_requests_total{provider=\"anthropic\",outcome=\"completed\"}", 4.0),
            ("lychgate_requests_total{provider=\"anthropic\",outcome=\"failed\"}", 1.0),
            ("lychgate_request_duration_seconds_count{provider=\"anthropic\"}", 5.0),
            ("lychgate_request_duration_seconds_bucket{provider=\"anthropic\",le=\"+Inf\"}", 5.0),
            ("lychgate_request_first_byte_seconds_count{provider=\"anthropic\"}", 5.0),
            ("lychgate_request_overhead_seconds_count{provider=\"anthropic\"}", 5.0),
        ] {
            assert_eq!(after.number(series), number, "{series}");
        }
        let mut tokens = [0; 4];
        for listed in app.interceptions().await {
            let whole = app.interception(listed["id"].as_str().unwrap()).await;
            for usage in whole["token_usages"].as_array().unwrap() {
                let number = |field: &str| usage[field].as_i64().unwrap();
                tokens[0] += number("input_tokens");
                tokens[1] += number("output_tokens");
                tokens[2] += number("cache_read_input_tokens");
                tokens[3] += number("cache_write_input_tokens") + number("cache_write_1h_input_tokens");
            }
        }
        assert!(tokens[0] > 0 && tokens[1] > 0, "{tokens:?}");
        for (kind, count) in ["input", "output", "cache_read", "cache_write"].into_iter().zip(tokens) {
            let series = format!("lychgate_tokens_total{{provider=\"anthropic\",kind=\"{kind}\"}}");
            assert_eq!(after.number(&series), count as f64, "{series}");
        }
    }
}

both_engines! {
    /// What a control plane tells of its replicas, its keys, its records and its API is what was done to it.
    async fn a_control_plane_tells_of_replicas_keys_and_records(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let replica = replica(&app, "edge-1", &[]).await;
        for (name, time) in [("near", "5d"), ("far", "90d")] {
            app.cli_ok(&["keys", "create", name, "--expires-in", time, "--out", app.directory().join(name).to_str().unwrap()]).await;
        }
        app.cli_ok(&["keys", "disable", "far"]).await;
        for _ in 0..3 {
            hello(false).call(&replica.url, &app.token).send().await.expect(200);
        }
        hello(false).call(&app.url, &app.token).send().await.expect(200);
        app.newest_interception(4).await;
        let expires: Timestamp = app.api("ai-gateway/keys/near").send().await.expect(200).value()["expires_at"].as_str().unwrap().parse().unwrap();

        // The registry and the keys are read from the database every few seconds.
        let scrape = async || app.metrics().await;
        let now = told(scrape, &[
            ("lychgate_database_up", 1.0),
            ("lychgate_attached_replicas{state=\"serving\"}", 1.0),
            ("lychgate_replicas{state=\"attached\"}", 1.0),
            ("lychgate_gateway_keys{state=\"active\"}", 2.0),
            ("lychgate_gateway_keys{state=\"disabled\"}", 1.0),
            ("lychgate_ingest_records_total{result=\"new\"}", 4.0),
            ("lychgate_ingest_records_total{result=\"rejected\"}", 0.0),
            ("lychgate_spool_records", 0.0),
            // Those of the embedded gateway.
            ("lychgate_requests_total{provider=\"anthropic\",outcome=\"completed\"}", 1.0),
            ("lychgate_spool_delivered_total", 1.0),
        ]).await;
        let told_of: Vec<_> = now.samples.iter().filter(|(series, _)| series.starts_with("lychgate_gateway_key_expires")).collect();
        let series = "lychgate_gateway_key_expires_timestamp_seconds{gateway_key=\"near\"}";
        assert_eq!(told_of.len(), 1, "{told_of:?}");
        assert_eq!(now.number(series), expires.as_micros() as f64 / 1e6);
        assert!(now.number("lychgate_ingest_batches_total") >= 1.0);
        assert!(now.number("lychgate_api_requests_total{status=\"2xx\"}") >= 5.0);
        assert!(now.number("lychgate_feed_head") >= now.number("lychgate_feed_position"));

        // Strangers, of both kinds.
        let stranger = UserTokenSecret::generate(&Ambient::system());
        let whoami = get(format!("{}/api/v1/whoami", app.url));
        whoami.clone().send().await.expect(401);
        whoami.bearer(stranger.expose()).send().await.expect(401);
        let key = app.write("stranger.key", GatewayKeySecret::generate(&Ambient::system()).expose());
        let other = app.replica_on(&key, &app.fresh_spool(), &LISTEN).await;
        let refused = told(async || other.metrics().await, &[("lychgate_link_state{state=\"refused\"}", 1.0)]).await;
        assert_eq!(state(&refused, "lychgate_link_trouble"), ["key_unknown"]);
        let token = app.cli_json(&["tokens", "list", "--user", "alice"]).await["tokens"][0]["id"].clone();
        app.cli_ok(&["tokens", "revoke", token.as_str().unwrap(), "-y"]).await;
        hello(false).call(&replica.url, &app.token).send().await.expect(401);
        let now = scrape().await;
        for (series, number) in [
            ("lychgate_api_authentication_failures_total{reason=\"token_missing\"}", 1.0),
            ("lychgate_api_authentication_failures_total{reason=\"token_unknown\"}", 1.0),
            ("lychgate_api_requests_total{status=\"4xx\"}", 2.0),
            ("lychgate_revocations_pushed_total", 1.0),
            ("lychgate_feed_polling", 0.0),
        ] {
            assert_eq!(now.number(series), number, "{series}");
        }
        assert!(now.number("lychgate_gateway_key_refusals_total{reason=\"unknown\"}") >= 1.0);

        // Who is drained says so, who is killed is attached no more.
        let second = app.replica("edge-2").await;
        told(scrape, &[("lychgate_attached_replicas{state=\"serving\"}", 2.0)]).await;
        let id = app.cli_json(&["replicas", "list"]).await["replicas"][0]["id"].clone();
        app.cli_ok(&["replicas", "drain", id.as_str().unwrap(), "-y"]).await;
        told(scrape, &[
            ("lychgate_attached_replicas{state=\"serving\"}", 1.0),
            ("lychgate_attached_replicas{state=\"draining\"}", 1.0),
            ("lychgate_replicas{state=\"draining\"}", 1.0),
        ]).await;
        second.process.kill().await;
        told(scrape, &[
            ("lychgate_attached_replicas{state=\"serving\"}", 0.0),
            ("lychgate_attached_replicas{state=\"draining\"}", 1.0),
            ("lychgate_replicas{state=\"lost\"}", 1.0),
        ]).await;
    }
}

/// While the database is away that is told, and nothing that would have to be read from it; the rest goes on.
#[test]
fn a_database_that_is_away_is_told() {
    db::run(TestEngine::Postgres, async |db| {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let scrape = async || app.metrics().await;
        told(scrape, &[("lychgate_database_up", 1.0), ("lychgate_feed_polling", 0.0)]).await;
        db.let_in(false).await;
        let away = told(scrape, &[("lychgate_database_up", 0.0), ("lychgate_feed_polling", 1.0)]).await;
        for metric in ["lychgate_replicas", "lychgate_gateway_keys", "lychgate_feed_head"] {
            let left_out = away.samples.keys().all(|series| !series.starts_with(metric));
            assert!(left_out, "{}", away.text);
        }
        assert!(away.number("lychgate_feed_listen_losses_total") >= 1.0);
        let base = app.server.line("metrics on ").await;
        let readiness = get(base.replace("/metrics", "/readyz")).send().await.expect(503);
        assert_eq!(readiness.text(), "the database does not answer\n");
        // Whoever needs it is refused, and counted.
        app.api("users").send().await.expect(500);
        hello(false).call(&app.url, &app.token).send().await.expect(503);
        let away = scrape().await;
        for series in [
            "lychgate_api_requests_total{status=\"5xx\"}",
            "lychgate_link_calls_failed_total",
            "lychgate_token_lookups_total{result=\"unanswered\"}",
            "lychgate_requests_refused_total{reason=\"control_plane_unreachable\"}",
        ] {
            assert!(away.number(series) >= 1.0, "{series}");
        }
        db.let_in(true).await;
        told(scrape, &[("lychgate_database_up", 1.0), ("lychgate_feed_polling", 0.0)]).await;
    });
}

/// What is being served is told, also while the process waits for it to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_is_told_to_the_end() {
    let app = App::start(PROGRAM, None).await;
    let replica = replica(&app, "edge-1", &[]).await;
    let models = get(format!("{}/ai/openai/v1/models", replica.url));
    models.bearer(&app.token).send().await.expect(200);
    let mut stream = Ask::new(Endpoint::Messages, Scenario::Idle, true, "Hello")
        .call(&replica.url, &app.token)
        .open()
        .await;
    stream.next().await.unwrap().unwrap();
    let scrape = async || replica.metrics().await;
    let now = told(
        scrape,
        &[
            ("lychgate_requests_in_flight", 1.0),
            ("lychgate_requests_passed_through_total", 1.0),
        ],
    )
    .await;
    let version = now.number("lychgate_configuration_version");
    eventually("the registry has heard of the configuration", async || {
        let replicas = app.cli_json(&["replicas", "list"]).await;
        (replicas["replicas"][0]["configuration_version"].as_f64() == Some(version)).then_some(())
    })
    .await;
    assert_eq!(
        now.number("lychgate_request_first_byte_seconds_count{provider=\"anthropic\"}"),
        1.0
    );
    let started = now.number("process_start_time_seconds");
    eventually("the snapshot is written", async || {
        let written = scrape().await.number("lychgate_snapshot_written_timestamp_seconds");
        (written >= started).then_some(())
    })
    .await;
    let ending = async {
        told(
            scrape,
            &[
                ("lychgate_gateway_draining{by=\"shutdown\"}", 1.0),
                ("lychgate_requests_in_flight", 1.0),
                ("lychgate_gateway_ready", 0.0),
            ],
        )
        .await;
        stream.leave().await;
    };
    let (code, ()) = tokio::join!(replica.process.terminate(), ending);
    assert_eq!(code, 0);
}

/// Retries are counted, and an open circuit breaker shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_and_breakers_are_told() {
    let app = App::start(PROGRAM, None).await;
    let policy = json!({
        "retry": {"max_attempts": 3, "base_delay_ms": 1, "max_delay_ms": 1, "budget_percent": 100},
        "breaker": {"failures": 3, "open_seconds": 300},
    });
    app.set_policy("anthropic", &policy).await;
    let replica = replica(&app, "edge-1", &[]).await;
    let ask = Ask::new(Endpoint::Messages, Scenario::Error529, false, "Hello");
    ask.call(&replica.url, &app.token).send().await.expect(529);
    ask.call(&replica.url, &app.token).send().await.expect(503);
    let interception = app.newest_interception(1).await;
    assert_eq!(interception["attempts"], 3, "{interception:#}");
    told(
        async || replica.metrics().await,
        &[
            ("lychgate_upstream_retries_total{provider=\"anthropic\"}", 2.0),
            ("lychgate_upstream_retries_total{provider=\"openai\"}", 0.0),
            ("lychgate_upstream_breakers{provider=\"anthropic\",state=\"open\"}", 1.0),
            ("lychgate_upstream_breakers{provider=\"openai\",state=\"open\"}", 0.0),
            (
                "lychgate_requests_total{provider=\"anthropic\",outcome=\"failed\"}",
                1.0,
            ),
            ("lychgate_requests_refused_total{reason=\"circuit_open\"}", 1.0),
        ],
    )
    .await;
}

/// Who is not let in says why; who is drained says by whom.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_and_a_drain_are_told_with_their_reasons() {
    let app = App::start(PROGRAM, None).await;
    let replica = replica(&app, "edge-1", &[]).await;
    let scrape = async || replica.metrics().await;
    app.cli_ok(&["keys", "disable", "edge-1"]).await;
    let refused = told(scrape, &[("lychgate_link_state{state=\"refused\"}", 1.0)]).await;
    assert_eq!(state(&refused, "lychgate_link_trouble"), ["key_disabled"]);
    assert_eq!(refused.number("lychgate_gateway_ready"), 0.0);
    assert!(refused.number("lychgate_link_offline_seconds") >= 0.0);
    hello(false).call(&replica.url, &app.token).send().await.expect(503);
    told(
        scrape,
        &[("lychgate_requests_refused_total{reason=\"replica_refused\"}", 1.0)],
    )
    .await;
    app.cli_ok(&["keys", "enable", "edge-1"]).await;
    told(scrape, &[("lychgate_link_state{state=\"attached\"}", 1.0)]).await;

    let id = app.cli_json(&["replicas", "list"]).await["replicas"][0]["id"].clone();
    app.cli_ok(&["replicas", "drain", id.as_str().unwrap(), "-y"]).await;
    let drained = told(scrape, &[("lychgate_gateway_draining{by=\"operator\"}", 1.0)]).await;
    assert_eq!(drained.number("lychgate_gateway_draining{by=\"shutdown\"}"), 0.0);
    assert_eq!(drained.number("lychgate_gateway_ready"), 0.0);
    hello(false).call(&replica.url, &app.token).send().await.expect(503);
    told(scrape, &[("lychgate_requests_refused_total{reason=\"drained\"}", 1.0)]).await;
}

/// Where there is no room for records, that is told, and who was refused for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_is_told() {
    let mut app = App::start(PROGRAM, None).await;
    let replica = replica(&app, "edge-1", &["--spool-max-bytes", "1MiB"]).await;
    hello(false).call(&replica.url, &app.token).send().await.expect(200);
    app.newest_interception(1).await;
    app.server.kill().await;
    let scrape = async || replica.metrics().await;
    told(scrape, &[("lychgate_link_state{state=\"offline\"}", 1.0)]).await;
    let large = Ask::new(Endpoint::Messages, Scenario::Text, false, &"Hello ".repeat(20_000));
    let mut answered = 1;
    while large.call(&replica.url, &app.token).send().await.status == 200 {
        answered += 1;
        assert!(answered < 100, "it is never full");
    }
    let full = scrape().await;
    assert_eq!(state(&full, "lychgate_spool_no_room"), ["full"]);
    assert!(full.number("lychgate_spool_bytes") >= full.number("lychgate_spool_limit_bytes") - 4096.0);
    assert_eq!(
        full.number("lychgate_requests_refused_total{reason=\"spool_full\"}"),
        1.0
    );
    assert_eq!(full.number("lychgate_spool_appended_total"), f64::from(answered));
    app.start_again().await;
    app.newest_interception(answered.try_into().unwrap()).await;
    let drained = told(scrape, &[("lychgate_spool_records", 0.0)]).await;
    assert!(state(&drained, "lychgate_spool_no_room").is_empty());
}

fn names(scrape: &Scrape) -> BTreeSet<(String, String)> {
    scrape.families.iter().cloned().collect()
}

fn listed(parts: &[Part]) -> BTreeSet<(String, String)> {
    let of_them = Metric::ALL.iter().filter(|metric| parts.contains(&metric.part()));
    of_them
        .map(|metric| (metric.name().to_owned(), metric.kind().as_str().to_owned()))
        .collect()
}

/// Each role serves what the documented list says, all of it from the start, with no label that is not in the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_is_what_the_list_says_and_nothing_else() {
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

/// Whatever clients invent, there are no more series afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_can_invent_no_series() {
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

/// Nothing listens unless it is asked for, and an address that can't be had is told with its flag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_served_only_where_they_are_asked_for() {
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
    let told = finish(second, "").await;
    assert_eq!(told.code, 1, "{}", told.all());
    assert!(told.stderr.contains("--metrics-listen IP:PORT"), "{}", told.all());
}
