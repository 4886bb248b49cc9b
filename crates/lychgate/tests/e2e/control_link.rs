//! The control link under load: control planes are killed, keys are rotated, and no request fails.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{self, TestEngine};
use lychgate_testkit::http::post;
use lychgate_testkit::wait::eventually;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;

/// Clients that send requests without a pause.
const CLIENTS: usize = 4;

/// Clients at work; a refused or cut request fails the test.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(replica: &Replica, token: &str) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let ask = Ask::new(Endpoint::Messages, Scenario::Text, true, "Hello");
            let (call, whole) = (ask.call(&replica.url, token), ask.bytes());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = call.clone().send().await.expect(200);
                    assert!(answer.body == whole, "{}", answer.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            stop,
            answered,
            clients,
        }
    }

    /// Waits until so many more were answered.
    async fn goes_on(&self, more: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        eventually("requests go on", async || {
            let failed = self.clients.iter().any(JoinHandle::is_finished);
            (failed || self.answered.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Ends the load: how many requests were answered, all of them well.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        self.answered.load(Ordering::Relaxed)
    }
}

async fn all_on_record(app: &App, count: usize) {
    eventually("all of them are on record", async || {
        let recorded = app.interceptions().await.len();
        assert!(recorded <= count, "{recorded} interceptions of {count} requests");
        (recorded == count).then_some(())
    })
    .await;
}

/// The control plane that a replica is attached to is killed, then the other one; no request fails.
#[test]
fn a_replica_with_two_control_planes_misses_neither() {
    db::run(TestEngine::Postgres, async |db| {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        let (mut other, other_url) = app.another_server("data-2", "127.0.0.1:0").await;
        let first_url = app.url.clone();
        let key = app.key_file("edge-1").await;
        let replica = app.replica_of(&[&first_url, &other_url], &key).await;
        let load = Load::start(&replica, &app.token);
        load.goes_on(50).await;

        for round in 1..=2 {
            let (times, attached_to) = replica.attached();
            assert_eq!(times, round, "{}", replica.process.stderr());
            let (killed, left) = if attached_to == first_url {
                (&app.server, &other_url)
            } else {
                (&other, &first_url)
            };
            killed.kill().await;
            eventually("it attaches to the other one", async || {
                (replica.attached() == (round + 1, left.clone())).then_some(())
            })
            .await;
            load.goes_on(50).await;
            // The one that is left takes the records, and is asked about tokens that nobody knows here yet.
            app.url = left.clone();
            let stranger = app.cli_ok(&["tokens", "create", "--user", "alice"]).await;
            let ask = Ask::new(Endpoint::Responses, Scenario::Text, false, "Hello");
            ask.call(&replica.url, stranger.trim()).send().await.expect(200);

            if attached_to == first_url {
                app.url = first_url.clone();
                app.start_again().await;
            } else {
                other = app
                    .another_server("data-2", other_url.trim_start_matches("http://"))
                    .await
                    .0;
            }
        }
        assert_eq!(replica.readiness().await, (200, "ready\n".to_owned()));
        let answered = load.end().await;
        all_on_record(&app, answered + 2).await;
    });
}

both_engines! {
    /// A new key in the key file: shown before the old one is let go. Then the old one is deleted, and nothing happens.
    async fn a_new_key_in_the_key_file_is_taken_under_load(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let key_file = app.key_file("edge-1").await;
        let replica = app.replica_of(&[&app.url], &key_file).await;
        let load = Load::start(&replica, &app.token);
        load.goes_on(50).await;

        // One that is refused changes nothing.
        let wrong = app.key_file("wrong").await;
        app.cli_ok(&["keys", "delete", "wrong", "-y"]).await;
        std::fs::rename(&wrong, &key_file).unwrap();
        eventually("the wrong one is refused", async || {
            replica.process.stderr().contains("a gateway key is refused; the other").then_some(())
        })
        .await;
        load.goes_on(50).await;

        let second = app.key_file("edge-2").await;
        std::fs::rename(&second, &key_file).unwrap();
        eventually("the new one is in use", async || {
            let shown = app.cli_json(&["keys", "show", "edge-2"]).await;
            (shown["live_replicas"] == 1).then_some(())
        })
        .await;
        eventually("the old one is not", async || {
            let shown = app.cli_json(&["keys", "show", "edge-1"]).await;
            (shown["live_replicas"] == 0).then_some(())
        })
        .await;
        app.cli_ok(&["keys", "delete", "edge-1", "-y"]).await;
        load.goes_on(50).await;
        assert_eq!(replica.readiness().await, (200, "ready\n".to_owned()));
        let answered = load.end().await;
        all_on_record(&app, answered).await;
    }

    /// Three replicas share a key file. The key is rotated, and the file gets the new secret; the old one is ended, and only who
    /// has nothing else notices.
    async fn a_rotated_key_is_taken_by_all_its_replicas_under_load(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let key_file = app.key_file("edge").await;
        let old = app.write("old.key", &std::fs::read_to_string(&key_file).unwrap());
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(app.replica_of(&[&app.url], &key_file).await);
        }
        let forgotten = app.replica_of(&[&app.url], &old).await;
        let loads: Vec<_> = replicas.iter().map(|replica| Load::start(replica, &app.token)).collect();
        let rotate = async |body: Value| {
            let url = format!("{}/api/v1/ai-gateway/keys/edge/rotate", app.url);
            post(url).bearer(&app.owner).json(&body).send().await.expect(200).value()
        };
        let rotated = rotate(json!({ "grace_seconds": 3600 })).await;
        std::fs::rename(app.write("new.key", rotated["key"].as_str().unwrap()), &key_file).unwrap();
        for replica in &replicas {
            eventually("it shows the new secret", async || (replica.attached().0 == 2).then_some(())).await;
        }
        assert_eq!(forgotten.readiness().await, (200, "ready\n".to_owned()));

        rotate(json!({ "grace_seconds": 3600, "force": true })).await;
        eventually("the old secret is refused", async || {
            let (status, why) = forgotten.readiness().await;
            (status == 503 && why.contains("rotated")).then_some(())
        })
        .await;
        let mut answered = 0;
        for (replica, load) in replicas.iter().zip(loads) {
            load.goes_on(20).await;
            assert_eq!(replica.readiness().await, (200, "ready\n".to_owned()));
            answered += load.end().await;
            assert_eq!(replica.attached().0, 2, "{}", replica.process.stderr());
        }
        all_on_record(&app, answered).await;
    }
}
