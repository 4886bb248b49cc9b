//! `lychgate clients`: what it prints without a server, and what it refuses. That the settings work is shown where the clients run.

use crate::PROGRAM;
use lychgate_testkit::app::{App, command};
use lychgate_testkit::process::{Finished, finish};
use serde_json::Value;
use std::path::Path;

const GATEWAY: &str = "https://ai.example.com/lychgate";

async fn run(args: &[&str], environment: &[(&str, &str)]) -> Finished {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(Path::new(PROGRAM), home.path());
    command.arg("clients").args(args).envs(environment.iter().copied());
    finish(command, "").await
}

#[tokio::test]
async fn all_clients_are_listed_and_each_has_settings_for_each_of_its_types() {
    let listed = run(&["-o", "json"], &[]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let clients = listed["clients"].as_array().unwrap();
    assert!(clients.len() >= 16, "{clients:#?}");
    let table = run(&[], &[]).await.stdout;
    for client in clients {
        let name = client["name"].as_str().unwrap();
        assert!(table.lines().any(|line| line.starts_with(name)), "{table}");
        for provider_type in client["provider_types"].as_array().unwrap() {
            let provider_type = provider_type.as_str().unwrap();
            let shown = run(&[name, "--type", provider_type, "--url", GATEWAY], &[]).await;
            assert_eq!(shown.code, 0, "{}", shown.all());
            let base = format!("{GATEWAY}/ai/{provider_type}");
            assert!(shown.stdout.contains(&base), "{}", shown.all());
            assert!(
                shown.stdout.contains("~/.config/lychgate/user-token"),
                "{}",
                shown.all()
            );
        }
    }
}

#[tokio::test]
async fn settings_have_the_names_and_the_file_that_are_given() {
    let args = ["codex", "--type", "azure-openai", "--provider", "Azure-EU"];
    let args = [&args[..], &["--url", GATEWAY, "--token-file", "/run/token"]].concat();
    let shown = run(&args, &[]).await;
    for part in [
        "https://ai.example.com/lychgate/ai/azure-eu/openai/v1\"",
        "cat /run/token",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.all());
    }
    // What is pasted elsewhere is right there too.
    let shown = run(&["codex", "--url", GATEWAY, "--token-file", "./dev/token"], &[]).await;
    assert!(
        shown.stdout.contains("cat /") && shown.stdout.contains("/dev/token\""),
        "{}",
        shown.all()
    );
    // Without a type it is the client's first.
    let shown = run(&["claude-code", "--url", "http://127.0.0.1:4001/"], &[]).await;
    let base = "\"http://127.0.0.1:4001/ai/anthropic\"";
    assert!(shown.stdout.contains(base), "{}", shown.all());
}

#[tokio::test]
async fn the_gateway_is_the_one_that_the_command_line_knows() {
    let shown = run(&["openai"], &[("LYCHGATE_URL", "http://here:1,http://there:2")]).await;
    assert!(
        shown.stdout.contains("=http://here:1/ai/openai/v1\n"),
        "{}",
        shown.all()
    );
    let app = App::start(PROGRAM, None).await;
    let mut login = app.command();
    login.args(["login", &app.url]);
    assert_eq!(finish(login, &app.owner).await.code, 0);
    let mut clients = app.command();
    clients.args(["clients", "openai"]);
    let shown = finish(clients, "").await;
    let line = format!("OPENAI_BASE_URL={}/ai/openai/v1\n", app.url);
    assert!(shown.stdout.contains(&line), "{}", shown.all());
    assert!(!shown.all().contains("lgu_"), "{}", shown.all());
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_what_does() {
    for (args, told) in [
        (&["openai"][..], "no URL of a gateway: add --url"),
        (&["claud-code", "--url", GATEWAY], "did you mean `claude-code`?"),
        (
            &["claude-code", "--type", "gemini", "--url", GATEWAY],
            "Claude Code has no settings for providers of the type gemini, but for anthropic, azure-foundry, bedrock",
        ),
        (&["openai", "--type", "nonsense", "--url", GATEWAY], "--type"),
        (
            &["openai", "--provider", "a b", "--url", GATEWAY],
            "--provider: not a valid name",
        ),
        (&["openai", "--url", "ai.example.com"], "--url: must start with http://"),
        (
            &["openai", "--url", "http://h/$(id)"],
            "--url: this is pasted into shells",
        ),
        (
            &["openai", "--url", GATEWAY, "--token-file", "a b"],
            "--token-file: this is pasted",
        ),
        (&["--url", GATEWAY], "CLIENT"),
    ] {
        let refused = run(args, &[]).await;
        assert_eq!(refused.code, 2, "{args:?}: {}", refused.all());
        assert!(refused.stderr.contains(told), "{args:?}: {}", refused.all());
    }
}
