//! The providers' official SDKs for Python and Node, unmodified except for base URL and key, through a standalone replica. The
//! conversations are in `tests-sdk/`. Each prints which records it must leave, because only the control plane knows how a request
//! ended that its client gave up.

use crate::PROGRAM;
use crate::conversations::{CONVERSATIONS, Conversation, named};
use crate::machine::{Machine, Wanted};
use lychgate_scripted::{Endpoint, Scenario, Script, Step, bytes_of};
use lychgate_testkit::app::App;
use lychgate_testkit::process::finish;
use lychgate_testkit::wait::eventually;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longer than the clients of the conversations wait when they have a short timeout.
const LATE: Duration = Duration::from_secs(3);
/// Longer than the gateway lets a stream be silent.
const SILENCE: Duration = Duration::from_millis(1300);

/// Where `cargo xtask test` has put what the SDKs and clients need.
pub(crate) fn prepared(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable).unwrap_or_else(|| {
        panic!(
            "{variable} is not set, so it is not known what to test with: run `cargo xtask test`, which installs them"
        )
    });
    value.into()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests-sdk")
}

fn python(_app: &App, script: &str) -> Command {
    python_file(&sources().join(script))
}

/// A Python script with the SDKs.
pub(crate) fn python_file(script: &Path) -> Command {
    let mut command = Command::new(prepared("LYCHGATE_TEST_PYTHON"));
    // No modules of this machine, and nothing written next to the sources.
    command.args(["-E", "-s", "-B", "-W", "error::DeprecationWarning"]);
    command.arg(script);
    command
}

fn node(app: &App, script: &str) -> Command {
    node_in(app, &sources().join("node"), script)
}

/// A Node script with the SDKs. Node looks for packages next to the script, so the scripts are copied into the app's directory.
pub(crate) fn node_in(app: &App, scripts: &Path, script: &str) -> Command {
    let directory = app.directory().join("node");
    std::fs::create_dir(&directory).unwrap();
    for entry in std::fs::read_dir(scripts).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, directory.join(path.file_name().unwrap())).unwrap();
    }
    let modules = directory.join("node_modules");
    std::os::unix::fs::symlink(prepared("LYCHGATE_TEST_NODE_MODULES"), modules).unwrap();
    let mut command = Command::new(prepared("LYCHGATE_TEST_NODE"));
    command.arg("--throw-deprecation").arg(directory.join(script));
    command
}

/// The conversation that is in the list under this test's name, with the SDK's maker, by the settings that `lychgate clients` prints.
async fn converse(interpreter: fn(&App, &str) -> Command, script: &str, test: &str) {
    let app = App::start(PROGRAM, None).await;
    converse_in(app, interpreter, script, &CONVERSATIONS[named(test)], None).await;
}

/// The same with a host other than the maker, and the client that the SDK has for it. The provider has the host's name and, at the
/// scripted provider, `base` as its path.
async fn converse_with(interpreter: fn(&App, &str) -> Command, script: &str, test: &str, host: &str, base: &str) {
    let app = App::start(PROGRAM, None).await;
    let conversation = &CONVERSATIONS[named(test)];
    add_provider(&app, host, conversation.provider_type, base, &[]).await;
    converse_in(app, interpreter, script, conversation, Some(host)).await;
}

/// Adds a provider that the scripted one serves.
pub(crate) async fn add_provider(app: &App, name: &str, provider_type: &str, base: &str, settings: &[&str]) {
    add_provider_with("scripted-0123456789abcdef", app, name, provider_type, base, settings).await;
}

/// The same with this key.
pub(crate) async fn add_provider_with(
    key: &str,
    app: &App,
    name: &str,
    provider_type: &str,
    base: &str,
    settings: &[&str],
) {
    let base = format!("http://{}{base}", app.scripted.addr());
    let key = app.write("another-key", key);
    let key = key.to_str().unwrap();
    let mut create = vec![
        "providers",
        "create",
        name,
        "--type",
        provider_type,
        "--base-url",
        &base,
    ];
    create.extend(["--allow-private", "--key-file", key]);
    create.extend(settings.iter().flat_map(|setting| ["--setting", *setting]));
    app.cli_ok(&create).await;
}

async fn converse_in(
    app: App,
    interpreter: fn(&App, &str) -> Command,
    script: &str,
    conversation: &Conversation,
    host: Option<&str>,
) {
    let replica = app.replica("edge-1").await;
    let late = Script {
        delay: LATE,
        ..Script::json(200, "{}".to_owned())
    };
    app.scripted.add_script("late", late);
    app.scripted.add_script("silent-lf", silent_lf());
    app.scripted.add_script("breaks-off", breaks_off());
    let providers = ["anthropic", "openai"].into_iter();
    for provider in providers.chain(host) {
        app.set_policy(provider, &json!({ "relay": { "keep_alive_seconds": 1 } }))
            .await;
    }
    let Conversation {
        client, provider_type, ..
    } = *conversation;
    let wanted = Wanted {
        client,
        gateway: &replica.url,
        provider: host.unwrap_or(client),
        provider_type,
        token: &app.token,
        changes: match host {
            Some("vertex") => &[("my-project", "project-1"), ("my-location", "europe-west1")],
            _ => &[],
        },
    };
    let machine = Machine::new(&app, &wanted).await;
    let mut command = interpreter(&app, script);
    command.args(host);
    let finished = finish(machine.command(&app, &command), "").await;
    assert_eq!(
        finished.code,
        0,
        "{}\n── the replica's log\n{}",
        finished.all(),
        replica.process.stderr()
    );
    let steps = finished.stdout.lines().filter_map(|line| line.strip_prefix("tried "));
    assert_eq!(steps.collect::<Vec<_>>(), conversation.tried);
    let mut count = 0;
    for line in finished.stdout.lines() {
        if let Some((model, outcomes)) = line.strip_prefix("recorded ").and_then(|rest| rest.split_once(' ')) {
            check_record(&app, model, outcomes).await;
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} records were looked for: {}", finished.all());
    assert!(replica.process.is_running());
}

/// The stream that Gemini sends to the hello of its conversations.
fn gemini(scenario: Scenario) -> String {
    let hello = json!({
        "model": "gemini-3-flash", "stream": true, "alt": "sse",
        "contents": [{ "role": "user", "parts": [{ "text": "Hello from the SDK" }] }],
    });
    let events = bytes_of(Endpoint::GenerateContent, scenario, hello.to_string().as_bytes()).unwrap();
    String::from_utf8(events).unwrap()
}

/// An error in mid-stream that comes by itself: the SDK for Node sees no other.
fn breaks_off() -> Script {
    let stream = gemini(Scenario::StreamError);
    let at = stream.rfind("\r\n\r\n").unwrap() + 4;
    let (events, error) = stream.split_at(at);
    let send = |text: &str| Step::Send(text.to_owned().into());
    Script {
        steps: vec![send(events), Step::Pause(SILENCE), send(error)],
        ..Script::events([])
    }
}

/// With silence before it and in it, in lines that end in LF: Google's own end in CRLF.
fn silent_lf() -> Script {
    let events = gemini(Scenario::Text).replace("\r\n", "\n");
    let mut steps: Vec<_> = events
        .split_inclusive("\n\n")
        .map(|event| Step::Send(event.to_owned().into()))
        .collect();
    for at in [steps.len() / 2, 0] {
        steps.insert(at, Step::Pause(SILENCE));
    }
    Script {
        steps,
        ..Script::events([])
    }
}

/// Without the settings that this machine has for the SDKs.
pub(crate) fn isolated<'a>(command: &'a mut Command, app: &App) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", app.directory())
}

/// Waits until the interceptions of that model are on record, and compares how they ended, the oldest first.
async fn check_record(app: &App, model: &str, outcomes: &str) {
    let wanted: Vec<&str> = outcomes.split(' ').collect();
    let found = eventually(&format!("{model}: {outcomes} is on record"), async || {
        let path = format!("ai-gateway/interceptions?model={model}");
        // Until there is one, the filter names nothing.
        let listing = app.api(&path).send().await.value();
        let mut found = listing["interceptions"].as_array().cloned().unwrap_or_default();
        found.reverse();
        (found.len() >= wanted.len()).then_some(found)
    })
    .await;
    let outcomes: Vec<_> = found.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, wanted, "{model}: {found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_anthropic() {
    converse(python, "anthropic_sdk.py", "sdk::python_anthropic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_openai() {
    converse(python, "openai_sdk.py", "sdk::python_openai").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_azure_openai() {
    converse_with(python, "openai_sdk.py", "sdk::python_azure_openai", "azure", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_azure_openai() {
    converse_with(node, "openai.mjs", "sdk::node_azure_openai", "azure", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_openai_at_openrouter() {
    let test = "sdk::python_openai_at_openrouter";
    converse_with(python, "openai_sdk.py", test, "openrouter", "/api/v1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_anthropic_foundry() {
    let test = "sdk::python_anthropic_foundry";
    converse_with(python, "anthropic_sdk.py", test, "foundry", "/anthropic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_genai() {
    converse_with(python, "genai_sdk.py", "sdk::python_genai", "gemini", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_genai() {
    converse_with(node, "genai.mjs", "sdk::node_genai", "gemini", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_anthropic_vertex() {
    let app = App::start(PROGRAM, None).await;
    let conversation = &CONVERSATIONS[named("sdk::python_anthropic_vertex")];
    let settings = ["project=project-1", "location=europe-west1"];
    add_provider(&app, "vertex", conversation.provider_type, "", &settings).await;
    converse_in(app, python, "anthropic_sdk.py", conversation, Some("vertex")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_anthropic() {
    converse(node, "anthropic.mjs", "sdk::node_anthropic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_openai() {
    converse(node, "openai.mjs", "sdk::node_openai").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_bedrock() {
    converse_with(python, "bedrock_sdk.py", "sdk::python_bedrock", "bedrock", "").await;
}
