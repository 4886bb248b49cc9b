//! Gemini CLI as its users install it, in print mode: what it shows is what is on record, its calls without ids are one thread, and
//! a wrong token is told in a sentence.

use crate::clients::{run, started, sum};
use crate::machine::Wanted;
use crate::sdk::{add_provider, prepared};
use lychgate_scripted::Scenario;
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::process::Finished;
use lychgate_testkit::wait::eventually;
use lychgate_types::Ambient;
use lychgate_types::secret::UserTokenSecret;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROMPT: &str = "What is in the notes of this directory?";
/// Without it, it asks another model first which one to ask.
const MODEL: &str = "gemini-3-flash";

/// With a provider for it.
async fn prepare(test: &str) -> Option<(PathBuf, App, Replica)> {
    let (modules, app, replica) = started(test).await?;
    add_provider(&app, "gemini", "gemini", "", &[]).await;
    app.set_policy("gemini", &json!({ "relay": { "keep_alive_seconds": 1 } }))
        .await;
    Some((modules, app, replica))
}

/// A run in print mode, with the settings that `lychgate clients` prints and these variables beside them.
async fn gemini(modules: &Path, app: &App, replica: &Replica, token: &str, model: &str, more: &[&str]) -> Finished {
    let wanted = Wanted {
        client: "gemini-cli",
        gateway: &replica.url,
        provider: "gemini",
        provider_type: "gemini",
        token,
        changes: &[],
    };
    let mut command = Command::new("env");
    command.args(more).arg(prepared("LYCHGATE_TEST_NODE"));
    command.arg(modules.join("@google/gemini-cli/bundle/gemini.js"));
    command.args([
        "--prompt",
        PROMPT,
        "--output-format",
        "json",
        "--skip-trust",
        "--model",
        model,
    ]);
    run(app, &wanted, &command).await
}

/// The records, the oldest first, once there are so many.
async fn recorded(app: &App, count: usize) -> Vec<Value> {
    let newest = eventually("the requests are on record", async || {
        let found = app.interceptions().await;
        (found.len() >= count).then_some(found)
    })
    .await;
    let mut all = Vec::new();
    for one in newest.iter().rev() {
        all.push(app.interception(one["id"].as_str().unwrap()).await);
    }
    assert_eq!(all.len(), count, "{all:#?}");
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gemini_cli_shows_is_on_record() {
    let Some((modules, app, replica)) = prepare("gemini_cli::what_gemini_cli_shows_is_on_record").await else {
        return;
    };
    let finished = gemini(&modules, &app, &replica, &app.token, MODEL, &[]).await;
    let shown: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}", finished.all()));
    assert!(
        shown["response"].as_str().unwrap().starts_with("Hello from Lychgate"),
        "{shown:#}"
    );
    let all = recorded(&app, 2).await;
    for one in &all {
        let has = ["client", "outcome", "streaming"].map(|name| &one[name]);
        assert_eq!(
            has,
            [&json!("Gemini CLI"), &json!("completed"), &json!(true)],
            "{one:#}"
        );
    }
    let [first, second] = &all[..] else { unreachable!() };
    assert_eq!(first["prompts"][0]["prompt"], PROMPT, "{first:#}");
    assert_eq!(
        second["prompts"],
        json!([]),
        "a tool's result is not a prompt: {second:#}"
    );
    assert_eq!(second["thread_parent_id"], first["id"], "{first:#} {second:#}");
    let models = shown["stats"]["models"].as_object().unwrap();
    let [tokens] = models.values().map(|model| &model["tokens"]).collect::<Vec<_>>()[..] else {
        panic!("{shown:#}");
    };
    assert_eq!(tokens["prompt"], sum(&all, "input_tokens"), "{tokens} {all:#?}");
    let output = tokens["candidates"].as_u64().unwrap() + tokens["thoughts"].as_u64().unwrap();
    assert_eq!(output, sum(&all, "output_tokens"), "{tokens} {all:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_provider_does_not_disturb_it_and_a_bearer_token_is_taken() {
    let Some((modules, app, replica)) =
        prepare("gemini_cli::a_silent_provider_does_not_disturb_it_and_a_bearer_token_is_taken").await
    else {
        return;
    };
    let bearer = ["GEMINI_API_KEY_AUTH_MECHANISM=bearer"];
    let finished = gemini(&modules, &app, &replica, &app.token, Scenario::Silent.name(), &bearer).await;
    assert!(
        finished.code == 0 && finished.stdout.contains("Hello from Lychgate"),
        "{}",
        finished.all()
    );
    let [one] = &recorded(&app, 1).await[..] else {
        unreachable!()
    };
    assert_eq!(one["outcome"], "completed", "{one:#}");
    let seen = app.scripted.requests();
    let sent = |name| seen.iter().filter_map(|request| request.headers.get(name)).count();
    assert_eq!((sent("x-goog-api-key"), sent("authorization")), (seen.len(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_told() {
    let Some((modules, app, replica)) = prepare("gemini_cli::a_wrong_token_is_told").await else {
        return;
    };
    let stranger = UserTokenSecret::generate(&Ambient::system());
    let finished = gemini(&modules, &app, &replica, stranger.expose(), MODEL, &[]).await;
    assert!(
        finished.code != 0 && finished.all().contains("this Lychgate token is not known"),
        "{}",
        finished.all()
    );
    assert_eq!(app.interceptions().await, Vec::<Value>::new());
}
