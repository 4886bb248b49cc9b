//! Coding agents as their users install them, unmodified, through a standalone replica, with the settings that `lychgate clients`
//! prints: what they show is what is on record, and a wrong setting is told in a sentence. `tests-sdk/clients` pins their versions.
//!
//! They reach nothing but the gateway: their proxy for all else is a port on which nobody listens.

use crate::PROGRAM;
use crate::conversations::named;
use crate::machine::{Machine, Wanted};
use crate::sdk::{add_provider, prepared};
use lychgate_scripted::Scenario;
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::process::{Finished, finish};
use lychgate_testkit::wait::eventually;
use lychgate_types::Ambient;
use lychgate_types::secret::UserTokenSecret;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;

/// Within this, a client with a wrong setting has ended.
const PATIENCE: Duration = Duration::from_secs(3);
const PROMPT: &str = "What is in the notes of this directory?";

/// The packages; `None`, and said, where `cargo xtask test` could not install them.
#[expect(clippy::print_stderr, reason = "what is skipped has to be seen")]
fn packages() -> Option<PathBuf> {
    let modules = prepared("LYCHGATE_TEST_CLIENTS");
    if modules.as_os_str().is_empty() {
        eprintln!("SKIPPED: the coding agents could not be installed");
        return None;
    }
    Some(modules)
}

/// A client, by the settings that `lychgate clients` prints for it. It has no way out but to the gateway.
pub(crate) async fn run(app: &App, wanted: &Wanted<'_>, program: &Command) -> Finished {
    let machine = Machine::new(app, wanted).await;
    let mut command = machine.command(app, program);
    command
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", "127.0.0.1");
    finish(command, "").await
}

fn to_anthropic<'a>(replica: &'a Replica, token: &'a str, changes: &'a [(&'a str, &'a str)]) -> Wanted<'a> {
    Wanted {
        client: "claude-code",
        gateway: &replica.url,
        provider: "anthropic",
        provider_type: "anthropic",
        token,
        changes,
    }
}

fn to_openai<'a>(replica: &'a Replica, token: &'a str, changes: &'a [(&'a str, &'a str)]) -> Wanted<'a> {
    Wanted {
        client: "codex",
        provider: "openai",
        provider_type: "openai",
        ..to_anthropic(replica, token, changes)
    }
}

/// Claude Code in print mode, with one tool.
async fn claude(modules: &Path, app: &App, wanted: &Wanted<'_>, more: &[&str]) -> Finished {
    // The package for this system; the one that is called `claude-code` only links to it when it is installed with scripts.
    let packages = std::fs::read_dir(modules.join("@anthropic-ai")).unwrap();
    let program = packages
        .map(|entry| entry.unwrap().path().join("claude"))
        .find(|path| path.is_file())
        .unwrap();
    let mut command = Command::new(program);
    command.args(["--print", PROMPT, "--output-format", "json"]);
    command.args(["--tools", "Read", "--allowedTools", "Read", "--max-turns", "4"]);
    command.args(more);
    run(app, wanted, &command).await
}

/// A model that this version does not know is offered few tools, so that the scripted provider calls one.
const MODEL: &str = "gpt-5-codex";

/// Codex, not interactive.
async fn codex(modules: &Path, app: &App, wanted: &Wanted<'_>, model: &str) -> Finished {
    let mut command = Command::new(prepared("LYCHGATE_TEST_NODE"));
    command.arg(modules.join("@openai/codex/bin/codex.js"));
    command.args(["exec", "--json", "--skip-git-repo-check", "--model", model]);
    // What it runs is a command that is not there.
    command.args(["--sandbox", "danger-full-access", PROMPT]);
    run(app, wanted, &command).await
}

/// What a test of the list of conversations begins with.
pub(crate) async fn started(test: &str) -> Option<(PathBuf, App, Replica)> {
    named(test);
    let modules = packages()?;
    let app = App::start(PROGRAM, None).await;
    let replica = app.replica("edge-1").await;
    Some((modules, app, replica))
}

/// The two interceptions of a turn with one tool call, whole, the first first. Each is complete, of this client, and of one thread.
async fn turn(app: &App, client: &str, session: &str) -> [Value; 2] {
    let newest = eventually("both requests are on record", async || {
        let mut found = app.interceptions().await;
        // Claude Code asks Bedrock first, in a word, whether its models are there.
        found.retain(|one| one["streaming"] == true);
        (found.len() >= 2).then_some(found)
    })
    .await;
    let ids: Vec<_> = newest.iter().map(|one| one["id"].as_str().unwrap()).collect();
    let [second, first] = ids[..] else {
        panic!("more than the two requests of the turn are on record: {newest:#?}");
    };
    let (first, second) = (app.interception(first).await, app.interception(second).await);
    for one in [&first, &second] {
        let has = ["client", "outcome", "client_session_id"].map(|name| &one[name]);
        assert_eq!(has, [client, "completed", session], "{one:#}");
    }
    assert_eq!(first["prompts"][0]["prompt"], PROMPT, "{first:#}");
    assert_eq!(first["prompts"].as_array().unwrap().len(), 1, "{first:#}");
    assert_eq!(
        second["prompts"],
        json!([]),
        "a tool's result is not a prompt: {second:#}"
    );
    assert_eq!(second["thread_parent_id"], first["id"], "{second:#}");
    let calls = first["tool_usages"].as_array().unwrap();
    assert_eq!(calls.len(), 1, "{first:#}");
    assert_eq!(
        second["thread_parent_tool_call_id"], calls[0]["tool_call_id"],
        "{second:#}"
    );
    [first, second]
}

/// The sum of one count over all usage rows.
pub(crate) fn sum(interceptions: &[Value], count: &str) -> u64 {
    let rows = interceptions
        .iter()
        .flat_map(|one| one["token_usages"].as_array().unwrap());
    rows.map(|row| row[count].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_claude_code_shows_is_on_record() {
    let Some((modules, app, replica)) = started("clients::what_claude_code_shows_is_on_record").await else {
        return;
    };
    let finished = claude(&modules, &app, &to_anthropic(&replica, &app.token, &[]), &[]).await;
    check_claude(&app, &finished).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_claude_code_shows_in_bedrock_form_is_on_record() {
    let test = "clients::what_claude_code_shows_in_bedrock_form_is_on_record";
    let Some((modules, app, replica)) = started(test).await else {
        return;
    };
    add_provider(&app, "bedrock", "bedrock", "", &[]).await;
    let wanted = Wanted {
        provider: "bedrock",
        provider_type: "bedrock",
        ..to_anthropic(&replica, &app.token, &[])
    };
    let finished = claude(&modules, &app, &wanted, &[]).await;
    let recorded = check_claude(&app, &finished).await;
    assert!(
        recorded.iter().all(|one| one["api"] == "bedrock_invoke"),
        "{recorded:#?}"
    );
}

/// Claude Code has shown what is on record, which this gives.
async fn check_claude(app: &App, finished: &Finished) -> [Value; 2] {
    let shown: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}", finished.all()));
    assert_eq!(
        (finished.code, &shown["is_error"]),
        (0, &json!(false)),
        "{}",
        finished.all()
    );
    assert!(
        shown["result"].as_str().unwrap().starts_with("Hello from Lychgate"),
        "{shown:#}"
    );
    let recorded = turn(app, "Claude Code", shown["session_id"].as_str().unwrap()).await;
    assert_eq!(recorded[0]["tool_usages"][0]["tool"], "Read", "{:#}", recorded[0]);
    for (ours, theirs) in [
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_input_tokens", "cache_read_input_tokens"),
        ("cache_write_input_tokens", "cache_creation_input_tokens"),
    ] {
        assert_eq!(
            shown["usage"][theirs],
            sum(&recorded, ours),
            "{theirs}: {shown:#} {recorded:#?}"
        );
    }
    recorded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_codex_shows_is_on_record() {
    let Some((modules, app, replica)) = started("clients::what_codex_shows_is_on_record").await else {
        return;
    };
    let finished = codex(&modules, &app, &to_openai(&replica, &app.token, &[]), MODEL).await;
    assert_eq!(finished.code, 0, "{}", finished.all());
    let events: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let event = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    let mut said = events.iter().filter_map(|event| event["item"]["text"].as_str());
    assert!(
        said.next_back().unwrap().starts_with("Hello from Lychgate"),
        "{}",
        finished.all()
    );
    let recorded = turn(&app, "Codex", event("thread.started")["thread_id"].as_str().unwrap()).await;
    assert_eq!(
        recorded[0]["tool_usages"][0]["tool"], "exec_command",
        "{:#}",
        recorded[0]
    );
    let usage = &event("turn.completed")["usage"];
    for (ours, theirs) in [("input_tokens", "input_tokens"), ("output_tokens", "output_tokens")] {
        assert_eq!(usage[theirs], sum(&recorded, ours), "{theirs}: {usage} {recorded:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_provider_disturbs_neither() {
    let Some((modules, app, replica)) = started("clients::a_silent_provider_disturbs_neither").await else {
        return;
    };
    for provider in ["anthropic", "openai"] {
        app.set_policy(provider, &json!({ "relay": { "keep_alive_seconds": 1 } }))
            .await;
    }
    let silent = Scenario::Silent.name();
    let finished = claude(
        &modules,
        &app,
        &to_anthropic(&replica, &app.token, &[]),
        &["--model", silent],
    )
    .await;
    assert!(
        finished.code == 0 && finished.stdout.contains("Hello from Lychgate"),
        "{}",
        finished.all()
    );
    let finished = codex(&modules, &app, &to_openai(&replica, &app.token, &[]), silent).await;
    assert!(
        finished.code == 0 && finished.stdout.contains("Hello from Lychgate"),
        "{}",
        finished.all()
    );
    let recorded = eventually("both are on record", async || {
        let found = app.interceptions().await;
        let clients = ["Claude Code", "Codex"].map(|name| found.iter().any(|one| one["client"] == name));
        clients.iter().all(|found| *found).then_some(found)
    })
    .await;
    assert!(
        recorded.iter().all(|one| one["outcome"] == "completed"),
        "{recorded:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_codex_shows_over_a_websocket_is_on_record() {
    let Some((modules, app, replica)) = started("clients::what_codex_shows_over_a_websocket_is_on_record").await else {
        return;
    };
    let websockets = [("wire_api", "supports_websockets = true\nwire_api")];
    let finished = codex(&modules, &app, &to_openai(&replica, &app.token, &websockets), MODEL).await;
    assert_eq!(finished.code, 0, "{}", finished.all());
    let events: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let usage = &events.iter().find(|event| event["type"] == "turn.completed").unwrap()["usage"];
    let recorded = eventually("all responses are on record", async || {
        let mut found = Vec::new();
        for one in app.interceptions().await {
            found.push(app.interception(one["id"].as_str().unwrap()).await);
        }
        (sum(&found, "output_tokens") == usage["output_tokens"].as_u64().unwrap()).then_some(found)
    })
    .await;
    let made: Vec<&Value> = recorded
        .iter()
        .filter(|one| sum(std::slice::from_ref(one), "output_tokens") > 0)
        .collect();
    let [second, first] = made[..] else {
        panic!("not the two responses of the turn: {recorded:#?}");
    };
    for one in &recorded {
        assert_eq!([&one["client"], &one["outcome"]], ["Codex", "completed"], "{one:#}");
        assert_eq!(one["streaming"], true, "{one:#}");
    }
    assert_eq!(second["thread_parent_id"], first["id"], "{second:#}");
    assert_eq!(first["tool_usages"][0]["tool"], "exec_command", "{first:#}");
    // Codex says so if it has to fall back to HTTP.
    assert!(
        !finished.all().contains("HTTPS transport") && !finished.all().contains("econnect"),
        "{}",
        finished.all()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_setting_ends_both_soon_with_what_is_wrong() {
    let Some((modules, app, replica)) = started("clients::a_wrong_setting_ends_both_soon_with_what_is_wrong").await
    else {
        return;
    };
    let stranger = UserTokenSecret::generate(&Ambient::system());
    let told = "this Lychgate token is not known";

    // As a token that the client is told once: one that it fetches, it fetches again for minutes.
    let told_once = format!("\"env\": {{ \"ANTHROPIC_AUTH_TOKEN\": \"{}\",", stranger.expose());
    let fetched = "\"apiKeyHelper\": \"cat ~/.config/lychgate/user-token\",";
    let once = [(fetched, ""), ("\"env\": {", told_once.as_str())];
    let wanted = to_anthropic(&replica, stranger.expose(), &once);
    let (finished, took) = timed(claude(&modules, &app, &wanted, &[])).await;
    assert!(
        finished.code != 0 && finished.stdout.contains(told),
        "{}",
        finished.all()
    );
    assert!(took < PATIENCE, "{took:?}");

    let (finished, took) = timed(codex(
        &modules,
        &app,
        &to_openai(&replica, stranger.expose(), &[]),
        MODEL,
    ))
    .await;
    assert!(
        finished.code != 0 && finished.stdout.contains(told),
        "{}",
        finished.all()
    );
    assert!(took < PATIENCE, "{took:?}");

    // Without the `/v1` that this one needs, and with one that the other adds itself. That one has a sentence of its own for every
    // 404; its page in `docs/clients/` says what to do then.
    let without = [("/ai/openai/v1", "/ai/openai")];
    let (finished, took) = timed(codex(&modules, &app, &to_openai(&replica, &app.token, &without), MODEL)).await;
    let told = "the base URL ends in /ai/<provider>/v1";
    assert!(
        finished.code != 0 && finished.stdout.contains(told),
        "{}",
        finished.all()
    );
    assert!(took < PATIENCE, "{took:?}");

    let with = [("/ai/anthropic", "/ai/anthropic/v1")];
    let (finished, took) = timed(claude(&modules, &app, &to_anthropic(&replica, &app.token, &with), &[])).await;
    let told = "issue with the selected model";
    assert!(
        finished.code != 0 && finished.stdout.contains(told),
        "{}",
        finished.all()
    );
    assert!(took < PATIENCE, "{took:?}");

    assert_eq!(app.interceptions().await, Vec::<Value>::new());
}

async fn timed(run: impl Future<Output = Finished>) -> (Finished, Duration) {
    let began = Instant::now();
    let finished = run.await;
    (finished, began.elapsed())
}
