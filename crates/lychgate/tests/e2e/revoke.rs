//! What is taken away is gone at once: gateway keys, tokens, users, providers.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario, ScriptedProvider};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::both_engines;
use lychgate_testkit::http::Answer;
use lychgate_testkit::wait::{eventually, within};
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

async fn ask(base: &str, token: &str) -> Answer {
    Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello")
        .call(base, token)
        .send()
        .await
}

/// Waits until requests get this status, for at most a second.
async fn soon(base: &str, token: &str, status: u16) -> Answer {
    within(AT_ONCE, &format!("requests get {status}"), async || {
        let answer = ask(base, token).await;
        (answer.status == status).then_some(answer)
    })
    .await
}

/// A stream that takes two seconds.
async fn long_stream(replica: &Replica, token: &str) -> lychgate_testkit::http::Open {
    let call = Ask::new(Endpoint::Messages, Scenario::Text, true, "Hello").call(&replica.url, token);
    let mut open = call
        .header("x-scripted-events", "40")
        .header("x-scripted-interval-ms", "50")
        .open()
        .await;
    assert_eq!(open.status, 200);
    assert!(open.next().await.unwrap().is_some());
    open
}

both_engines! {
    /// Deleting a gateway key closes its links; its replicas take no new request, say why, and end well what they began.
    async fn a_deleted_key_shuts_its_replicas_out(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let (first, second) = (app.replica("edge-1").await, app.replica("edge-2").await);
        ask(&first.url, &app.token).await.expect(200);
        let in_flight = long_stream(&first, &app.token).await;

        app.cli_ok(&["keys", "delete", "edge-1", "-y"]).await;
        let refused = soon(&first.url, &app.token, 503).await;
        assert!(refused.text().contains("deleted"), "{}", refused.text());
        assert_eq!(refused.value()["type"], "error", "in the provider's shape: {}", refused.text());
        let (status, why) = first.readiness().await;
        assert!(status == 503 && why.contains("deleted"), "{status} {why}");

        let ended = in_flight.rest().await;
        assert!(!ended.broken && ended.text().ends_with("{\"type\":\"message_stop\"}\n\n"), "{}", ended.text());
        assert_eq!(ended.text().matches("content_block_delta").count() / 2, 40);
        assert!(first.process.is_running(), "{}", first.process.stderr());
        ask(&second.url, &app.token).await.expect(200);
        ask(&app.url, &app.token).await.expect(200);

        let gone = app.cli(&["keys", "show", "edge-1"]).await;
        assert_eq!(gone.code, 1, "{}", gone.all());
        let again = app.cli(&["keys", "delete", "edge-1", "-y"]).await;
        assert!(again.code == 1 && again.stderr.contains("no "), "{}", again.all());
        let audit = app.cli_ok(&["audit", "list"]).await;
        assert!(audit.contains("ai_gateway_key") && audit.contains("edge-1"), "{audit}");
        assert_eq!(first.process.terminate().await, 0);
    }
}

both_engines! {
    /// A suspended user and a revoked token are refused at once, also where they are known.
    async fn a_suspended_user_and_a_revoked_token_are_refused_at_once(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let replica = app.replica("edge-1").await;
        for base in [&replica.url, &app.url] {
            ask(base, &app.token).await.expect(200);
        }
        app.cli_ok(&["users", "suspend", "alice"]).await;
        for base in [&replica.url, &app.url] {
            let refused = soon(base, &app.token, 401).await.value();
            assert_eq!(refused["error"]["type"], "authentication_error");
            assert!(refused["error"]["message"].as_str().unwrap().contains("suspended"), "{refused:#}");
        }
        app.cli_ok(&["users", "activate", "alice"]).await;
        for base in [&replica.url, &app.url] {
            eventually("alice is accepted again", async || (ask(base, &app.token).await.status == 200).then_some(())).await;
        }
        let tokens = app.cli_json(&["tokens", "list", "--user", "alice"]).await;
        app.cli_ok(&["tokens", "revoke", tokens["tokens"][0]["id"].as_str().unwrap(), "-y"]).await;
        for base in [&replica.url, &app.url] {
            let refused = soon(base, &app.token, 401).await;
            assert!(refused.text().contains("revoked"), "{}", refused.text());
        }
    }
}

both_engines! {
    /// A change of a provider reaches running replicas.
    async fn a_changed_provider_reaches_running_replicas(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let replica = app.replica("edge-1").await;
        ask(&replica.url, &app.token).await.expect(200);
        app.cli_ok(&["providers", "disable", "anthropic"]).await;
        for base in [&replica.url, &app.url] {
            let refused = soon(base, &app.token, 503).await;
            assert!(refused.text().contains("disabled"), "{}", refused.text());
        }
        app.cli_ok(&["providers", "enable", "anthropic"]).await;
        soon(&replica.url, &app.token, 200).await;

        let other = ScriptedProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let key = app.write("other-key", "sk-another-0123456789-key");
        let base_url = format!("http://{}", other.addr());
        let arguments = ["providers", "update", "anthropic", "--base-url", &base_url, "--key-file", key.to_str().unwrap()];
        app.cli_ok(&arguments).await;
        for base in [&replica.url, &app.url] {
            within(AT_ONCE, "requests go to the other provider", async || {
                let before = other.requests().len();
                ask(base, &app.token).await.expect(200);
                (other.requests().len() > before).then_some(())
            })
            .await;
        }
        assert_eq!(other.requests().pop().unwrap().header("x-api-key"), Some("sk-another-0123456789-key"));

        app.cli_ok(&["providers", "delete", "anthropic", "-y"]).await;
        soon(&replica.url, &app.token, 404).await;
    }
}
