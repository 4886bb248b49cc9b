//! What is in flight when a replica ends: killed, its requests are recorded by the next process; told to stop, they may end, and
//! those that don't are recorded all the same; without its key, the list says what it has.

use crate::PROGRAM;
use crate::request::Ask;
use bytes::Bytes;
use lychgate_scripted::{Endpoint, Gate, Scenario, Script, Step};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::both_engines;
use lychgate_testkit::http::{Open, post};
use lychgate_testkit::wait::eventually;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Streams that are in flight at the same time.
const STREAMS: usize = 50;
/// What each has said so far: 400 words of 5 bytes.
const SAID_BYTES: usize = 2_000;

const PROMPT: &str = "Tell me a long story";

/// A stream that says what it has to say, and then nothing until the gate opens.
fn script(gate: &Gate) -> Script {
    let event = |kind: &str, data: Value| {
        let mut data = data;
        data["type"] = kind.into();
        Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
    };
    let text = "word ".repeat(SAID_BYTES / 5);
    let steps = vec![
        Step::Send(event(
            "message_start",
            json!({"message": {"id": "msg", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        )),
        Step::Send(event(
            "content_block_start",
            json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
        )),
        Step::Send(event(
            "content_block_delta",
            json!({"index": 0, "delta": {"type": "text_delta", "text": text}}),
        )),
        Step::Wait(gate.clone()),
        Step::Send(event(
            "message_delta",
            json!({"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 500}}),
        )),
        Step::Send(event("message_stop", json!({}))),
    ];
    Script {
        steps,
        ..Script::events([])
    }
}

async fn stream(app: &App, base: &str) -> Open {
    let body = json!({"model": "claude-long", "max_tokens": 9000, "stream": true, "messages": [{"role": "user", "content": PROMPT}]});
    let call = post(format!("{base}/ai/anthropic{}", Endpoint::Messages.path()))
        .header("x-api-key", &app.token)
        .header("x-scripted", "long")
        .json(&body);
    let mut open = call.open().await;
    assert_eq!(open.status, 200);
    open.at_least(SAID_BYTES).await;
    open
}

async fn outcomes(app: &App, outcome: &str, count: usize) -> Vec<Value> {
    eventually(&format!("there are {count} {outcome}"), async || {
        let listed = app
            .cli_json(&["interceptions", "list", "--outcome", outcome, "--limit", "100"])
            .await;
        let items = listed["interceptions"].as_array().unwrap().clone();
        (items.len() >= count).then_some(items)
    })
    .await
}

fn assert_estimated(record: &Value, outcome: &str) {
    let usage = &record["token_usages"][0];
    let (input, output) = (
        usage["input_tokens"].as_i64().unwrap(),
        usage["output_tokens"].as_i64().unwrap(),
    );
    assert_eq!(
        (&record["outcome"], &usage["estimated"]),
        (&json!(outcome), &json!(true)),
        "{record:#}"
    );
    assert!((1..100).contains(&input) && (400..800).contains(&output), "{record:#}");
    assert_eq!(
        (&record["model"], &record["provider"]),
        (&json!("claude-long"), &json!("anthropic"))
    );
    assert_eq!(
        (&record["user"]["username"], &record["upstream_status"]),
        (&json!("alice"), &json!(200))
    );
    assert_eq!(record["prompts"][0]["prompt"], PROMPT);
}

/// Waits until everything that has passed so far is noted in the spool.
async fn noted(spool: &Path, streams: u64) {
    eventually("what is in flight is noted", async || {
        let file = spool.join("0000000000000000.unfinished").metadata().ok()?;
        let quiet = file.modified().ok()?.elapsed().ok()? > Duration::from_secs(1);
        (quiet && file.len() > streams * 4096).then_some(())
    })
    .await;
}

both_engines! {
    async fn streams_that_a_kill_cuts_are_recorded_by_the_next_process(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        app.scripted.add_script("long", script(&Gate::default()));
        let (key, spool) = (app.key_file("edge-1").await, app.fresh_spool());
        let replica = app.replica_on(&key, &spool, &[]).await;
        eventually("the replica is ready", async || (replica.readiness().await.0 == 200).then_some(())).await;
        let mut open = Vec::new();
        for _ in 0..STREAMS {
            open.push(stream(&app, &replica.url).await);
        }
        noted(&spool, STREAMS as u64).await;
        replica.process.kill().await;
        assert!(app.interceptions().await.is_empty());

        let replica = app.replica_on(&key, &spool, &["--metrics-listen", "127.0.0.1:0"]).await;
        let listed = outcomes(&app, "interrupted", STREAMS).await;
        let ids: BTreeSet<_> = listed.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let asked: BTreeSet<_> = open.iter().map(|open| open.headers["x-lychgate-interception-id"].to_str().unwrap().to_owned()).collect();
        assert_eq!(ids, asked);
        for id in &ids {
            assert_estimated(&app.interception(id).await, "interrupted");
        }
        assert_eq!(replica.metrics().await.number("lychgate_spool_interrupted_total"), STREAMS as f64);
        assert_eq!(replica.process.terminate().await, 0);
        // Booked once, however often a process starts.
        let replica = app.replica_on(&key, &spool, &[]).await;
        eventually("the replica is ready", async || (replica.readiness().await.0 == 200).then_some(())).await;
        assert_eq!(replica.process.terminate().await, 0);
        assert_eq!(app.interceptions().await.len(), STREAMS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_told_to_stop_waits_for_streams_and_records_those_that_it_cuts() {
    let app = App::start(PROGRAM, None).await;
    let gate = Gate::default();
    app.scripted.add_script("long", script(&gate));
    let key = app.key_file("edge-1").await;
    let start = async |more: &[&str]| {
        let replica = app.replica_on(&key, &app.fresh_spool(), more).await;
        eventually("the replica is ready", async || {
            (replica.readiness().await.0 == 200).then_some(())
        })
        .await;
        replica
    };
    let draining = async |replica: &Replica| {
        replica.process.signal(Signal::SIGTERM);
        eventually("it drains", async || (replica.readiness().await.0 == 503).then_some(())).await;
    };

    // At the end of its drain time.
    let replica = start(&["--drain-timeout", "1s"]).await;
    let open = stream(&app, &replica.url).await;
    assert_eq!(replica.process.terminate().await, 0);
    assert!(open.rest().await.broken);
    assert_estimated(
        &app.interception(&id_of(&outcomes(&app, "gateway_stopped", 1).await[0]))
            .await,
        "gateway_stopped",
    );

    // At a second signal; what it could not deliver is delivered by the next process.
    let spool = app.fresh_spool();
    let replica = app.replica_on(&key, &spool, &[]).await;
    eventually("the replica is ready", async || {
        (replica.readiness().await.0 == 200).then_some(())
    })
    .await;
    let open = stream(&app, &replica.url).await;
    draining(&replica).await;
    assert!(replica.process.is_running());
    assert_eq!(replica.process.terminate().await, 143);
    assert!(open.rest().await.broken);
    let next = app.replica_on(&key, &spool, &[]).await;
    outcomes(&app, "gateway_stopped", 2).await;
    assert_eq!(next.process.terminate().await, 0);

    // In time.
    let replica = start(&[]).await;
    let open = stream(&app, &replica.url).await;
    draining(&replica).await;
    gate.open();
    assert!(!open.rest().await.broken);
    assert_eq!(replica.process.exit_code().await, 0);
    assert_eq!(outcomes(&app, "completed", 1).await.len(), 1);
    assert_eq!(app.interceptions().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_flight_when_a_key_was_deleted_is_shown() {
    let app = App::start(PROGRAM, None).await;
    app.scripted.add_script("long", script(&Gate::default()));
    let replica = app.replica("edge-1").await;
    eventually("the replica is ready", async || {
        (replica.readiness().await.0 == 200).then_some(())
    })
    .await;
    let shown = async |state: &str, in_flight: u64| {
        eventually(&format!("{in_flight} in flight, {state}"), async || {
            let shown = app.cli_json(&["replicas", "list"]).await["replicas"][0].clone();
            (shown["state"] == state && shown["in_flight"] == in_flight).then_some(shown)
        })
        .await
    };
    let _one = stream(&app, &replica.url).await;
    let key = shown("attached", 1).await["key"]["id"].as_str().unwrap().to_owned();
    // The next heartbeat would be seconds away.
    let _two = stream(&app, &replica.url).await;
    let deleted = app.cli(&["keys", "delete", "edge-1", "-y"]).await;
    assert_eq!(deleted.code, 0, "{}", deleted.all());
    let told = deleted.stderr.contains("requests in flight") && deleted.stderr.contains(&key);
    assert!(told, "{}", deleted.stderr);
    shown("detached", 2).await;
    let table = app.cli_ok(&["replicas", "list", "--key", &key]).await;
    assert!(table.contains("detached"), "{table}");
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}

both_engines! {
    /// The spool is sealed for a gateway key. Another key opens it if it replaces that one; if not, nothing is lost either.
    async fn a_key_that_replaces_a_deleted_one_opens_its_spool(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        app.scripted.add_script("long", script(&Gate::default()));
        let (old, spool) = (app.key_file("edge-1").await, app.fresh_spool());
        let replica = app.replica_on(&old, &spool, &[]).await;
        eventually("the replica is ready", async || (replica.readiness().await.0 == 200).then_some(())).await;
        let _open = stream(&app, &replica.url).await;
        noted(&spool, 1).await;
        app.server.kill().await;
        Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello").call(&replica.url, &app.token).send().await.expect(200);
        replica.process.kill().await;
        app.start_again().await;
        app.cli_ok(&["keys", "delete", "edge-1", "-y"]).await;

        let metrics = ["--metrics-listen", "127.0.0.1:0"];
        let unrelated = app.replica_on(&app.key_file("edge-2").await, &spool, &metrics).await;
        eventually("both files are set aside", async || {
            (unrelated.metrics().await.number("lychgate_spool_set_aside") == 2.0).then_some(())
        })
        .await;
        assert!(unrelated.process.stderr().contains("docs/operating.md"), "{}", unrelated.process.stderr());
        assert_eq!(unrelated.process.terminate().await, 0);
        assert!(app.interceptions().await.is_empty());

        // As docs/operating.md says.
        let moved = app.fresh_spool();
        for file in std::fs::read_dir(spool.join("set-aside")).unwrap() {
            let file = file.unwrap();
            std::fs::rename(file.path(), moved.join(file.file_name())).unwrap();
        }
        let new = app.directory().join("edge-3.key");
        app.cli_ok(&["keys", "create", "edge-3", "--replaces", "edge-1", "--out", new.to_str().unwrap()]).await;
        let replica = app.replica_on(&new, &moved, &metrics).await;
        outcomes(&app, "interrupted", 1).await;
        outcomes(&app, "completed", 1).await;
        assert_eq!(app.interceptions().await.len(), 2);
        assert_eq!(replica.metrics().await.number("lychgate_spool_set_aside"), 0.0);
    }
}
