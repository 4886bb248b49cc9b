//! What operators do with gateway keys while replicas run: rotate, disable, limit, and get warnings of their expiry.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::both_engines;
use lychgate_testkit::http::Answer;
use lychgate_testkit::wait::{eventually, within};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

async fn ask(replica: &Replica, endpoint: Endpoint, token: &str) -> Answer {
    let ask = Ask::new(endpoint, Scenario::Text, false, "Hello");
    ask.call(&replica.url, token).send().await
}

/// Starts a replica with the key in this file; it may be refused.
async fn replica_by(app: &App, key_file: &Path) -> Replica {
    app.replica_on(key_file, &app.fresh_spool(), &[]).await
}

async fn ready(replica: &Replica) {
    let asked = async || (replica.readiness().await.0 == 200).then_some(());
    eventually("the replica is ready", asked).await;
}

async fn serves(replica: &Replica, app: &App) {
    ask(replica, Endpoint::Messages, &app.token).await.expect(200);
}

/// Waits until requests are refused with 503, and returns the reason.
async fn refused(replica: &Replica, app: &App, limit: Duration) -> String {
    let answer = within(limit, "requests get 503", async || {
        let answer = ask(replica, Endpoint::Messages, &app.token).await;
        (answer.status == 503).then_some(answer)
    });
    let message = answer.await.text();
    let (status, why) = replica.readiness().await;
    assert_eq!(status, 503, "{why}");
    assert!(replica.process.is_running());
    format!("{message} {why}")
}

both_engines! {
    async fn both_secrets_of_a_rotated_key_work_until_the_grace_period_ends(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let old = app.replica("edge").await;
        let file = app.directory().join("new.key");
        let out = file.to_str().unwrap();
        let rotated = app.cli(&["keys", "rotate", "edge", "--grace", "8s", "--out", out]).await;
        assert_eq!((rotated.code, &*rotated.stdout), (0, ""), "{}", rotated.all());
        assert!(rotated.stderr.contains("its old secret works until 20"), "{}", rotated.stderr);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = app.cli(&["keys", "rotate", "edge"]).await;
        assert!(again.code == 1 && again.stderr.contains("force"), "{}", again.all());
        let list = app.cli_ok(&["keys", "list"]).await;
        assert!(list.contains("old secret still works"), "{list}");

        let new = replica_by(&app, &file).await;
        ready(&new).await;
        for replica in [&old, &new] {
            serves(replica, &app).await;
        }
        let message = refused(&old, &app, Duration::from_secs(20)).await;
        assert!(message.contains("rotated"), "{message}");
        serves(&new, &app).await;
        let shown = app.cli_json(&["keys", "show", "edge"]).await;
        assert_eq!((&shown["previous_valid_until"], &shown["live_replicas"]), (&serde_json::Value::Null, &1.into()));
        // The replica with the old secret follows its key file, and recovers without a restart.
        std::fs::copy(&file, app.directory().join("edge.key")).unwrap();
        ready(&old).await;
        serves(&old, &app).await;
    }

    /// Rotated into the file that the replicas read: they switch before the old secret stops working, and no request fails.
    async fn a_key_rotated_in_place_costs_no_request(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let file = app.key_file("edge").await;
        let replicas = [replica_by(&app, &file).await, replica_by(&app, &file).await, replica_by(&app, &file).await];
        for replica in &replicas {
            ready(replica).await;
        }
        let before = std::fs::read_to_string(&file).unwrap();
        let out = file.to_str().unwrap();
        let kept = app.cli(&["keys", "rotate", "edge", "--out", out]).await;
        assert!(kept.code == 1 && kept.stderr.contains("exists"), "{}", kept.all());
        let under_load = async {
            let mut served = 0;
            loop {
                for replica in &replicas {
                    serves(replica, &app).await;
                    served += 1;
                }
                let shown = app.api("ai-gateway/keys/edge").send().await.expect(200).value();
                if served > 20 && !shown["rotated_at"].is_null() && shown["previous_valid_until"].is_null() {
                    return served;
                }
            }
        };
        let command = ["keys", "rotate", "edge", "--grace", "8s", "--out", out, "--replace"];
        let rotate = app.cli_ok(&command);
        let (served, _) = tokio::join!(under_load, rotate);
        assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
        for replica in &replicas {
            serves(replica, &app).await;
            assert!(!replica.process.stderr().contains("refuses this replica"), "{}", replica.process.stderr());
        }
        let on_record = async || (app.interceptions().await.len() == served + replicas.len()).then_some(());
        eventually("every request is on record", on_record).await;
    }

    async fn a_disabled_key_stops_its_replicas_within_a_second_and_an_enabled_one_lets_them_back(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let (replica, other) = (app.replica("edge").await, app.replica("other").await);
        serves(&replica, &app).await;
        app.cli_ok(&["keys", "disable", "edge"]).await;
        let message = refused(&replica, &app, AT_ONCE).await;
        assert!(message.contains("disabled"), "{message}");
        serves(&other, &app).await;
        assert!(app.cli_ok(&["keys", "list"]).await.contains("disabled"));
        app.cli_ok(&["keys", "enable", "edge"]).await;
        ready(&replica).await;
        serves(&replica, &app).await;
    }

    async fn a_key_serves_the_providers_that_it_is_bound_to(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let file = app.directory().join("edge.key");
        app.cli_ok(&["keys", "create", "edge", "--provider", "anthropic", "--out", file.to_str().unwrap()]).await;
        let replica = replica_by(&app, &file).await;
        ready(&replica).await;
        serves(&replica, &app).await;
        ask(&replica, Endpoint::ChatCompletions, &app.token).await.expect(404);
        let changed = app.cli_ok(&["keys", "update", "edge", "--provider", "openai"]).await;
        assert!(changed.contains("openai"), "{changed}");
        within(AT_ONCE, "the other provider only", async || {
            let statuses = [Endpoint::Messages, Endpoint::ChatCompletions];
            let [one, two] = statuses.map(|endpoint| ask(&replica, endpoint, &app.token));
            ((one.await.status, two.await.status) == (404, 200)).then_some(())
        })
        .await;
        app.cli_ok(&["keys", "update", "edge", "--all-providers"]).await;
        within(AT_ONCE, "both", async || (ask(&replica, Endpoint::Messages, &app.token).await.status == 200).then_some(())).await;
        let wrong = app.cli(&["keys", "update", "edge", "--provider", "nobody"]).await;
        assert!(wrong.code == 1 && wrong.stderr.contains("no such provider"), "{}", wrong.all());
    }

    async fn a_key_works_from_its_networks_only(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let file = app.directory().join("edge.key");
        app.cli_ok(&["keys", "create", "edge", "--allow-cidr", "192.0.2.0/24", "--out", file.to_str().unwrap()]).await;
        let replica = replica_by(&app, &file).await;
        let reported = eventually("the refusal", async || {
            let (status, why) = replica.readiness().await;
            (status == 503 && why.contains("address")).then_some(why)
        });
        reported.await;
        app.cli_ok(&["keys", "update", "edge", "--allow-cidr", "192.0.2.0/24", "--allow-cidr", "127.0.0.0/8"]).await;
        ready(&replica).await;
        serves(&replica, &app).await;
        app.cli_ok(&["keys", "update", "edge", "--allow-cidr", "192.0.2.0/24"]).await;
        let message = refused(&replica, &app, AT_ONCE).await;
        assert!(message.contains("address"), "{message}");
        let shown = app.cli_ok(&["keys", "show", "edge"]).await;
        assert!(shown.contains("192.0.2.0/24"), "{shown}");
        let unclear = app.cli(&["keys", "update", "edge", "--allow-cidr", "10.0.0.1/8"]).await;
        assert!(unclear.code == 2 && unclear.stderr.contains("10.0.0.0/8"), "{}", unclear.all());
    }

    async fn a_key_that_expires_soon_is_marked_in_the_list_and_logged(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        for (name, time) in [("soon", "60h"), ("later", "20d")] {
            app.cli_ok(&["keys", "create", name, "--expires-in", time]).await;
        }
        let list = app.cli_ok(&["keys", "list"]).await;
        assert_eq!(list.matches("expires soon").count(), 1, "{list}");
        app.restart().await;
        eventually("the warning", async || app.server.stderr().contains("expires in 2 days").then_some(())).await;
        let log = app.server.stderr();
        assert_eq!((log.matches("a gateway key expires").count(), log.contains("soon")), (1, true), "{log}");
        app.cli_ok(&["keys", "update", "soon", "--no-expiry"]).await;
        assert!(!app.cli_ok(&["keys", "list"]).await.contains("expires soon"));
    }
}
