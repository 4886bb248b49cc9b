//! What operators see of replicas and do with them, and what several control planes make of one change.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{self, TestEngine};
use lychgate_testkit::http::{self, Answer};
use lychgate_testkit::process::Process;
use lychgate_testkit::wait::{eventually, within};
use serde_json::Value;
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

async fn ask(replica: &Replica, token: &str) -> Answer {
    let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
    ask.call(&replica.url, token).send().await
}

/// The one replica that came in by this key, as the command line lists it, as soon as it is in this state.
async fn until(app: &App, key: &str, state: &str) -> Value {
    eventually(&format!("the replica of {key} is {state}"), async || {
        let list = app.cli_json(&["replicas", "list", "--key", key]).await;
        let replica = list["replicas"][0].clone();
        (replica["state"] == state).then_some(replica)
    })
    .await
}

both_engines! {
    async fn the_list_shows_attached_detached_and_lost_replicas(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let (orderly, killed, drained) = (app.replica("orderly").await, app.replica("killed").await, app.replica("drained").await);
        for key in ["orderly", "killed", "drained"] {
            until(&app, key, "attached").await;
        }
        let table = app.cli_ok(&["replicas", "list"]).await;
        assert_eq!(table.matches(" attached ").count(), 3, "{table}");

        assert_eq!(orderly.process.terminate().await, 0, "{}", orderly.process.stderr());
        killed.process.kill().await;
        until(&app, "orderly", "detached").await;
        until(&app, "killed", "lost").await;
        let keys = app.cli_json(&["keys", "list"]).await;
        let live: u64 = keys["keys"].as_array().unwrap().iter().map(|key| key["live_replicas"].as_u64().unwrap()).sum();
        assert_eq!(live, 1);

        let id = until(&app, "drained", "attached").await["id"].as_str().unwrap().to_owned();
        app.cli_ok(&["replicas", "drain", &id, "-y"]).await;
        within(AT_ONCE, "requests are refused", async || (ask(&drained, &app.token).await.status == 503).then_some(())).await;
        let (status, why) = drained.readiness().await;
        assert!(status == 503 && why.contains("drained"), "{status} {why}");
        let shown = app.cli_ok(&["replicas", "show", &id]).await;
        assert!(shown.contains("draining"), "{shown}");
        assert_eq!(drained.process.terminate().await, 0, "{}", drained.process.stderr());
        until(&app, "drained", "detached").await;
        let nobody = app.cli(&["replicas", "show", "0192d3c4-5b6a-7c8d-9e0f-112233445566"]).await;
        assert_ne!(nobody.code, 0, "{}", nobody.all());
    }
}

#[test]
fn a_revocation_by_one_control_plane_is_in_force_at_the_replicas_of_another() {
    db::run(TestEngine::Postgres, async |db| {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let (other, url) = app.another_server("other", "127.0.0.1:0").await;
        let key = app.key_file("edge").await;
        let (here, there) = (
            app.replica_of(&[&app.url], &key).await,
            app.replica_of(&[&url], &key).await,
        );
        for round in 0..5 {
            let name = format!("user-{round}");
            app.cli_ok(&["users", "create", &name]).await;
            let token = app
                .cli_ok(&["tokens", "create", "--user", &name])
                .await
                .trim()
                .to_owned();
            for replica in [&here, &there] {
                ask(replica, &token).await.expect(200);
            }
            app.cli_ok(&["users", "suspend", &name]).await;
            for replica in [&here, &there] {
                within(AT_ONCE, "the token is refused", async || {
                    (ask(replica, &token).await.status == 401).then_some(())
                })
                .await;
            }
        }
        // Both control planes list both.
        for base in [&app.url, &url] {
            let list = http::get(format!("{base}/api/v1/ai-gateway/replicas?state=attached")).bearer(&app.owner);
            assert_eq!(
                list.send().await.expect(200).value()["replicas"]
                    .as_array()
                    .unwrap()
                    .len(),
                2
            );
        }
        // The control plane of one is killed: the other one lists the replica as lost once its heartbeats are missing.
        other.kill().await;
        ask(&there, &app.token).await;
        let attached = async || {
            let list = app.cli_json(&["replicas", "list", "--state", "lost"]).await;
            (list["replicas"].as_array().unwrap().len() == 1).then_some(())
        };
        within(
            Duration::from_secs(60),
            "the replica that lost its control plane is lost",
            attached,
        )
        .await;
    });
}

/// The clock of the replica is 45 seconds ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_in_the_list_and_in_the_log() {
    let faketime = std::env::var_os("LYCHGATE_TEST_FAKETIME").expect("`cargo xtask test` names libfaketime");
    let app = App::start(PROGRAM, None).await;
    let key = app.key_file("edge").await;
    let mut command = app.command();
    command
        .args(["gateway", "--listen", "127.0.0.1:0", "--control-url", &app.url])
        .arg("--key-file")
        .arg(&key)
        .arg("--spool-dir")
        .arg(app.fresh_spool())
        .env("LD_PRELOAD", faketime)
        .env("FAKETIME", "+45s")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DISABLE_SHM", "1");
    let process = Process::start(&mut command);
    let url = process.line("listening on ").await;
    let replica = Replica { process, url };
    let listed = eventually("the clock is off", async || {
        let list = app.cli(&["replicas", "list", "--wide"]).await;
        list.stderr.contains("clocks").then_some(list)
    })
    .await;
    let ahead = |text: &str| {
        ["44 s ahead", "45 s ahead", "43 s ahead", "42 s ahead"]
            .iter()
            .any(|it| text.contains(it))
    };
    assert!(ahead(&listed.stdout) && ahead(&listed.stderr), "{}", listed.all());
    assert!(
        app.server.stderr().contains("the clock of a replica"),
        "{}",
        app.server.stderr()
    );
    // What it records has both times.
    ask(&replica, &app.token).await.expect(200);
    let id = app.newest_interception(1).await["id"].as_str().unwrap().to_owned();
    let record = app.interception(&id).await;
    let time = |field: &str| {
        record[field]
            .as_str()
            .unwrap()
            .parse::<lychgate_types::Timestamp>()
            .unwrap()
    };
    let ahead_us = time("ended_at").as_micros() - time("received_at").as_micros();
    assert!((30_000_000..46_000_000).contains(&ahead_us), "{record:#}");
}
