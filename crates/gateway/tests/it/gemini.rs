//! Google's Gemini API: a model and a verb in the path, credentials in headers only, streams as events and as a list.

use crate::support::{CENTRAL_KEY, End, Provider, World, config};
use lychgate_link::{RouteConfig, RouteTarget};
use lychgate_types::Ambient;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::policy::{ProviderPolicy, StoredObjects};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::ProviderSecret;
use serde_json::Value;
use std::sync::Arc;

const ASK: &[u8] = br#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#;
const PIECE: &str = r#"{"candidates": [{"content": {"parts": [{"text": "Ho"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 3},"modelVersion": "m-1","responseId": "r"}"#;
const LAST: &str = r#"{"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 3,"candidatesTokenCount": 2,"totalTokenCount": 5},"modelVersion": "m-1","responseId": "r"}"#;

async fn world(change: impl Fn(&mut ProviderPolicy)) -> World {
    let world = World::new().await;
    let mut gemini = config("gemini", ProviderType::Gemini, &world.provider.url("/base"));
    change(&mut gemini.policy);
    world.control.configure(vec![gemini]);
    world.control.until_in_force().await;
    world
}

/// The last of so many records.
async fn record(world: &World, count: usize) -> Arc<InterceptionRecord> {
    world.control.delivered(count).await.pop().unwrap()
}

fn error(body: &[u8]) -> Value {
    serde_json::from_slice::<Value>(body).unwrap()["error"].clone()
}

#[tokio::test]
async fn model_and_stream_are_what_the_path_says() {
    let world = world(|_| {}).await;
    let asked = [
        (
            "v1beta/models/m-1:generateContent",
            "m-1",
            false,
            Api::GeminiGenerateContent,
        ),
        (
            "v1/models/m-2%3AgenerateContent",
            "m-2",
            false,
            Api::GeminiGenerateContent,
        ),
        (
            "v1alpha/tunedModels/mine:streamGenerateContent?alt=sse",
            "tunedModels/mine",
            true,
            Api::GeminiGenerateContent,
        ),
        ("v1beta/models/e:batchEmbedContents", "e", false, Api::GeminiEmbeddings),
        ("v1beta/models/e:embedContent", "e", false, Api::GeminiEmbeddings),
    ];
    for (at, (path, model, streaming, api)) in asked.into_iter().enumerate() {
        let mut client = world
            .post(
                &format!("/ai/gemini/{path}"),
                br#"{"model":"models/another","stream":false}"#,
            )
            .await;
        let mut exchange = world.provider.next().await;
        assert_eq!(exchange.line, format!("POST /base/{path} HTTP/1.1"));
        exchange.json("200 OK", "connection: close\r\n", LAST).await;
        let (head, body) = client.answer().await;
        assert_eq!((head.status, body.as_slice()), (200, LAST.as_bytes()));
        let record = record(&world, at + 1).await;
        assert_eq!(
            (record.model.as_str(), record.streaming, record.api),
            (model, streaming, api),
            "{path}"
        );
        assert_eq!(record.outcome.as_str(), "completed", "{path}");
    }
    for path in ["v1beta/models", "v1beta/models/m-1"] {
        let mut client = world.send(&format!("GET /ai/gemini/{path}"), "", b"").await;
        world
            .provider
            .next()
            .await
            .json("200 OK", "connection: close\r\n", "{}")
            .await;
        assert_eq!(client.answer().await.0.status, 200);
    }
    let mut client = world.post("/ai/gemini/v1beta/models/m-1:countTokens", ASK).await;
    world
        .provider
        .next()
        .await
        .json("200 OK", "connection: close\r\n", "{}")
        .await;
    assert_eq!(client.answer().await.0.status, 200);
    for path in [
        "v1beta/tunedModels/m-1:predict",
        "v1beta/models/../files:generateContent",
        "v2/models/m-1:generateContent",
        "upload/v1beta/files",
        "v1beta/files",
        "v1beta/cachedContents",
    ] {
        let (head, body) = world.post(&format!("/ai/gemini/{path}"), ASK).await.answer().await;
        assert_eq!(
            (head.status, error(&body)["status"].as_str()),
            (404, Some("NOT_FOUND")),
            "{path}"
        );
        assert!(
            error(&body)["message"]
                .as_str()
                .unwrap()
                .contains("{model}:generateContent")
        );
    }
}

#[tokio::test]
async fn streams_are_recorded_as_events_and_as_a_list() {
    let world = world(|_| {}).await;
    let events = format!("data: {PIECE}\r\n\r\ndata: {LAST}\r\n\r\n");
    let list = format!("[{PIECE}\n,\r\n{LAST}\n]\n");
    let mut records = 0;
    for (query, kind, body) in [
        ("?alt=sse", "text/event-stream", events),
        ("", "application/json; charset=UTF-8", list),
    ] {
        for (answer, outcome) in [(body.as_str(), "completed"), (&body[..PIECE.len() + 20], "failed")] {
            let path = format!("/ai/gemini/v1beta/models/m-1:streamGenerateContent{query}");
            let mut client = world.post(&path, ASK).await;
            let mut exchange = world.provider.next().await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            );
            exchange.raw(head.as_bytes()).await;
            for piece in answer.as_bytes().chunks(100) {
                exchange.chunk(piece).await;
            }
            exchange.end().await;
            assert_eq!(String::from_utf8(client.answer().await.1).unwrap(), answer);
            records += 1;
            let record = record(&world, records).await;
            assert_eq!((record.outcome.as_str(), record.streaming), (outcome, true), "{answer}");
            let usage = &record.token_usages[0];
            let output = if outcome == "completed" { 2 } else { usage.output_tokens };
            assert_eq!(
                (usage.input_tokens, usage.output_tokens, usage.estimated),
                (3, output, outcome == "failed")
            );
            assert_eq!(record.prompts.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_stream_that_stalls_ends_in_an_error_as_googles_own_do() {
    let world = world(|policy| policy.timeouts.idle_ms = 50).await;
    let mut records = 0;
    for (query, is_event_stream) in [("?alt=sse", true), ("", false)] {
        let mut client = world
            .post(
                &format!("/ai/gemini/v1beta/models/m-1:streamGenerateContent{query}"),
                ASK,
            )
            .await;
        let mut exchange = world.provider.next().await;
        let (kind, begun) = match is_event_stream {
            true => ("text/event-stream", format!("data: {PIECE}\r\n\r\n")),
            false => ("application/json", format!("[{PIECE}")),
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        exchange.raw(head.as_bytes()).await;
        exchange.chunk(begun.as_bytes()).await;
        let head = client.head().await;
        let (body, end) = client.rest(&head).await;
        let last = body.strip_prefix(begun.as_bytes()).unwrap();
        if is_event_stream {
            assert_eq!(
                (end, error(last)["status"].as_str()),
                (End::Proper, Some("DEADLINE_EXCEEDED"))
            );
        } else {
            assert_eq!((end, last), (End::Cut, &b""[..]), "nothing is put into a list");
        }
        records += 1;
        assert_eq!(record(&world, records).await.outcome.as_str(), "failed");
        exchange.until_closed().await;
    }
}

#[tokio::test]
async fn credentials_come_in_headers_and_one_goes_on() {
    let world = world(|_| {}).await;
    let token = world.token.expose().to_owned();
    let path = "POST /ai/gemini/v1beta/models/m-1:generateContent";
    for headers in [
        format!("x-goog-api-key: {token}\r\n"),
        format!("x-goog-api-key: \r\nauthorization: Bearer {token}\r\n"),
        format!("x-goog-api-key: {token}\r\nauthorization: Bearer {token}\r\nx-goog-user-project: theirs\r\n"),
    ] {
        let mut client = world.client().await;
        client.send(path, &headers, ASK).await;
        let mut exchange = world.provider.next().await;
        assert_eq!(exchange.header("x-goog-api-key"), Some(CENTRAL_KEY), "{headers}");
        for absent in ["authorization", "x-goog-user-project"] {
            assert_eq!(exchange.header(absent), None, "{headers}");
        }
        exchange.json("200 OK", "connection: close\r\n", LAST).await;
        assert_eq!(client.answer().await.0.status, 200);
    }
    let mut client = world.client().await;
    let own = format!("x-lychgate-token: {token}\r\nx-goog-api-key: AIza-own\r\nx-goog-user-project: theirs\r\n");
    client.send(path, &own, ASK).await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.header("x-goog-api-key"), Some("AIza-own"));
    assert_eq!(exchange.header("x-goog-user-project"), Some("theirs"));
    exchange.json("200 OK", "connection: close\r\n", LAST).await;
    client.answer().await;

    // What would leave the usage out of the answer, or name who pays.
    for query in [
        "?fields=candidates",
        "?%24fields=candidates",
        "?alt=proto",
        "?$key=AIza0123",
        "?quotaUser=x",
    ] {
        let mut client = world.post(&format!("{}{query}", &path[5..]), ASK).await;
        let (head, body) = client.answer().await;
        assert_eq!(
            (head.status, error(&body)["status"].as_str()),
            (400, Some("INVALID_ARGUMENT")),
            "{query}"
        );
        assert!(!String::from_utf8(body).unwrap().contains("AIza0123"));
    }
    let mut client = world.client().await;
    let masked = format!("x-goog-api-key: {token}\r\nx-goog-fieldmask: candidates\r\nx-goog-quota-user: theirs\r\n");
    client.send(path, &masked, ASK).await;
    let mut exchange = world.provider.next().await;
    for absent in ["x-goog-fieldmask", "x-goog-quota-user"] {
        assert_eq!(exchange.header(absent), None, "{absent}");
    }
    exchange.json("200 OK", "connection: close\r\n", LAST).await;
    client.answer().await;

    for (query, headers) in [
        ("?key=AIza0123", format!("x-goog-api-key: {token}\r\n")),
        ("", "x-goog-api-key: \r\n".to_owned()),
    ] {
        let mut client = world.client().await;
        client.send(&format!("{path}{query}"), &headers, ASK).await;
        let (head, body) = client.answer().await;
        assert_eq!(
            (head.status, error(&body)["status"].as_str()),
            (401, Some("UNAUTHENTICATED")),
            "{query}"
        );
        assert!(!String::from_utf8(body).unwrap().contains("AIza0123"));
    }
    let (head, body) = world
        .post("/ai/nobody/v1beta/models/m:generateContent", ASK)
        .await
        .answer()
        .await;
    assert_eq!((head.status, error(&body)["status"].as_str()), (404, Some("NOT_FOUND")));
}

#[tokio::test]
async fn a_route_puts_its_model_into_the_path_and_leaves_the_body() {
    let world = world(|_| {}).await;
    let second = Provider::start().await;
    let mut providers = world.control.providers();
    let mut other = config("second", ProviderType::Gemini, &second.url(""));
    other.keys[0].secret = ProviderSecret::new("AIza-second-0123456789".to_owned());
    let to = |provider, model: &str| RouteTarget {
        provider,
        model: Some(model.to_owned()),
        weight: 1,
    };
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: providers[0].id,
        model: "fast".into(),
        targets: vec![to(providers[0].id, "gemini-3-flash")],
        fallbacks: vec![to(other.id, "gemini-3-flash-001")],
    };
    providers.push(other);
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;

    let mut client = world
        .post("/ai/gemini/v1beta/models/fast%3AgenerateContent?alt=json", ASK)
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(
        exchange.line,
        "POST /base/v1beta/models/gemini-3-flash:generateContent?alt=json HTTP/1.1"
    );
    assert_eq!(exchange.body, ASK);
    let busy = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    exchange
        .json("503 Service Unavailable", "connection: close\r\n", busy)
        .await;
    let mut exchange = second.next().await;
    assert_eq!(
        exchange.line,
        "POST /v1beta/models/gemini-3-flash-001:generateContent?alt=json HTTP/1.1"
    );
    assert_eq!(exchange.header("x-goog-api-key"), Some("AIza-second-0123456789"));
    assert_eq!(exchange.body, ASK);
    exchange.json("200 OK", "connection: close\r\n", LAST).await;
    assert_eq!(client.answer().await.0.status, 200);
    let record = world.control.one_record().await;
    assert_eq!(
        (record.model.as_str(), record.provider.as_str(), record.attempts),
        ("fast", "second", 2)
    );
    assert_eq!(record.served_model.as_deref(), Some("m-1"), "as the answer names it");
}

#[tokio::test]
async fn a_model_that_was_tuned_is_another_than_the_one_of_its_name_and_is_its_makers() {
    let world = world(|policy| policy.relay.stored_objects = StoredObjects::Own).await;
    let path = "/ai/gemini/v1beta/tunedModels/m-1:generateContent";
    let (head, body) = world.post(path, ASK).await.answer().await;
    assert_eq!((head.status, error(&body)["status"].as_str()), (404, Some("NOT_FOUND")));
    // Nor is what the path of another model names, by another method.
    let line = "GET /ai/gemini/v1beta/models/m-1:predictLongRunning";
    assert_eq!(world.send(line, "", b"").await.answer().await.0.status, 404);
    // What everybody may read has no maker.
    for (uri, status) in [
        ("https://www.youtube.com/watch?v=x", 200),
        ("gs://bucket/x", 404),
        ("files/x", 404),
    ] {
        let body = format!(r#"{{"contents":[{{"parts":[{{"fileData":{{"fileUri":"{uri}"}}}}]}}]}}"#);
        let mut client = world
            .post("/ai/gemini/v1beta/models/m-1:generateContent", body.as_bytes())
            .await;
        if status == 200 {
            world
                .provider
                .next()
                .await
                .json("200 OK", "connection: close\r\n", LAST)
                .await;
        }
        assert_eq!(client.answer().await.0.status, status, "{uri}");
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_model_that_an_alias_stands_for() {
    let world = world(|_| {}).await;
    let providers = world.control.providers();
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: providers[0].id,
        model: "fast".into(),
        targets: vec![RouteTarget {
            provider: providers[0].id,
            model: Some("gemini-3-flash".to_owned()),
            weight: 1,
        }],
        fallbacks: Vec::new(),
    };
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;
    let mut client = world.post("/ai/gemini/v1beta/models/fast:countTokens", ASK).await;
    let mut exchange = world.provider.next().await;
    assert_eq!(
        exchange.line,
        "POST /base/v1beta/models/gemini-3-flash:countTokens HTTP/1.1"
    );
    assert_eq!(exchange.body, ASK);
    exchange
        .json("200 OK", "connection: close\r\n", r#"{"totalTokens":1}"#)
        .await;
    assert_eq!(client.answer().await.0.status, 200);
}

#[tokio::test]
async fn a_429_of_the_gateways_own_says_when_to_come_again() {
    let world = World::with_options(|options| {
        options.body_budget = lychgate_gateway::BodyBudgetLimits {
            all: 1 << 20,
            one: 32 << 10,
        };
    })
    .await;
    let gemini = config("gemini", ProviderType::Gemini, &world.provider.url(""));
    world.control.configure(vec![gemini]);
    world.control.until_in_force().await;
    let body = format!(r#"{{"contents":[],"x":"{}"}}"#, "x".repeat(100 << 10));
    let mut client = world
        .post("/ai/gemini/v1beta/models/m:generateContent", body.as_bytes())
        .await;
    let (head, body) = client.answer().await;
    assert_eq!((head.status, head.header("retry-after")), (429, Some("1")));
    let error = error(&body);
    assert_eq!(
        (error["code"].as_u64(), error["status"].as_str()),
        (Some(429), Some("RESOURCE_EXHAUSTED"))
    );
    let wait = &error["details"][0];
    assert_eq!(
        (wait["@type"].as_str(), wait["retryDelay"].as_str()),
        (Some("type.googleapis.com/google.rpc.RetryInfo"), Some("1s"))
    );
}

#[tokio::test]
async fn a_stream_that_is_cut_before_its_second_candidate_is_not_whole() {
    for (ask, is_whole) in [(ASK.to_vec(), true), (two(), false)] {
        let world = world(|_| {}).await;
        let mut client = world
            .post("/ai/gemini/v1beta/models/m-1:streamGenerateContent?alt=sse", &ask)
            .await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        exchange.chunk(format!("data: {LAST}\r\n\r\n").as_bytes()).await;
        let head = client.head().await;
        client.at_least(LAST.len()).await;
        drop(exchange);
        client.rest(&head).await;
        let record = world.control.one_record().await;
        assert_eq!(record.outcome.as_str() == "completed", is_whole, "{record:?}");
        assert_eq!(record.token_usages[0].estimated, !is_whole);
    }
}

/// Asks for two candidates.
fn two() -> Vec<u8> {
    let asked = String::from_utf8(ASK.to_vec()).unwrap();
    asked
        .replacen('{', r#"{"generationConfig":{"candidateCount":2},"#, 1)
        .into_bytes()
}
