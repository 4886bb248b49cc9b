//! The metrics of a control plane.

use super::{LISTEN, hello, replica, settled, state};
use crate::PROGRAM;
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{self, TestEngine};
use lychgate_testkit::http::get;
use lychgate_testkit::wait::eventually;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use lychgate_types::{Ambient, Timestamp};

both_engines! {
    /// The metrics of a control plane count what was done with its replicas, keys, records and API.
    async fn a_control_plane_counts_replicas_keys_and_records(db: TestDb) {
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
        let now = settled(scrape, &[
            ("lychgate_database_up", 1.0),
            ("lychgate_database_writable", 1.0),
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
        let refused = settled(async || other.metrics().await, &[("lychgate_link_state{state=\"refused\"}", 1.0)]).await;
        assert_eq!(state(&refused, "lychgate_link_trouble"), ["key_unknown"]);
        let token = app.cli_json(&["tokens", "list", "--user", "alice"]).await["tokens"][0]["id"].clone();
        app.cli_ok(&["tokens", "revoke", token.as_str().unwrap(), "-y"]).await;
        eventually("the replica hears of the revocation", async || {
            (hello(false).call(&replica.url, &app.token).send().await.status == 401).then_some(())
        })
        .await;
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
        assert!(now.number("lychgate_gateway_key_refusals_total{reason=\"key_unknown\"}") >= 1.0);

        // A drained replica counts as draining, a killed one as not attached.
        let second = app.replica("edge-2").await;
        settled(scrape, &[("lychgate_attached_replicas{state=\"serving\"}", 2.0)]).await;
        let id = app.cli_json(&["replicas", "list"]).await["replicas"][0]["id"].clone();
        app.cli_ok(&["replicas", "drain", id.as_str().unwrap(), "-y"]).await;
        settled(scrape, &[
            ("lychgate_attached_replicas{state=\"serving\"}", 1.0),
            ("lychgate_attached_replicas{state=\"draining\"}", 1.0),
            ("lychgate_replicas{state=\"draining\"}", 1.0),
        ]).await;
        second.process.kill().await;
        settled(scrape, &[
            ("lychgate_attached_replicas{state=\"serving\"}", 0.0),
            ("lychgate_attached_replicas{state=\"draining\"}", 1.0),
            ("lychgate_replicas{state=\"lost\"}", 1.0),
        ]).await;
    }
}

/// An outage of the database shows; metrics read from it are left out, and the others go on.
#[test]
fn an_outage_of_the_database_shows() {
    db::run(TestEngine::Postgres, async |db| {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let scrape = async || app.metrics().await;
        settled(scrape, &[("lychgate_database_up", 1.0), ("lychgate_feed_polling", 0.0)]).await;
        db.accept_connections(false).await;
        let away = settled(scrape, &[("lychgate_database_up", 0.0), ("lychgate_feed_polling", 1.0)]).await;
        for metric in ["lychgate_replicas", "lychgate_gateway_keys", "lychgate_feed_head"] {
            let left_out = away.samples.keys().all(|series| !series.starts_with(metric));
            assert!(left_out, "{}", away.text);
        }
        assert!(away.number("lychgate_feed_listen_losses_total") >= 1.0);
        let base = app.server.line("metrics on ").await;
        let readiness = get(base.replace("/metrics", "/readyz")).send().await.expect(503);
        assert_eq!(readiness.text(), "not ready: the database does not answer\n");
        // Requests that need it are refused and counted.
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
        db.accept_connections(true).await;
        settled(scrape, &[("lychgate_database_up", 1.0), ("lychgate_feed_polling", 0.0)]).await;
    });
}
