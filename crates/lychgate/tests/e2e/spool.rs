//! A replica is killed while nobody takes its records: the next process on the same spool delivers each of them, once.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Gate, Scenario, Script, Step};
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use lychgate_testkit::metrics::Scrape;
use lychgate_testkit::process::{Process, finish};
use lychgate_testkit::wait::eventually;
use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Clients that ask without a pause.
const CLIENTS: usize = 8;
/// Answers that are to be complete when the replica is killed.
const ANSWERS: usize = 120;

/// Asks until nobody answers any more, and keeps the ids of the answers that came to their proper end.
async fn load(base: String, token: String, client: usize, ids: Arc<Mutex<Vec<String>>>, count: Arc<AtomicUsize>) {
    let endpoints = [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses];
    for round in client.. {
        let endpoint = endpoints[round % endpoints.len()];
        let ask = Ask::new(endpoint, Scenario::Text, round % 2 == 0, "Hello");
        let Ok(open) = ask.call(&base, &token).try_open().await else {
            return;
        };
        let answer = open.rest().await;
        if answer.status != 200 || answer.broken {
            return;
        }
        ids.lock()
            .unwrap()
            .push(answer.header("x-lychgate-interception-id").to_owned());
        count.fetch_add(1, Ordering::Relaxed);
    }
}

both_engines! {
    /// Every answer that a client saw to its end has exactly one record, though neither the control plane nor the replica
    /// that served it was there to tell of it.
    async fn a_killed_replica_loses_no_record_and_doubles_none(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        let key = app.key_file("edge-1").await;
        let spool = app.fresh_spool();
        let replica = app.replica_on(&key, &spool, &[]).await;
        eventually("the replica is ready", async || (replica.readiness().await.0 == 200).then_some(())).await;
        Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello").call(&replica.url, &app.token).send().await.expect(200);
        app.newest_interception(1).await;
        app.server.kill().await;

        let (ids, count) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| tokio::spawn(load(replica.url.clone(), app.token.clone(), client, Arc::clone(&ids), Arc::clone(&count))))
            .collect();
        eventually("enough is answered", async || (count.load(Ordering::Relaxed) >= ANSWERS).then_some(())).await;
        replica.process.kill().await;
        for client in clients {
            client.await.unwrap();
        }
        let complete = std::mem::take(&mut *ids.lock().unwrap());
        let asked = app.scripted.requests().len();

        app.start_again().await;
        let replica = app.replica_on(&key, &spool, &[]).await;
        let recorded = eventually("all is on record", async || {
            let mut recorded = HashMap::<String, usize>::new();
            for interception in app.interceptions().await {
                *recorded.entry(interception["id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            complete.iter().all(|id| recorded.contains_key(id)).then_some(recorded)
        })
        .await;
        assert!(recorded.values().all(|count| *count == 1), "{recorded:?}");
        // What was cut by the kill may be there as well, but nothing that never was.
        assert!(recorded.len() > complete.len() && recorded.len() <= asked, "{} {} {asked}", recorded.len(), complete.len());
        assert_eq!(replica.process.terminate().await, 0);
    }
}

both_engines! {
    /// A replica whose key is disabled can't deliver. It ends at once, says what it keeps, and delivers once it is accepted again.
    async fn a_replica_that_ends_while_it_is_refused_says_what_it_keeps(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let (key, spool) = (app.key_file("edge-1").await, app.fresh_spool());
        let replica = app.replica_on(&key, &spool, &[]).await;
        eventually("the replica is ready", async || (replica.readiness().await.0 == 200).then_some(())).await;
        let gate = Gate::default();
        let answer = Script::json(200, r#"{"id":"answer-1","usage":{"input_tokens":1,"output_tokens":2}}"#.to_owned());
        let steps = [vec![Step::Wait(gate.clone())], answer.steps.clone()].concat();
        app.scripted.add_script(Scenario::Text.name(), Script { steps, ..answer });
        let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
        let in_flight = ask.call(&replica.url, &app.token).open().await;
        app.cli_ok(&["keys", "disable", "edge-1"]).await;
        eventually("the replica is refused", async || (replica.readiness().await.0 == 503).then_some(())).await;
        gate.open();
        in_flight.rest().await;
        assert_eq!(replica.process.terminate().await, 0);
        let message = replica.process.stderr();
        assert!(message.contains("they are kept in the spool for the next start records=1"), "{message}");

        app.cli_ok(&["keys", "enable", "edge-1"]).await;
        let replica = app.replica_on(&key, &spool, &[]).await;
        app.newest_interception(1).await;
        assert_eq!(replica.process.terminate().await, 0);
        assert!(!replica.process.stderr().contains("kept in the spool for the next start"), "{}", replica.process.stderr());
    }
}

/// One process for each directory; a second one fails and says what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_spool_is_refused() {
    let app = App::start(PROGRAM, None).await;
    let (key, spool) = (app.key_file("edge-1").await, app.fresh_spool());
    let _first = app.replica_on(&key, &spool, &[]).await;
    let mut second = app.command();
    second.args([
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--control-url",
        &app.url,
        "--key-file",
    ]);
    second.arg(key).arg("--spool-dir").arg(&spool);
    let finished = finish(second, "").await;
    assert_eq!(finished.code, 1, "{}", finished.all());
    let directory = format!("another lychgate uses the spool directory {}", spool.display());
    for part in [&directory, "--spool-dir"] {
        assert!(finished.stderr.contains(part), "{}", finished.all());
    }
}

/// Where the file system takes no byte, requests are refused with the reason, and the process lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_refuses_requests_and_ends_nothing() {
    let app = App::start(PROGRAM, None).await;
    let key = app.key_file("edge-1").await;
    let spool = app.fresh_spool();
    let mut shell = Command::new("sh");
    // No file of this process may grow over 512 bytes (some shells: 1,024), which holds the small files and not this record.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"", PROGRAM]);
    shell.args([
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--control-url",
        &app.url,
        "--key-file",
    ]);
    shell
        .arg(key)
        .arg("--spool-dir")
        .arg(&spool)
        .args(["--metrics-listen", "127.0.0.1:0"])
        .env_remove("LYCHGATE_SPOOL_DIR");
    let process = Process::start(&mut shell);
    let url = process.line("listening on ").await;
    let ready = async || lychgate_testkit::http::get(format!("{url}/readyz")).send().await;
    eventually("it is ready", async || (ready().await.status == 200).then_some(())).await;

    let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, &"Hello ".repeat(1000));
    // The first one finds out, and its answer does not pass for a complete one.
    let first = ask.call(&url, &app.token).try_open().await.unwrap().rest().await;
    assert!(first.broken || first.status != 200, "{}", first.text());
    let refused = ask.call(&url, &app.token).send().await.expect(503);
    assert!(refused.text().contains("can't keep records"), "{}", refused.text());
    assert_ne!(refused.header("retry-after"), "");
    let why = ready().await;
    assert!(
        why.status == 503 && why.text().contains("the spool can't be written"),
        "{}",
        why.text()
    );
    let metrics = Scrape::of(&process.line("metrics on ").await).await;
    assert!(metrics.number("lychgate_spool_errors_total") >= 1.0);
    assert_eq!(metrics.number("lychgate_spool_no_room{reason=\"disk\"}"), 1.0);
    assert_eq!(
        metrics.number("lychgate_requests_refused_total{reason=\"spool_failed\"}"),
        1.0
    );
    assert!(
        process.is_running() && !process.stderr().contains("panicked"),
        "{}",
        process.stderr()
    );
    assert_eq!(process.terminate().await, 0);
    assert!(app.interceptions().await.is_empty());
}
