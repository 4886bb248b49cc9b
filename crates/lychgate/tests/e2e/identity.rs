//! The client gets the provider's bytes: every scenario of every API, cut and malformed ones too.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario, bytes_of};
use lychgate_testkit::app::App;
use lychgate_testkit::http::Answer;
use serde_json::{Value, json};
use std::time::Duration;

/// These never end by themselves; they have tests of their own.
const ENDLESS: [Scenario; 2] = [Scenario::Idle, Scenario::Hang];
const BROKEN: [Scenario; 2] = [Scenario::Cut, Scenario::Reset];

/// What the provider was sent last must be what the client sent; where the gateway asked for usage, that and nothing else.
fn check_upstream(app: &App, ask: &Ask, asked_for_usage: bool) -> Vec<u8> {
    let seen = app.scripted.requests().pop().unwrap();
    let mut sent = ask.body.to_string();
    if asked_for_usage {
        let mut wanted = ask.body.clone();
        wanted["stream_options"]["include_usage"] = true.into();
        assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), wanted);
        sent = String::from_utf8(seen.body.to_vec()).unwrap();
    }
    assert_eq!(seen.body, sent.as_bytes());
    bytes_of(ask.endpoint, ask.scenario, &seen.body).unwrap()
}

/// The stream without the one event that holds usage and no choice.
fn without_usage_event(scenario: Scenario, stream: &[u8]) -> Vec<u8> {
    let blank: &[u8] = match scenario {
        Scenario::Crlf => b"\r\n\r\n",
        Scenario::Cr => b"\r\r",
        _ => b"\n\n",
    };
    let mut kept = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let end = rest
            .windows(blank.len())
            .position(|w| w == blank)
            .map_or(rest.len(), |at| at + blank.len());
        let (event, after) = rest.split_at(end);
        let has = |part: &str| String::from_utf8_lossy(event).contains(part);
        if !(has("\"choices\":[]") && has("\"usage\":{")) {
            kept.extend_from_slice(event);
        }
        rest = after;
    }
    kept
}

fn same(ask: &Ask, answer: &Answer, wanted: &[u8]) {
    let name = format!(
        "{} {} stream={}",
        ask.endpoint.name(),
        ask.scenario.name(),
        ask.body["stream"]
    );
    assert!(
        answer.body == wanted,
        "{name}: {} bytes instead of {}\n{}\n── instead of\n{}",
        answer.body.len(),
        wanted.len(),
        String::from_utf8_lossy(&answer.body[answer.body.len().saturating_sub(600)..]),
        String::from_utf8_lossy(&wanted[wanted.len().saturating_sub(600)..]),
    );
    assert_eq!(
        answer.broken,
        BROKEN.contains(&ask.scenario),
        "{name}: how the body ended"
    );
}

async fn all_scenarios(endpoint: Endpoint, stream: bool) {
    let app = App::start(PROGRAM, None).await;
    // Errors follow on errors here.
    for provider in ["anthropic", "openai"] {
        app.set_policy(provider, &json!({ "breaker": { "failures": 0 } })).await;
    }
    let replica = app.replica("edge-1").await;
    for scenario in Scenario::ALL.iter().copied().filter(|s| !ENDLESS.contains(s)) {
        let ask = Ask::new(endpoint, scenario, stream, "Grüße 🏮");
        let answer = ask.call(&replica.url, &app.token).send().await;
        let asks = stream && endpoint == Endpoint::ChatCompletions;
        let sent = check_upstream(&app, &ask, asks);
        let wanted = if asks {
            without_usage_event(scenario, &sent)
        } else {
            sent.clone()
        };
        if asks
            && matches!(
                scenario,
                Scenario::Text | Scenario::Crlf | Scenario::Cr | Scenario::Multiline | Scenario::Split
            )
        {
            assert!(
                wanted.len() < sent.len(),
                "{}: the provider sent a usage chunk",
                scenario.name()
            );
        }
        same(&ask, &answer, &wanted);
        let number: Option<u16> = scenario.name().strip_prefix("error-").map(|n| n.parse().unwrap());
        assert_eq!(answer.status, number.unwrap_or(200));
        let request_id = if endpoint == Endpoint::Messages {
            "request-id"
        } else {
            "x-request-id"
        };
        assert!(
            answer.header(request_id).starts_with("req_"),
            "the provider's headers come through"
        );
        assert_eq!(answer.header("x-lychgate-interception-id").len(), 36);
        if scenario == Scenario::Error429 {
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
    // Whatever came, the replica is well.
    let well = Ask::new(endpoint, Scenario::Text, false, "Still there?");
    well.call(&replica.url, &app.token).send().await.expect(200);
    assert!(
        replica.process.is_running() && !replica.process.stderr().contains("panicked"),
        "{}",
        replica.process.stderr()
    );
}

macro_rules! every_scenario {
    ($($name:ident: $endpoint:ident, $stream:literal;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            all_scenarios(Endpoint::$endpoint, $stream).await;
        }
    )* };
}

every_scenario! {
    messages_blocking: Messages, false;
    messages_streaming: Messages, true;
    chat_blocking: ChatCompletions, false;
    chat_streaming: ChatCompletions, true;
    responses_blocking: Responses, false;
    responses_streaming: Responses, true;
    embeddings: Embeddings, false;
}

/// A client that asks for usage itself gets all of it, the usage chunk too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_that_the_client_asked_for_stays() {
    let app = App::start(PROGRAM, None).await;
    for scenario in [
        Scenario::Text,
        Scenario::Split,
        Scenario::Crlf,
        Scenario::UsageEverywhere,
        Scenario::UsageLast,
    ] {
        let mut ask = Ask::new(Endpoint::ChatCompletions, scenario, true, "Hello");
        ask.body["stream_options"] = json!({"include_usage": true});
        let answer = ask.call(&app.url, &app.token).send().await.expect(200);
        let sent = check_upstream(&app, &ask, false);
        assert!(String::from_utf8_lossy(&sent).contains("\"usage\":{"));
        same(&ask, &answer, &sent);
    }
}

/// What came before a stream stalls reaches the client at once, not at its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_not_held_back() {
    let app = App::start(PROGRAM, None).await;
    let replica = app.replica("edge-1").await;
    for endpoint in [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses] {
        let ask = Ask::new(endpoint, Scenario::Idle, true, "Hello");
        let mut open = ask.call(&replica.url, &app.token).open().await;
        let came = open.until_quiet(Duration::from_millis(500)).await;
        let sent = check_upstream(&app, &ask, endpoint == Endpoint::ChatCompletions);
        assert_eq!(String::from_utf8(came).unwrap(), String::from_utf8(sent).unwrap());
    }
}
