//! The access log of a replica, and `lychgate healthcheck`, which a container asks.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::App;
use lychgate_testkit::http::get;
use lychgate_testkit::process::{Finished, finish};
use lychgate_testkit::wait::eventually;
use serde_json::Value;
use std::path::Path;

async fn healthcheck(app: &App, args: &[&str]) -> Finished {
    let mut command = app.command();
    command.arg("healthcheck").args(args);
    finish(command, "").await
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_has_a_line_and_none_holds_a_secret() {
    let app = App::start(PROGRAM, None).await;
    let (key, log) = (app.key_file("edge").await, app.directory().join("access.log"));
    let spool = app.fresh_spool();
    let replica = app
        .replica_on(&key, &spool, &["--access-log", log.to_str().unwrap()])
        .await;
    eventually("it is ready", async || {
        (replica.readiness().await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(healthcheck(&app, &[&replica.url, "--live"]).await.code, 0);

    let ask = Ask::new(Endpoint::Messages, Scenario::Text, true, "a secret question");
    let answer = ask.call(&replica.url, &app.token).send().await.expect(200);
    let id = answer.header("x-lychgate-interception-id").to_owned();
    get(format!("{}/ai/anthropic/v1/messages?key=hidden", replica.url))
        .send()
        .await
        .expect(405);
    get(format!("{}/ai/{}/v1/models", replica.url, app.token)).send().await;
    assert_eq!(replica.process.terminate().await, 0);

    let lines: Vec<Value> = lines(&log)
        .into_iter()
        .filter(|line| line["path"] != "/readyz")
        .collect();
    let of = |field: &str| lines.iter().map(|line| line[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("status"), [200, 200, 405, 404]);
    assert_eq!(of("complete"), [true, true, true, true]);
    assert_eq!(of("interception_id")[1], id.as_str());
    assert_eq!(of("reason")[2], "unknown_path");
    assert_eq!(
        of("path")[..3],
        ["/healthz", "/ai/anthropic/v1/messages", "/ai/anthropic/v1/messages"]
    );
    let told = &lines[1];
    assert!(told["response_bytes"].as_u64().unwrap() > 100, "{told}");
    assert!(told["duration_ms"].as_f64() >= told["headers_ms"].as_f64(), "{told}");
    let text = std::fs::read_to_string(&log).unwrap();
    for secret in ["secret question", "hidden", &app.token] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_needs_no_token_and_tells_by_its_exit_code() {
    let app = App::start(PROGRAM, None).await;
    let ready = healthcheck(&app, &[&app.url]).await;
    assert_eq!((ready.code, ready.stderr.as_str()), (0, ""), "{}", ready.all());
    for part in ["gateway", "control-plane"] {
        assert_eq!(healthcheck(&app, &[&app.url, "--part", part]).await.code, 0, "{part}");
    }
    assert_eq!(healthcheck(&app, &["127.0.0.1:1"]).await.code, 2);
    let gone = healthcheck(&app, &["http://127.0.0.1:1"]).await;
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains("does not answer"), "{}", gone.stderr);
    assert_eq!(app.server.terminate().await, 0);
    assert_eq!(healthcheck(&app, &[&app.url]).await.code, 1);
}
