//! OpenCode as its users install it, not interactive, with a provider of each wire family: its AI SDK bears what the gateway puts
//! into streams that fall silent, and what it asks for is on record with its session.
//!
//! `tests-sdk/clients` pins the package of the program for this system: the one that is called `opencode-ai` only links to it.

use crate::clients::{run, started};
use crate::machine::Wanted;
use crate::sdk::add_provider;
use lychgate_scripted::Scenario;
use lychgate_testkit::wait::eventually;
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_of_each_family_serves_it() {
    let Some((modules, app, replica)) = started("opencode::a_provider_of_each_family_serves_it").await else {
        return;
    };
    let program = modules.join("opencode-linux-x64/bin/opencode");
    if !program.is_file() {
        return; // Its package is not for this system.
    }
    add_provider(&app, "gemini", "gemini", "", &[]).await;
    let silent = Scenario::Silent.name();
    let families = [
        ("anthropic", "anthropic", "anthropic_messages"),
        ("openai", "openai", "openai_responses"),
        ("google", "gemini", "gemini_generate_content"),
    ];
    // It knows the models of a list that it would fetch, and those of its settings.
    let models = format!("\"models\": {{ \"{silent}\": {{}} }},\n      \"options\": {{");
    let changes = [("\"options\": {", models.as_str())];
    for provider in ["anthropic", "openai", "gemini"] {
        app.set_policy(provider, &json!({ "relay": { "keep_alive_seconds": 1 } }))
            .await;
    }
    for (name, provider, api) in families {
        let wanted = Wanted {
            client: "opencode",
            gateway: &replica.url,
            provider,
            provider_type: provider,
            token: &app.token,
            changes: &changes,
        };
        let mut command = Command::new("env");
        command.args(["OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1"]);
        command.arg(&program).args(["run", "--format", "json"]);
        command.args(["--model", &format!("{name}/{silent}"), "Hello there"]);
        let finished = run(&app, &wanted, &command).await;
        let events: Vec<Value> = finished
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let text = events.iter().find(|event| event["type"] == "text");
        let said = text
            .and_then(|event| event["part"]["text"].as_str())
            .unwrap_or_default();
        assert!(
            finished.code == 0 && said.starts_with("Hello from Lychgate"),
            "{name}: {}",
            finished.all()
        );
        // There may be another one for the session's title.
        let records = eventually("the request is on record", async || {
            let found: Vec<Value> = app.interceptions().await;
            let found: Vec<Value> = found.into_iter().filter(|one| one["api"] == api).collect();
            (!found.is_empty()).then_some(found)
        })
        .await;
        for one in &records {
            let has = ["client", "outcome", "client_session_id"].map(|name| &one[name]);
            assert_eq!(
                has,
                [&json!("OpenCode"), &json!("completed"), &events[0]["sessionID"]],
                "{one:#}"
            );
        }
    }
}
