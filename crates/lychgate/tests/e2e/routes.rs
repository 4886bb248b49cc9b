//! Policies and routes from the command line.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use serde_json::{Value, json};

/// The line of a table that begins with this, its words.
#[track_caller]
fn words<'a>(shown: &'a str, first: &str) -> Vec<&'a str> {
    let mut lines = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .find(|words| words.first() == Some(&first))
        .unwrap_or_else(|| panic!("no line {first} in {shown}"))
}

both_engines! {
    async fn a_policy_is_set_and_shown_setting_by_setting(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let change = ["providers", "update", "openai", "--policy", "retry.max_attempts=5", "--policy", "http2=true"];
        let shown = app.cli_ok(&change).await;
        assert_eq!(words(&shown, "retry.max_attempts"), ["retry.max_attempts", "5"]);
        assert_eq!(words(&shown, "retry.budget_percent"), ["retry.budget_percent", "20"]);
        assert_eq!(words(&shown, "http2"), ["http2", "yes"]);
        assert_eq!(app.cli_ok(&["providers", "show", "openai"]).await, shown);
        let create = ["providers", "create", "eu", "--type", "anthropic", "--key-file", "provider-key", "--policy", "key_cooldown_seconds=1"];
        app.cli_ok(&create).await;
        let eu = app.cli_json(&["providers", "show", "eu"]).await;
        assert_eq!((&eu["policy"]["key_cooldown_seconds"], &eu["policy"]["retry"]["max_attempts"]), (&json!(1), &json!(3)));
        let setting = |setting| ["providers", "update", "eu", "--setting", setting];
        assert!(app.cli_ok(&["providers", "update", "eu", "--setting", "credential=key", "--key-file", "provider-key"]).await.contains("credential=key"));
        assert_eq!(app.cli_json(&["providers", "show", "eu"]).await["settings"], json!({"credential": "key"}));
        for (change, code, part) in [("region=eu", 1, "settings.region"), ("region", 2, "NAME=VALUE"), ("credential=", 1, "provider_keys_needed")] {
            let finished = app.cli(&setting(change)).await;
            assert!(finished.code == code && finished.all().contains(part), "{change}: {}", finished.all());
        }
        for (setting, code, part) in [
            ("retry.max_attempts", 2, "retry.max_attempts=5"),
            ("retry.max_attempts=11", 1, "policy.retry.max_attempts"),
            ("retry.attempts=1", 1, "policy.retry.attempts"),
        ] {
            let finished = app.cli(&["providers", "update", "eu", "--policy", setting]).await;
            assert!(finished.code == code && finished.stderr.contains(part), "{setting}: {}", finished.all());
        }
    }

    async fn the_model_that_a_route_names_is_on_record_beside_the_one_asked_for(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
        let asked = ask.body["model"].as_str().unwrap();
        app.cli_ok(&["routes", "create", "cheap", "--provider", "anthropic", "--model", asked, "--target", "anthropic=claude-haiku-4-5"]).await;
        ask.call(&app.url, &app.token).send().await.expect(200);
        let record = app.newest_interception(1).await;
        assert_eq!((&record["model"], &record["served_model"]), (&json!(asked), &json!("claude-haiku-4-5")));
        let shown = app.cli_ok(&["interceptions", "show", record["id"].as_str().unwrap()]).await;
        assert!(shown.contains("claude-haiku-4-5"), "{shown}");
        app.cli_ok(&["routes", "disable", "cheap"]).await;
        ask.call(&app.url, &app.token).send().await.expect(200);
        assert_eq!(app.newest_interception(2).await["served_model"], Value::Null);
    }

    async fn a_route_from_its_making_to_its_end(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let create = ["routes", "create", "Sonnet", "--provider", "anthropic", "--model", "claude-sonnet-*", "--target", "anthropic:9",
            "--target", "anthropic=claude-sonnet-5", "--fallback", "anthropic=claude-haiku-4-5"];
        let shown = app.cli_ok(&create).await;
        assert_eq!(words(&shown, "targets"), ["targets", "anthropic:9,", "anthropic=claude-sonnet-5"]);
        assert_eq!(app.cli_ok(&["routes", "show", "sonnet"]).await, shown);
        let list = app.cli_ok(&["routes", "list"]).await;
        assert_eq!(words(&list, "sonnet")[..4], ["sonnet", "anthropic", "claude-sonnet-*", "yes"]);
        assert!(words(&list, "sonnet").ends_with(&["anthropic=claude-haiku-4-5"]), "{list}");

        let finished = app.cli(&["providers", "delete", "anthropic", "--yes"]).await;
        assert!(finished.code == 1 && finished.stderr.contains("these routes use the provider: sonnet"), "{}", finished.all());
        let finished = app.cli(&["routes", "update", "sonnet", "--target", "openai"]).await;
        assert!(finished.code == 1 && finished.stderr.contains("targets[0].provider"), "{}", finished.all());
        let create = ["providers", "create", "vertex", "--type", "vertex", "--base-url", "https://europe-west1-aiplatform.googleapis.com",
            "--key-file", "provider-key", "--setting", "project=p", "--setting", "location=europe-west1"];
        app.cli_ok(&create).await;
        let finished = app.cli(&["routes", "update", "sonnet", "--fallback", "vertex"]).await;
        let why = "fallbacks[0].provider: is of the type vertex, which does not take the requests that clients make to the type anthropic";
        assert!(finished.code == 1 && finished.stderr.contains(why), "{}", finished.all());
        let finished = app.cli(&["routes", "update", "sonnet"]).await;
        assert_eq!(finished.code, 2, "{}", finished.all());

        app.cli_ok(&["routes", "disable", "sonnet"]).await;
        let off = app.cli_json(&["routes", "show", "sonnet"]).await;
        assert_eq!(off["enabled"], false);
        app.cli_ok(&["routes", "enable", "sonnet"]).await;
        let update = ["routes", "update", "sonnet", "--provider", "openai", "--model", "gpt-*", "--target", "openai=gpt-5:3", "--no-fallbacks", "-o", "json"];
        let changed: Value = serde_json::from_str(&app.cli_ok(&update).await).unwrap();
        assert_eq!((&changed["enabled"], &changed["fallbacks"]), (&json!(true), &json!([])));
        assert_eq!((&changed["targets"][0]["model"], &changed["targets"][0]["weight"]), (&json!("gpt-5"), &json!(3)));
        app.cli_ok(&["routes", "delete", "sonnet", "--yes"]).await;
        assert_eq!(app.cli_json(&["routes", "list"]).await["routes"], json!([]));
    }
}
