//! The control plane goes down and comes back: known tokens are served, unknown ones are refused at once, no record is lost.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{self, TestEngine};
use lychgate_testkit::network::Weather;
use lychgate_testkit::wait::eventually;
use lychgate_types::Ambient;
use lychgate_types::secret::GatewayKeySecret;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Far below what a wait for the database takes, far above what an answer takes on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How long a call may wait for a database that stops answering meanwhile.
const IN_TIME: Duration = Duration::from_secs(5);

both_engines! {
    async fn a_replica_bridges_the_control_planes_absence(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        let replica = app.replica("edge-1").await;
        let stranger = app.cli_ok(&["tokens", "create", "--user", "alice"]).await.trim().to_owned();
        let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
        ask.call(&replica.url, &app.token).send().await.expect(200);
        app.newest_interception(1).await;

        app.server.kill().await;
        eventually("the replica notices", async || {
            let (status, text) = replica.readiness().await;
            assert_eq!(status, 200, "it serves those whom it knows: {text}");
            text.contains("control plane can't be reached").then_some(())
        })
        .await;
        for _ in 0..3 {
            ask.call(&replica.url, &app.token).send().await.expect(200);
        }
        let refused = ask.call(&replica.url, &stranger).send().await.expect(503);
        assert_ne!(refused.header("retry-after"), "", "{}", refused.text());

        app.start_again().await;
        app.newest_interception(4).await;
        eventually("the replica is ready again", async || (replica.readiness().await.1 == "ready\n").then_some(())).await;
        ask.call(&replica.url, &stranger).send().await.expect(200);
        app.newest_interception(5).await;
    }
}

/// Waits until the snapshot is another than before.
async fn snapshot_after(spool: &Path, before: &[u8]) -> Vec<u8> {
    eventually("the snapshot is written", async || {
        let now = std::fs::read(spool.join("snapshot")).unwrap_or_default();
        (now != before).then_some(now)
    })
    .await
}

async fn says(replica: &Replica, status: u16, part: &str) {
    eventually(&format!("the replica says {status} {part}"), async || {
        let (now, text) = replica.readiness().await;
        (now == status && text.contains(part)).then_some(())
    })
    .await;
}

both_engines! {
    /// Both are killed, and only the replica comes back: it serves those whom it knew, by what it sealed on its disk.
    async fn a_replica_that_starts_without_a_control_plane_serves_known_tokens(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        let (key, spool) = (app.key_file("edge-1").await, app.fresh_spool());
        let stranger = app.cli_ok(&["tokens", "create", "--user", "alice"]).await.trim().to_owned();
        let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
        let replica = app.replica_on(&key, &spool, &[]).await;
        says(&replica, 200, "ready").await;
        let before = snapshot_after(&spool, &[]).await;
        ask.call(&replica.url, &app.token).send().await.expect(200);
        snapshot_after(&spool, &before).await;
        app.newest_interception(1).await;
        app.server.kill().await;
        replica.process.kill().await;

        eventually("it is a second old", async || {
            let written = std::fs::metadata(spool.join("snapshot")).unwrap().modified().unwrap();
            (written.elapsed().unwrap_or_default() > Duration::from_secs(1)).then_some(())
        })
        .await;
        // Not where the operator does not want it, nor with another key, nor when it has been too long.
        let other = app.write("other.key", GatewayKeySecret::generate(&Ambient::system()).expose());
        for (key, more, message) in [
            (&key, &["--offline-start", "false"][..], ""),
            (&other, &[], "another gateway key"),
            (&key, &["--max-offline", "1s"], "too old"),
        ] {
            let replica = app.replica_on(key, &spool, more).await;
            says(&replica, 503, "not attached to the control plane yet").await;
            ask.call(&replica.url, &app.token).send().await.expect(503);
            assert!(replica.process.stderr().contains(message), "{}", replica.process.stderr());
            replica.process.kill().await;
        }
        let replica = app.replica_on(&key, &spool, &[]).await;
        says(&replica, 200, "control plane can't be reached").await;
        for _ in 0..2 {
            ask.call(&replica.url, &app.token).send().await.expect(200);
        }
        let refused = ask.call(&replica.url, &stranger).send().await.expect(503);
        assert_ne!(refused.header("retry-after"), "", "{}", refused.text());

        app.start_again().await;
        app.newest_interception(3).await;
        eventually("the replica is ready again", async || (replica.readiness().await.1 == "ready\n").then_some(())).await;
        ask.call(&replica.url, &stranger).send().await.expect(200);
        app.newest_interception(4).await;

        // A key that is not wanted any more leaves nothing to begin with.
        app.cli_ok(&["keys", "delete", "edge-1", "-y"]).await;
        says(&replica, 503, "deleted").await;
        eventually("the snapshot is deleted", async || (!spool.join("snapshot").exists()).then_some(())).await;
    }
}

/// What was sent to PostgreSQL before it stopped answering is not waited for either.
#[test]
fn a_call_under_way_when_the_database_stops_answering_is_refused_in_time() {
    db::run(TestEngine::Postgres, async |db| {
        let (network, url) = db.behind_a_network().await;
        let app = App::start(PROGRAM, Some(&url)).await;
        // Connections are there and trusted for a moment, so the statement is sent.
        app.api("users").send().await.expect(200);
        network.set(Weather::Held);
        let told = timeout(IN_TIME, app.api("users").send())
            .await
            .expect("an answer in time")
            .expect(503);
        assert_eq!(told.value()["code"], "database_unavailable");
        network.set(Weather::Fair);
        eventually("the API is back", async || {
            (app.api("users").send().await.status == 200).then_some(())
        })
        .await;
    });
}

/// PostgreSQL goes, or stops answering, while its control plane is there: nobody waits for it.
#[test]
fn without_the_database_known_tokens_are_served_and_others_refused_at_once() {
    db::run(TestEngine::Postgres, async |db| {
        let (network, url) = db.behind_a_network().await;
        let app = App::start(PROGRAM, Some(&url)).await;
        let replica = app.replica("edge-1").await;
        let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
        ask.call(&replica.url, &app.token).send().await.expect(200);
        ask.call(&app.url, &app.token).send().await.expect(200);
        let mut asked = 2;
        for (outages, weather) in [(1, Weather::Cut), (2, Weather::Held)] {
            let stranger = app
                .cli_ok(&["tokens", "create", "--user", "alice"])
                .await
                .trim()
                .to_owned();
            network.set(weather);
            eventually("the control plane notices, and says so once", async || {
                let said = app.server.stderr().matches("fail at once until it does").count();
                assert!(said <= outages, "{}", app.server.stderr());
                (said == outages).then_some(())
            })
            .await;
            for part in ["", "/control-plane"] {
                eventually("it is not ready", async || {
                    let (status, text) = app.readiness(part).await;
                    (status == 503 && text.contains("database")).then_some(())
                })
                .await;
            }
            // A load balancer that asks for AI requests keeps it: its gateway serves those whom it knows.
            let (status, text) = app.readiness("/gateway").await;
            assert_eq!(status, 200, "{text}");
            ask.call(&app.url, &app.token).send().await.expect(200);
            asked += 1;
            for _ in 0..5 {
                ask.call(&replica.url, &app.token).send().await.expect(200);
                asked += 1;
                let refused = timeout(AT_ONCE, ask.call(&replica.url, &stranger).send());
                let refused = refused.await.expect("an answer at once").expect(503);
                assert_ne!(refused.header("retry-after"), "", "{}", refused.text());
            }
            let (status, text) = replica.readiness().await;
            assert_eq!(status, 200, "it serves those whom it knows: {text}");
            assert!(text.contains("connected but not answering"), "{text}");
            let answer = timeout(AT_ONCE, app.api("users").send())
                .await
                .expect("an answer at once")
                .expect(503);
            assert_eq!(answer.value()["code"], "database_unavailable");
            assert_ne!(answer.header("retry-after"), "");
            network.set(Weather::Fair);
            eventually("unknown tokens are accepted", async || {
                let answer = ask.call(&replica.url, &stranger).send().await;
                (answer.status == 200).then_some(())
            })
            .await;
            asked += 1;
            // A connection that is still open serves look-ups before the control plane knows that the database responds again.
            eventually("the control plane is ready", async || {
                (app.readiness("").await.0 == 200).then_some(())
            })
            .await;
            app.newest_interception(asked).await;
            says(&replica, 200, "ready\n").await;
        }
    });
}
