//! The metrics of a replica.

use super::{hello, replica, settled, state};
use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use lychgate_testkit::http::get;
use lychgate_testkit::wait::eventually;
use serde_json::json;

both_engines! {
    /// The numbers agree with the stored records before, during and after an outage.
    async fn an_outage_shows_its_reason_and_the_numbers_agree_with_the_records(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        let replica = replica(&app, "edge-1", &[]).await;
        let stranger = app.cli_ok(&["tokens", "create", "--user", "alice"]).await.trim().to_owned();
        hello(false).call(&replica.url, &app.token).send().await.expect(200);
        app.newest_interception(1).await;
        let before = settled(async || replica.metrics().await, &[
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
        let away = settled(async || replica.metrics().await, &[("lychgate_link_state{state=\"offline\"}", 1.0)]).await;
        assert_eq!(state(&away, "lychgate_link_trouble"), ["unreachable"]);
        for stream in [false, true, true] {
            hello(stream).call(&replica.url, &app.token).send().await.expect(200);
        }
        Ask::new(Endpoint::Messages, Scenario::Error400, false, "Hello").call(&replica.url, &app.token).send().await.expect(400);
        hello(false).call(&replica.url, &stranger).send().await.expect(503);
        let away = settled(async || replica.metrics().await, &[("lychgate_spool_records", 4.0)]).await;
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
        let after = settled(async || replica.metrics().await, &[
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

/// Requests in flight are counted, also while a stopping process waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_counted_until_they_end() {
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
    let now = settled(
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
        settled(
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
async fn retries_are_counted_and_an_open_breaker_shows() {
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
    settled(
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

/// A refused replica shows the reason; a drained one shows who asked for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_and_a_drain_show_their_reasons() {
    let app = App::start(PROGRAM, None).await;
    let replica = replica(&app, "edge-1", &[]).await;
    let scrape = async || replica.metrics().await;
    app.cli_ok(&["keys", "disable", "edge-1"]).await;
    let refused = settled(scrape, &[("lychgate_link_state{state=\"refused\"}", 1.0)]).await;
    assert_eq!(state(&refused, "lychgate_link_trouble"), ["key_disabled"]);
    assert_eq!(refused.number("lychgate_gateway_ready"), 0.0);
    assert!(refused.number("lychgate_link_offline_seconds") >= 0.0);
    hello(false).call(&replica.url, &app.token).send().await.expect(503);
    settled(
        scrape,
        &[("lychgate_requests_refused_total{reason=\"replica_refused\"}", 1.0)],
    )
    .await;
    app.cli_ok(&["keys", "enable", "edge-1"]).await;
    settled(scrape, &[("lychgate_link_state{state=\"attached\"}", 1.0)]).await;

    let id = app.cli_json(&["replicas", "list"]).await["replicas"][0]["id"].clone();
    app.cli_ok(&["replicas", "drain", id.as_str().unwrap(), "-y"]).await;
    let drained = settled(scrape, &[("lychgate_gateway_draining{by=\"operator\"}", 1.0)]).await;
    assert_eq!(drained.number("lychgate_gateway_draining{by=\"shutdown\"}"), 0.0);
    assert_eq!(drained.number("lychgate_gateway_ready"), 0.0);
    hello(false).call(&replica.url, &app.token).send().await.expect(503);
    settled(scrape, &[("lychgate_requests_refused_total{reason=\"drained\"}", 1.0)]).await;
}

/// A full spool shows, and so do the requests refused because of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_shows() {
    let mut app = App::start(PROGRAM, None).await;
    app.cli_ok(&["users", "create", "bob"]).await;
    let other = app
        .cli_ok(&["tokens", "create", "--user", "bob"])
        .await
        .trim()
        .to_owned();
    let replica = replica(&app, "edge-1", &["--spool-max-bytes", "1MiB"]).await;
    hello(false).call(&replica.url, &app.token).send().await.expect(200);
    hello(false).call(&replica.url, &other).send().await.expect(200);
    app.newest_interception(2).await;
    app.server.kill().await;
    let scrape = async || replica.metrics().await;
    settled(scrape, &[("lychgate_link_state{state=\"offline\"}", 1.0)]).await;
    // Each user gets half of the spool; the text is one that does not become small.
    let text: String = (0_u32..20_000)
        .map(|at| format!("{:x}", at.wrapping_mul(2_654_435_761)))
        .collect();
    let large = Ask::new(Endpoint::Messages, Scenario::Text, false, &text);
    let mut answered = 2;
    for token in [&app.token, &other] {
        while large.call(&replica.url, token).send().await.status == 200 {
            answered += 1;
            assert!(answered < 100, "it is never full");
        }
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
    let drained = settled(scrape, &[("lychgate_spool_records", 0.0)]).await;
    assert!(state(&drained, "lychgate_spool_no_room").is_empty());
}
