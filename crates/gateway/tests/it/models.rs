//! Lists of models, answered from what the replica has of the provider.

use crate::resilience::target;
use crate::support::provider::Exchange;
use crate::support::{Answer, World, config, until};
use lychgate_link::RouteConfig;
use lychgate_types::Ambient;
use lychgate_types::policy::Models;
use lychgate_types::provider::ProviderType;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

const OPENAI: &str = "/ai/openai/v1/models";
const ANTHROPIC: &str = "/ai/anthropic/v1/models";
const GPT: &str = r#"{"id":"gpt-x","object":"model","created":7, "new":{"x":1.0}}"#;
const CLAUDE: &str = r#"{"type":"model", "id":"claude-x","display_name":"X"}"#;
const SLUG: &str = r#"{"slug":"gpt-x","display_name":"X", "priority":1}"#;

/// Bytes of a page that are read.
const LARGEST: usize = 4 << 20;

/// Lists are served from here; `fast` is a name for a model at each provider.
async fn world() -> World {
    let world = World::with_policy(|policy| policy.relay.models = Models::Cached).await;
    let providers = world.control.providers();
    let route = |at: usize, name: &str, model: &str| RouteConfig {
        id: Ambient::system().new_id(),
        provider: providers[at].id,
        model: name.to_owned(),
        targets: vec![target(providers[at].id, Some(model))],
        fallbacks: Vec::new(),
    };
    let routes = vec![
        route(0, "fast", "claude-x"),
        route(0, "pre*", "claude-y"),
        route(1, "fast", "gpt-x"),
    ];
    world.control.configure_routes(providers, routes);
    world.control.until_in_force().await;
    world
}

async fn ask(world: &World, path: &str, headers: &str) -> (Answer, String) {
    let mut client = world.send(&format!("GET {path}"), headers, b"").await;
    let (head, body) = client.answer().await;
    (head, String::from_utf8(body).unwrap())
}

/// Asks for the first time, while the provider answers with this.
async fn first(world: &World, path: &str, headers: &str, line: &str, list: &str) -> (Answer, String) {
    let provider = async {
        let mut exchange = world.provider.next().await;
        assert_eq!(exchange.line, format!("GET {line} HTTP/1.1"));
        exchange.json("200 OK", "", list).await;
        exchange.done();
    };
    let (answered, ()) = tokio::join!(ask(world, path, headers), provider);
    answered
}

fn ids(body: &str) -> Vec<String> {
    let list: Value = serde_json::from_str(body).unwrap();
    let entries = list["data"].as_array().unwrap_or_else(|| panic!("{body}"));
    entries
        .iter()
        .map(|entry| entry["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_client_has_the_list_in_its_shape_and_the_provider_is_asked_once() {
    let world = world().await;
    let list = format!(r#"{{"object":"list","data":[{GPT}]}}"#);
    let (head, body) = first(&world, OPENAI, "", "/base/v1/models", &list).await;
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("application/json"))
    );
    assert!(
        body.starts_with(&format!(r#"{{"object":"list","data":[{GPT},"#)),
        "{body}"
    );
    assert_eq!(ids(&body), ["gpt-x", "fast"]);

    let list = format!(r#"{{"data":[{CLAUDE}],"has_more":true,"first_id":"claude-x","last_id":"claude-x"}}"#);
    let provider = async {
        for (line, list) in [
            ("GET /v1/models?limit=1000 HTTP/1.1", list.as_str()),
            (
                "GET /v1/models?limit=1000&after_id=claude-x HTTP/1.1",
                r#"{"data":[{"id":"claude-y"}],"has_more":false,"last_id":"claude-y"}"#,
            ),
        ] {
            let mut exchange = world.provider.next().await;
            assert_eq!(
                (exchange.line.as_str(), exchange.header("anthropic-version")),
                (line, Some("2023-06-01"))
            );
            assert_eq!(exchange.header("x-api-key"), Some(crate::support::CENTRAL_KEY));
            exchange.json("200 OK", "", list).await;
            exchange.done();
        }
    };
    // As Claude Code asks.
    let claude = format!("{ANTHROPIC}?limit=1000");
    let ((_, body), ()) = tokio::join!(ask(&world, &claude, ""), provider);
    assert!(body.contains(CLAUDE), "{body}");
    assert_eq!(ids(&body), ["claude-x", "claude-y", "fast"]);
    let (_, page) = ask(&world, &format!("{ANTHROPIC}?limit=1&after_id=claude-x"), "").await;
    assert!(
        ids(&page) == ["claude-y"] && page.contains("\"has_more\":true"),
        "{page}"
    );

    let list = format!(r#"{{"models":[{SLUG}]}}"#);
    let codex = format!("{OPENAI}?client_version=0.44.0");
    let (head, body) = first(&world, &codex, "", "/base/v1/models?client_version=0.44.0", &list).await;
    assert_eq!(
        body,
        format!(r#"{{"models":[{SLUG},{}]}}"#, SLUG.replace("gpt-x", "fast"))
    );
    let tag = head.header("etag").unwrap().to_owned();

    // Nothing of that is asked again, and who has it is told so.
    let tagged = |tags: &str| format!("if-none-match: {tags}\r\n");
    for (path, headers, status) in [
        (codex.clone(), tagged(&tag), 304),
        (codex.clone(), tagged(&format!("\"x\", W/{tag}")), 304),
        (codex.clone(), tagged("*"), 304),
        (codex.clone(), tagged("\"x\""), 200),
        (format!("{OPENAI}/gpt-x"), String::new(), 200),
        (format!("{OPENAI}/fast"), String::new(), 200),
        (format!("{ANTHROPIC}/claude-x"), String::new(), 200),
        (OPENAI.to_owned(), String::new(), 200),
    ] {
        let mut client = world.send(&format!("GET {path}"), &headers, b"").await;
        let head = client.head().await;
        assert_eq!(head.status, status, "{path} {headers}");
        assert!(head.header("etag").is_some());
    }
    let (_, one) = ask(&world, &format!("{OPENAI}/gpt-x"), "").await;
    assert_eq!(one, GPT);
    let mut client = world.send(&format!("HEAD {OPENAI}"), "", b"").await;
    assert_eq!(client.head().await.status, 200);
    // What is not listed may be known there all the same.
    let mut client = world.send(&format!("GET {OPENAI}/gpt-other"), "", b"").await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, "GET /base/v1/models/gpt-other HTTP/1.1");
    exchange.json("404 Not Found", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 404);
}

#[tokio::test]
async fn two_replicas_give_the_same_tag() {
    let tag = async || {
        let world = world().await;
        let list = format!(r#"{{"object":"list","data":[{GPT}]}}"#);
        let (head, _) = first(&world, OPENAI, "", "/base/v1/models", &list).await;
        head.header("etag").unwrap().to_owned()
    };
    assert_eq!(tag().await, tag().await);
}

#[tokio::test]
async fn a_slow_provider_holds_nobody_up_and_a_broken_one_neither() {
    let world = world().await;
    let begun = Instant::now();
    // All at a time, one flight.
    let paged = format!("{ANTHROPIC}?limit=1000");
    let (openai, again, anthropic, codex) = tokio::join!(
        ask(&world, OPENAI, ""),
        ask(&world, OPENAI, ""),
        ask(&world, &paged, ""),
        ask(&world, OPENAI, "user-agent: codex_cli_rs/0.44.0\r\n"),
    );
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(
        (ids(&openai.1), ids(&again.1)),
        (vec!["fast".to_owned(), "gpt-x".to_owned()], ids(&openai.1))
    );
    assert_eq!(ids(&anthropic.1), ["fast", "claude-x", "claude-y"]);
    assert_eq!((codex.0.status, codex.1.as_str()), (200, r#"{"models":[]}"#));
    let mut flights = Vec::new();
    for _ in 0..3 {
        flights.push(world.provider.next().await);
    }
    // One that answers late is still heard, and one that answers badly is not asked again at once.
    for mut flight in flights {
        match flight.line.as_str() {
            "GET /base/v1/models HTTP/1.1" => {
                let list = format!(r#"{{"object":"list","data":[{GPT},{{"id":"gpt-late"}}]}}"#);
                flight.json("200 OK", "", &list).await;
            }
            _ => flight.json("503 Busy", "connection: close\r\n", "<html>").await,
        }
    }
    loop {
        let (_, body) = ask(&world, OPENAI, "").await;
        if ids(&body) == ["gpt-x", "gpt-late", "fast"] {
            break;
        }
    }
    let (head, body) = ask(&world, &format!("{ANTHROPIC}/fast"), "").await;
    assert!(head.status == 200 && body.contains("\"id\":\"fast\""), "{body}");
}

#[tokio::test]
async fn a_key_of_ones_own_and_the_policy_relay_the_request() {
    let world = world().await;
    let token = format!("x-lychgate-token: {}\r\n", world.token.expose());
    let own = format!("{token}authorization: Bearer sk-own\r\n");
    let relayed = async |world: &World, headers: &str, key: &str| {
        let mut client = world.client().await;
        client.send(&format!("GET {OPENAI}?limit=3"), headers, b"").await;
        let mut exchange = world.provider.next().await;
        assert_eq!(exchange.line, "GET /base/v1/models?limit=3 HTTP/1.1");
        assert_eq!(exchange.header("authorization"), Some(key));
        exchange.json("200 OK", "etag: \"theirs\"\r\n", "{}").await;
        let (head, body) = client.answer().await;
        assert_eq!(
            (head.header("etag"), body.as_slice()),
            (Some("\"theirs\""), b"{}".as_slice())
        );
        exchange.done();
    };
    relayed(&world, &own, "Bearer sk-own").await;
    let world = World::new().await;
    let bearer = format!("authorization: Bearer {}\r\n", world.token.expose());
    relayed(&world, &bearer, &format!("Bearer {}", crate::support::CENTRAL_KEY)).await;
}

#[tokio::test]
async fn what_a_provider_says_of_its_list_goes_on_only_where_its_list_does() {
    for (models, own, goes_on) in [
        (Models::Cached, false, false),
        (Models::Cached, true, true),
        (Models::Relay, false, true),
    ] {
        let world = World::with_policy(|policy| policy.relay.models = models).await;
        let mut client = world.client().await;
        let token = world.token.expose();
        let headers = match own {
            true => format!("x-lychgate-token: {token}\r\nauthorization: Bearer sk-own\r\n"),
            false => format!("authorization: Bearer {token}\r\n"),
        };
        client
            .send("POST /ai/openai/v1/responses", &headers, br#"{"model":"m"}"#)
            .await;
        let said =
            "x-models-etag: \"theirs\"\r\nx-codex-turn-state: s\r\nx-reasoning-included: true\r\nopenai-model: m\r\n";
        world.provider.next().await.json("200 OK", said, "{}").await;
        let (head, _) = client.answer().await;
        assert_eq!(head.header("x-models-etag").is_some(), goes_on, "{models}");
        for name in ["x-codex-turn-state", "x-reasoning-included", "openai-model"] {
            assert!(head.header(name).is_some(), "{name}");
        }
        // What is not recorded says it no more.
        let count = "POST /ai/openai/v1/responses/input_tokens";
        let mut client = world.client().await;
        client.send(count, &headers, br#"{"model":"m"}"#).await;
        world.provider.next().await.json("200 OK", said, "{}").await;
        let (head, _) = client.answer().await;
        assert_eq!(head.header("x-models-etag").is_some(), goes_on, "{models}");
        assert!(head.header("x-codex-turn-state").is_some());
        if !own {
            let mut client = world.ask_websocket().await;
            let _provider = world.provider.next().await.accept(said).await;
            let head = client.head().await;
            assert_eq!(head.header("x-models-etag").is_some(), goes_on, "{models}");
            assert!(head.header("x-codex-turn-state").is_some());
        }
    }
}

/// Answers a flight, and lets its connection be reused.
async fn answer(mut exchange: Exchange, body: &str) {
    exchange.json("200 OK", "", body).await;
    exchange.done();
}

#[tokio::test]
async fn lists_are_bounded_in_number_pages_and_bytes() {
    let world = world().await;
    // Pages without end.
    let mut client = world.send(&format!("GET {ANTHROPIC}?limit=1000"), "", b"").await;
    for page in 0..10 {
        let body = format!(r#"{{"data":[{{"id":"m{page}"}}],"has_more":true,"last_id":"m{page}"}}"#);
        answer(world.provider.next().await, &body).await;
    }
    let (_, body) = client.answer().await;
    assert_eq!(ids(&String::from_utf8(body).unwrap()).len(), 11);
    // More models than are kept.
    let entries: Vec<_> = (0..3_000).map(|n| format!(r#"{{"id":"m{n}"}}"#)).collect();
    let list = format!(r#"{{"data":[{}]}}"#, entries.join(","));
    let (_, body) = first(&world, OPENAI, "", "/base/v1/models", &list).await;
    assert_eq!(ids(&body).len(), 2_001);
    // A page of more bytes than are read, and more versions than are kept: those have the newest list.
    let version = |n: usize| format!("{OPENAI}?client_version=0.{n}.0");
    let line = |n: usize| format!("/base/v1/models?client_version=0.{n}.0");
    let huge = async {
        let mut exchange = world.provider.next().await;
        let length = LARGEST + 1;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        exchange.raw(head.as_bytes()).await;
        exchange.until_closed().await;
    };
    let oldest = version(0);
    let ((_, body), ()) = tokio::join!(ask(&world, &oldest, ""), huge);
    assert_eq!(body, r#"{"models":[]}"#);
    let list = format!(r#"{{"models":[{SLUG}]}}"#);
    for n in 1..8 {
        first(&world, &version(n), "", &line(n), &list).await;
    }
    let newest = "/base/v1/models?client_version=99.99.99";
    let other = list.replace("\"X\"", "\"Y\"");
    let (_, body) = first(&world, &version(8), "", newest, &other).await;
    assert!(body.contains("\"Y\""), "{body}");
    assert_eq!(ask(&world, &version(9), "").await.1, body);
    assert!(ask(&world, &version(1), "").await.1.contains(SLUG));
}

#[tokio::test]
async fn a_list_has_no_more_bytes_than_a_page_and_no_model_twice() {
    let world = world().await;
    let mut client = world.send(&format!("GET {ANTHROPIC}?limit=1000"), "", b"").await;
    let long = "x".repeat(2_000_000);
    for page in 0..3 {
        let body = format!(
            r#"{{"data":[{{"id":"m{page}","x":"{long}"}},{{"id":"m0"}}],"has_more":true,"last_id":"m{page}"}}"#
        );
        answer(world.provider.next().await, &body).await;
    }
    let (_, body) = client.answer().await;
    assert_eq!(ids(&String::from_utf8(body).unwrap()), ["m0", "m1", "fast"]);
    // Another query of the same list is another answer, and so is the same under other routes.
    let asked = format!("{ANTHROPIC}?limit=1&after_id=m0");
    assert_eq!(ids(&ask(&world, &asked, "").await.1), ["m1"]);
    let all = format!("{ANTHROPIC}?limit=1000");
    assert_eq!(ids(&ask(&world, &all, "").await.1).len(), 3);
    world.control.configure_routes(world.control.providers(), Vec::new());
    world.control.until_in_force().await;
    assert_eq!(ids(&ask(&world, &all, "").await.1), ["m0", "m1"]);
}

#[tokio::test]
async fn a_question_with_a_routes_name_goes_to_its_model() {
    let world = world().await;
    let second = crate::support::Provider::start().await;
    let mut providers = world.control.providers();
    let other = config("second", ProviderType::Anthropic, &second.url("/other"));
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: providers[0].id,
        model: "elsewhere".to_owned(),
        targets: vec![target(other.id, Some("claude-y"))],
        fallbacks: Vec::new(),
    };
    let mut routes = world.control.routes();
    routes.push(route);
    providers.push(other);
    world.control.configure_routes(providers, routes);
    world.control.until_in_force().await;
    let count = "POST /ai/anthropic/v1/messages/count_tokens?beta=true";
    for (asked, model, provider, line) in [
        (
            "fast",
            "claude-x",
            &world.provider,
            "/v1/messages/count_tokens?beta=true",
        ),
        (
            "claude-z",
            "claude-z",
            &world.provider,
            "/v1/messages/count_tokens?beta=true",
        ),
        (
            "elsewhere",
            "claude-y",
            &second,
            "/other/v1/messages/count_tokens?beta=true",
        ),
    ] {
        let body = |model: &str| format!(r#"{{ "messages":[],"model" : "{model}"}}"#);
        let mut client = world.send(count, "", body(asked).as_bytes()).await;
        let mut exchange = provider.next().await;
        assert_eq!(exchange.line, format!("POST {line} HTTP/1.1"));
        assert_eq!(String::from_utf8_lossy(&exchange.body), body(model));
        exchange
            .json("200 OK", "connection: close\r\n", r#"{"input_tokens":3}"#)
            .await;
        assert_eq!(client.answer().await.1, br#"{"input_tokens":3}"#);
    }
    until(|| world.gateway.in_flight() == 0).await;
}
