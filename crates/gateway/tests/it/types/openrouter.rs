//! OpenRouter: errors with a good status, what an answer cost, and operations that it lacks.

use super::{CHAT, led, seen, world};
use crate::support::{CENTRAL_KEY, Provider, World, config};
use lychgate_link::RouteConfig;
use lychgate_types::Ambient;
use lychgate_types::interception::Outcome;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;

const COMPLETIONS: &str = "/ai/openrouter/v1/chat/completions";
const WRITTEN: &[u8] = br#"{"model":"anthropic/claude-x","stream":true}"#;
const ERROR: &str = r#"{"error":{"code":502,"message":"Provider disconnected"},"choices":[]}"#;

async fn openrouter(change: impl Fn(&mut ProviderPolicy)) -> World {
    let world = world("openrouter", ProviderType::OpenRouter, "/api/v1").await;
    let mut providers = world.control.providers();
    providers.iter_mut().for_each(|provider| change(&mut provider.policy));
    world.control.configure(providers);
    world.control.until_in_force().await;
    world
}

fn twice(policy: &mut ProviderPolicy) {
    policy.retry.max_attempts = 2;
    policy.retry.base_delay_ms = 1;
}

#[tokio::test]
async fn what_an_answer_cost_is_on_its_row() {
    let world = openrouter(|_| {}).await;
    let answer = CHAT.replace(
        r#""completion_tokens":5"#,
        r#""completion_tokens":5,"cost":0.0000100,"is_byok":true,"cost_details":{"upstream_inference_cost":0.1}"#,
    );
    let client = world.post(COMPLETIONS, WRITTEN).await;
    let exchange = seen(&world.provider, client, &answer).await;
    assert_eq!(exchange.line, "POST /api/v1/chat/completions HTTP/1.1");
    assert_eq!(
        exchange.header("authorization"),
        Some(&*format!("Bearer {CENTRAL_KEY}"))
    );
    let record = world.control.one_record().await;
    let attributes = &record.token_usages[0].attributes;
    let cost = ["cost", "is_byok", "cost_details.upstream_inference_cost"].map(|name| attributes[name].as_str());
    assert_eq!(cost, ["0.0000100", "true", "0.1"]);
}

#[tokio::test]
async fn an_error_with_a_good_status_is_retried_if_nothing_came_before_it() {
    let world = openrouter(twice).await;
    let mut client = world.post(COMPLETIONS, WRITTEN).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(format!("data: {ERROR}\n\n").as_bytes()).await;
    exchange.end().await;
    exchange.done();
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "connection: close\r\n", ERROR).await;
    let (head, body) = client.answer().await;
    assert_eq!((head.status, String::from_utf8(body).unwrap()), (200, ERROR.to_owned()));
    let record = world.control.one_record().await;
    assert_eq!((record.outcome, record.attempts), (Outcome::Failed, 2));
    assert_eq!(record.error_type.as_deref(), Some("502"));
}

#[tokio::test]
async fn an_error_behind_text_is_the_clients() {
    let world = openrouter(twice).await;
    let mut client = world.post(COMPLETIONS, WRITTEN).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange
        .chunk(b"data: {\"id\":\"g\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n")
        .await;
    exchange
        .chunk(format!("data: {ERROR}\n\ndata: [DONE]\n\n").as_bytes())
        .await;
    exchange.end().await;
    assert_eq!(client.answer().await.0.status, 200);
    let record = world.control.one_record().await;
    assert_eq!((record.outcome, record.attempts), (Outcome::Failed, 1));
    assert_eq!(record.error_type.as_deref(), Some("502"));
}

#[tokio::test]
async fn what_a_target_does_not_offer_goes_to_the_next() {
    let (world, second) = (openrouter(|_| {}).await, Provider::start().await);
    let mut providers = world.control.providers();
    let id = |name: &str| {
        let mut all = providers.iter();
        all.find(|provider| provider.name.as_str() == name).unwrap().id
    };
    let last = config("last", ProviderType::OpenAiCompatible, &second.url("/v1"));
    let target = |provider| lychgate_link::RouteTarget {
        provider,
        model: None,
        weight: 1,
    };
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: id("openai"),
        model: "*".into(),
        targets: vec![target(id("openrouter"))],
        fallbacks: vec![target(last.id)],
    };
    providers.push(last);
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;
    let client = world
        .post("/ai/openai/v1/audio/speech", br#"{"model":"tts","input":"hi"}"#)
        .await;
    let exchange = seen(&second, client, "{}").await;
    assert_eq!(exchange.line, "POST /v1/audio/speech HTTP/1.1");
    // What is not recorded goes there, too.
    let client = world
        .post(
            "/ai/openai/v1/responses/input_tokens",
            br#"{"model":"gpt-x","input":"hi"}"#,
        )
        .await;
    let exchange = seen(&second, client, "{}").await;
    assert_eq!(exchange.line, "POST /v1/responses/input_tokens HTTP/1.1");
    let client = world.post("/ai/openai/v1/chat/completions", WRITTEN).await;
    let exchange = seen(&world.provider, client, CHAT).await;
    assert_eq!(exchange.line, "POST /api/v1/chat/completions HTTP/1.1");
    let record = world.control.delivered(2).await.remove(0);
    assert_eq!((record.provider.as_str(), record.attempts), ("last", 1));
}

#[tokio::test]
async fn if_no_target_offers_it_that_is_said() {
    let (world, second) = (World::new().await, Provider::start().await);
    let only = config("only", ProviderType::OpenRouter, &second.url("/api/v1"));
    led(&world, "openai", only, None).await;
    for path in ["audio/speech", "responses/input_tokens"] {
        let path = format!("/ai/openai/v1/{path}");
        let mut client = world.post(&path, br#"{"model":"tts"}"#).await;
        let (head, body) = client.answer().await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!(head.status, 503);
        assert!(body.contains("does not offer what this request asks for"), "{body}");
    }
}

/// Requests for `alias` are led to one model, those for `b/*` stay as they are.
async fn routed() -> World {
    let world = openrouter(|_| {}).await;
    let providers = world.control.providers();
    let provider = providers.last().unwrap().id;
    let route = |model: &str, asked: Option<&str>| RouteConfig {
        id: Ambient::system().new_id(),
        provider,
        model: model.into(),
        targets: vec![lychgate_link::RouteTarget {
            provider,
            model: asked.map(str::to_owned),
            weight: 1,
        }],
        fallbacks: Vec::new(),
    };
    let routes = vec![route("b/*", None), route("*", Some("a/small"))];
    world.control.configure_routes(providers, routes);
    world.control.until_in_force().await;
    world
}

#[tokio::test]
async fn other_models_are_held_to_the_routes_as_the_model_is() {
    let world = routed().await;
    for (member, goes_on) in [
        (r#""models":["a/small","b/large"]"#, true),
        (r#""provider":{"order":["Together"]},"plugins":[{"id":"web"}]"#, true),
        (r#""models":["a/large"]"#, false),
        (r#""models":["b/large","a/large"]"#, false),
        (r#""models":"a/large""#, false),
        (r#""m\u006fdels":["a/large"]"#, false),
        (r#""models":["a/small"],"models":["a/large"]"#, false),
        (r#""preset":"large""#, false),
        (r#""models":["b/x@preset/large"]"#, false),
        (
            r#""plugins":[{"id":"auto-router","allowed_models":["a/large"]}]"#,
            false,
        ),
        (r#""route":"fallback""#, false),
    ] {
        for path in ["chat/completions", "completions", "responses"] {
            let body = format!(r#"{{"model":"alias",{member}}}"#);
            let mut client = world.post(&format!("/ai/openrouter/v1/{path}"), body.as_bytes()).await;
            if goes_on {
                let sent = seen(&world.provider, client, CHAT).await.body;
                assert_eq!(String::from_utf8(sent).unwrap(), body.replace("alias", "a/small"));
                continue;
            }
            let (head, body) = client.answer().await;
            assert_eq!(head.status, 400, "{member}");
            assert!(String::from_utf8(body).unwrap().contains("invalid_request_error"));
        }
    }
    let mut client = world.post(COMPLETIONS, br#"{"model":"b/x@preset/large"}"#).await;
    assert_eq!(client.answer().await.0.status, 400);
}

#[tokio::test]
async fn without_routes_nothing_is_held() {
    let world = openrouter(|_| {}).await;
    let body = r#"{"model":"a/x","models":["a/y"],"preset":"p","route":"fallback"}"#;
    let client = world.post(COMPLETIONS, body.as_bytes()).await;
    assert_eq!(seen(&world.provider, client, CHAT).await.body, body.as_bytes());
}

#[tokio::test]
async fn the_time_to_the_first_byte_is_that_of_what_the_model_says() {
    let world = openrouter(|policy| policy.relay.keep_alive_seconds = 1).await;
    let verdict = r#"{"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#;
    let before = [": OPENROUTER PROCESSING\n\n".to_owned(), format!("data: {verdict}\n\n")];
    let word = r#"data: {"id":"g","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    for first in before {
        let mut client = world.post(COMPLETIONS, WRITTEN).await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        exchange.chunk(first.as_bytes()).await;
        let head = client.head().await;
        client.at_least(first.len()).await;
        // A filler comes after a second.
        client.at_least(1).await;
        exchange.chunk(format!("{word}\n\ndata: [DONE]\n\n").as_bytes()).await;
        exchange.end().await;
        exchange.done();
        client.rest(&head).await;
    }
    for record in world.control.delivered(2).await {
        assert!(record.time_to_first_byte_ms.unwrap() >= 1_000, "{record:?}");
    }
}
