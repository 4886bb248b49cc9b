//! Providers that refuse to tell usage in a stream, which their clients had not asked for either.

use super::{answer, target};
use crate::support::provider::Exchange;
use crate::support::{Client, End, Provider, World, config};
use flate2::Compression;
use flate2::write::GzEncoder;
use lychgate_gateway::BodyBudgetLimits;
use lychgate_link::RouteConfig;
use lychgate_types::Ambient;
use lychgate_types::policy::StreamUsage;
use lychgate_types::provider::ProviderType;
use std::io::Write as _;

const CHAT: &str = "/ai/openai/v1/chat/completions";
const WRITTEN: &str = r#"{"model":"m","stream":true}"#;
const ASKING: &str = r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#;
const REFUSAL: &str =
    r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error"}}"#;
const FINISH: &str =
    "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

async fn next(world: &World, body: &str) -> Exchange {
    let exchange = world.provider.next().await;
    assert_eq!(String::from_utf8_lossy(&exchange.body), body);
    exchange
}

async fn refuse(mut exchange: Exchange, status: &str) {
    exchange.json(status, "connection: close\r\n", REFUSAL).await;
}

async fn tell(mut exchange: Exchange, client: &mut Client) {
    exchange.stream().await;
    exchange.chunk([FINISH, DONE].concat().as_bytes()).await;
    exchange.end().await;
    exchange.done();
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body), (200, [FINISH, DONE].concat().into_bytes()));
}

#[tokio::test]
async fn a_refusal_is_asked_again_as_the_client_wrote_it_and_remembered_for_the_model() {
    let world = World::new().await;
    for (model, status) in [("\"a\"", "400 Bad Request"), ("\"b\"", "422 Unprocessable Entity")] {
        let [written, asking] = [WRITTEN, ASKING].map(|body| body.replace("\"m\"", model));
        let mut client = world.post(CHAT, written.as_bytes()).await;
        refuse(next(&world, &asking).await, status).await;
        tell(next(&world, &written).await, &mut client).await;
        let mut client = world.post(CHAT, written.as_bytes()).await;
        tell(next(&world, &written).await, &mut client).await;
    }
    let records = world.control.delivered(4).await;
    let attempts: Vec<_> = records.iter().map(|record| record.attempts).collect();
    assert_eq!(attempts, [2, 1, 2, 1], "another model is asked");
    assert!(records.iter().all(|record| record.outcome.as_str() == "completed"));
}

/// What a refusal says may be what the client wrote, and one client must not take the usage of all others off the books.
#[tokio::test]
async fn a_refusal_that_may_quote_the_request_is_not_remembered() {
    let world = World::new().await;
    for quoted in ["stream_options", "\\u0073tream_option\\u0073"] {
        let beside = |body: &str| body.replace(r#""model""#, &format!(r#""user":"{quoted}","model""#));
        let [written, asking] = [WRITTEN, ASKING].map(beside);
        for _ in 0..2 {
            let mut client = world.post(CHAT, written.as_bytes()).await;
            refuse(next(&world, &asking).await, "400 Bad Request").await;
            tell(next(&world, &written).await, &mut client).await;
        }
    }
}

#[tokio::test]
async fn what_is_refused_beside_one_member_is_asked_of_requests_without_it() {
    let world = World::new().await;
    let beside = |body: &str| body.replace(r#""model""#, r#""data_sources":[{"type":"azure_search"}],"model""#);
    let [written, asking] = [WRITTEN, ASKING].map(beside);
    let mut client = world.post(CHAT, written.as_bytes()).await;
    refuse(next(&world, &asking).await, "400 Bad Request").await;
    tell(next(&world, &written).await, &mut client).await;
    // The next one like it is spared the refusal; any other is on the books as ever.
    let mut client = world.post(CHAT, written.as_bytes()).await;
    tell(next(&world, &written).await, &mut client).await;
    let mut client = world.post(CHAT, WRITTEN.as_bytes()).await;
    let mut exchange = next(&world, ASKING).await;
    exchange.stream().await;
    exchange.chunk([FINISH, USAGE, DONE].concat().as_bytes()).await;
    exchange.end().await;
    exchange.done();
    assert_eq!(client.answer().await.1, [FINISH, DONE].concat().into_bytes());
    let last = world.control.delivered(3).await.remove(2);
    let usage = &last.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.estimated),
        (3, 5, false)
    );
}

#[tokio::test]
async fn what_is_refused_either_way_is_not_remembered() {
    let world = World::new().await;
    for _ in 0..2 {
        let mut client = world.post(CHAT, WRITTEN.as_bytes()).await;
        refuse(next(&world, ASKING).await, "400 Bad Request").await;
        refuse(next(&world, WRITTEN).await, "400 Bad Request").await;
        let (head, body) = client.answer().await;
        assert_eq!((head.status, body), (400, REFUSAL.as_bytes().to_vec()));
    }
}

#[tokio::test]
async fn a_rate_limit_is_no_refusal_whatever_it_names() {
    let world = World::new().await;
    let mut client = world.post(CHAT, WRITTEN.as_bytes()).await;
    refuse(next(&world, ASKING).await, "429 Too Many Requests").await;
    assert_eq!(client.answer().await.0.status, 429);
    assert_eq!(world.control.one_record().await.attempts, 1);
}

#[tokio::test]
async fn a_fallback_is_asked_though_the_provider_before_it_refused() {
    let world = World::new().await;
    let second = Provider::start().await;
    let mut providers = world.control.providers();
    let other = config("second", ProviderType::OpenAi, &second.url(""));
    let first = providers
        .iter()
        .find(|known| known.provider_type == ProviderType::OpenAi)
        .unwrap()
        .id;
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: first,
        model: "m*".into(),
        targets: vec![target(first, None)],
        fallbacks: vec![target(other.id, None)],
    };
    providers.push(other);
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;
    let mut client = world.post(CHAT, WRITTEN.as_bytes()).await;
    refuse(next(&world, ASKING).await, "400 Bad Request").await;
    answer(next(&world, WRITTEN).await, "503 Service Unavailable", "").await;
    let exchange = second.next().await;
    assert_eq!(String::from_utf8_lossy(&exchange.body), ASKING);
    tell(exchange, &mut client).await;
    assert_eq!(world.control.one_record().await.provider, "second");
}

#[tokio::test]
async fn the_policy_may_forbid_to_ask_or_to_ask_again() {
    let world = World::with_policy(|policy| policy.relay.stream_usage = StreamUsage::Never).await;
    let mut client = world.post(CHAT, WRITTEN.as_bytes()).await;
    tell(next(&world, WRITTEN).await, &mut client).await;
    let world = World::with_policy(|policy| policy.relay.stream_usage = StreamUsage::Always).await;
    let mut client = world.post(CHAT, WRITTEN.as_bytes()).await;
    refuse(next(&world, ASKING).await, "400 Bad Request").await;
    assert_eq!(client.answer().await.0.status, 400);
}

#[tokio::test]
async fn the_chunk_that_was_asked_for_does_not_reach_the_client_compressed_either() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let whole = gzip(&[FINISH, USAGE, DONE].concat());
    let broken = [gzip(FINISH), b"no gzip at all, but text".to_vec()].concat();
    for (body, wanted, end) in [
        (whole, [FINISH, DONE].concat(), End::Proper),
        (broken, FINISH.to_owned(), End::Cut),
    ] {
        let world = World::new().await;
        let mut client = world.post(CHAT, WRITTEN.as_bytes()).await;
        let mut exchange = next(&world, ASKING).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        exchange.raw(&[head.as_bytes(), &body].concat()).await;
        let head = client.head().await;
        assert_eq!(head.header("content-encoding"), None);
        let (body, ended) = client.rest(&head).await;
        // Of a broken one, what came with the mistake may be missing.
        let is_right = wanted.as_bytes() == body || (end == End::Cut && wanted.as_bytes().starts_with(&body));
        assert!(is_right && ended == end, "{ended:?} {}", String::from_utf8_lossy(&body));
        let record = world.control.one_record().await;
        let is_whole = record.outcome.as_str() == "completed";
        assert_eq!(is_whole, record.token_usages[0].output_tokens == 5);
    }
}

#[tokio::test]
async fn a_body_that_a_route_changes_takes_room_of_its_own() {
    let limits = |one| BodyBudgetLimits { all: 1 << 20, one };
    for (one, status) in [(192 << 10, 429), (256 << 10, 200)] {
        let world = World::with_options(|options| options.body_budget = limits(one)).await;
        let providers = world.control.providers();
        let route = RouteConfig {
            id: Ambient::system().new_id(),
            provider: providers[0].id,
            model: "m*".into(),
            targets: vec![target(providers[0].id, Some("n"))],
            fallbacks: Vec::new(),
        };
        world.control.configure_routes(providers, vec![route]);
        world.control.until_in_force().await;
        let body = format!(r#"{{"model":"m","x":"{}"}}"#, "x".repeat(100 << 10));
        let mut client = world.post("/ai/anthropic/v1/messages", body.as_bytes()).await;
        if status == 200 {
            world.provider.next().await.json("200 OK", "", "{}").await;
        }
        let (head, body) = client.answer().await;
        assert_eq!(head.status, status, "{}", String::from_utf8_lossy(&body));
    }
}
