//! Azure AI Foundry: Anthropic's Messages, and routes to and from Anthropic.

use super::{led, seen, world};
use crate::support::{CENTRAL_KEY, Provider, World, config};
use lychgate_types::provider::{Api, ProviderType};

const WRITTEN: &[u8] = br#"{ "model":"claude-x","max_tokens":1.0 }"#;
const MESSAGE: &str =
    r#"{"id":"msg_1","type":"message","model":"claude-x-20260101","usage":{"input_tokens":3,"output_tokens":5}}"#;

async fn foundry() -> World {
    world("foundry", ProviderType::AzureFoundry, "/anthropic").await
}

#[tokio::test]
async fn messages_go_on_as_they_came_with_the_platforms_key() {
    let world = foundry().await;
    let token = world.token.expose();
    // The SDK for Foundry sends both.
    for headers in [
        format!("x-api-key: {token}\r\napi-key: {token}\r\n"),
        format!("api-key: {token}\r\n"),
        format!("authorization: Bearer {token}\r\n"),
    ] {
        let mut client = world.client().await;
        client
            .send("POST /ai/foundry/v1/messages?beta=true", &headers, WRITTEN)
            .await;
        let exchange = seen(&world.provider, client, MESSAGE).await;
        assert_eq!(exchange.line, "POST /anthropic/v1/messages?beta=true HTTP/1.1");
        assert_eq!(exchange.body, WRITTEN);
        assert_eq!(exchange.header("x-api-key"), Some(CENTRAL_KEY));
        assert_eq!(
            (exchange.header("api-key"), exchange.header("authorization")),
            (None, None)
        );
    }
    let record = world.control.delivered(3).await.remove(2);
    assert_eq!(
        (record.api, record.provider_type),
        (Api::AnthropicMessages, ProviderType::AzureFoundry)
    );
    let client = world.post("/ai/foundry/v1/messages/count_tokens", WRITTEN).await;
    let exchange = seen(&world.provider, client, r#"{"input_tokens":3}"#).await;
    assert_eq!(exchange.line, "POST /anthropic/v1/messages/count_tokens HTTP/1.1");
}

#[tokio::test]
async fn what_foundry_lacks_is_refused_with_what_it_has() {
    let world = foundry().await;
    for line in [
        "GET /ai/foundry/v1/models?limit=1000",
        "POST /ai/foundry/v1/messages/batches",
        "POST /ai/foundry/v1/files",
        "POST /ai/foundry/openai/deployments/claude-x/chat/completions",
        "POST /ai/foundry/v1/messages/v1/messages",
    ] {
        let mut client = world.send(line, "", b"").await;
        let (head, body) = client.answer().await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!(head.status, 404, "{line}");
        assert!(
            body.contains(r#""type":"not_found_error""#) && body.contains("/v1/messages"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn routes_lead_from_anthropic_to_foundry_and_back() {
    for (from, path, to, base, line) in [
        (
            "anthropic",
            "/v1/messages?beta=true",
            ProviderType::AzureFoundry,
            "/anthropic",
            "POST /anthropic/v1/messages?beta=true HTTP/1.1",
        ),
        (
            "foundry",
            "/v1/messages",
            ProviderType::Anthropic,
            "",
            "POST /v1/messages HTTP/1.1",
        ),
    ] {
        let (world, second) = (foundry().await, Provider::start().await);
        led(&world, from, config("second", to, &second.url(base)), Some("deployed")).await;
        let client = world.post(&format!("/ai/{from}{path}"), WRITTEN).await;
        let exchange = seen(&second, client, MESSAGE).await;
        assert_eq!(exchange.line, line);
        assert_eq!(exchange.body, br#"{ "model":"deployed","max_tokens":1.0 }"#);
        let record = world.control.one_record().await;
        assert_eq!(
            (record.provider.as_str(), record.model.as_str()),
            ("second", "claude-x")
        );
        assert_eq!(record.served_model.as_deref(), Some("claude-x-20260101"));
    }
}
