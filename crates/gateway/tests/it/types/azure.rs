//! Azure OpenAI: the v1 API and the dated ones, and routes to and from OpenAI.

use super::{CHAT, led, seen, world};
use crate::support::{CENTRAL_KEY, Client, Provider, World, config};
use lychgate_types::policy::Models;
use lychgate_types::provider::{Api, ProviderType};

const WRITTEN: &[u8] = br#"{ "model":"gpt-x" ,"temperature":1.0}"#;
const DEPLOYMENT: &str = "/openai/deployments/gpt-x/chat/completions?api-version=2024-10-21";

async fn azure() -> World {
    world("azure", ProviderType::AzureOpenAi, "").await
}

async fn post(world: &World, path: &str, body: &[u8]) -> Client {
    world.post(&format!("/ai/azure{path}"), body).await
}

#[tokio::test]
async fn each_way_to_ask_goes_on_as_it_came_with_the_platforms_key() {
    let world = azure().await;
    let mut count = 0;
    for (path, api, body) in [
        ("/openai/v1/chat/completions", Api::OpenAiChatCompletions, WRITTEN),
        (
            "/openai/v1/embeddings?api-version=preview",
            Api::OpenAiEmbeddings,
            WRITTEN,
        ),
        (DEPLOYMENT, Api::OpenAiChatCompletions, br#"{"messages":[]}"#),
        (
            "/openai/deployments/gpt-x/images/generations?api-version=2024-10-21",
            Api::OpenAiImages,
            br#"{"prompt":"a cat"}"#,
        ),
        (
            "/openai/responses?api-version=2025-04-01-preview",
            Api::OpenAiResponses,
            WRITTEN,
        ),
    ] {
        let token = world.token.expose();
        for headers in [
            format!("api-key: {token}\r\n"),
            format!("authorization: Bearer {token}\r\n"),
        ] {
            let mut client = world.client().await;
            client.send(&format!("POST /ai/azure{path}"), &headers, body).await;
            let exchange = seen(&world.provider, client, CHAT).await;
            assert_eq!(exchange.line, format!("POST {path} HTTP/1.1"));
            assert_eq!(exchange.body, body);
            assert_eq!(exchange.header("api-key"), Some(CENTRAL_KEY));
            assert_eq!(exchange.header("authorization"), None);
            count += 1;
        }
        let record = world.control.delivered(count).await.remove(count - 1);
        assert_eq!((record.api, record.model.as_str()), (api, "gpt-x"), "{path}");
        assert_eq!(record.provider_type, ProviderType::AzureOpenAi);
    }
}

#[tokio::test]
async fn a_key_of_ones_own_goes_on_in_the_header_that_it_came_in() {
    let world = azure().await;
    for header in [
        "api-key: own-0123456789abcdef",
        "authorization: Bearer eyJ0eXAi.own.token",
    ] {
        let mut client = world.client().await;
        let headers = format!("x-lychgate-token: {}\r\n{header}\r\n", world.token.expose());
        client
            .send(&format!("POST /ai/azure{DEPLOYMENT}"), &headers, WRITTEN)
            .await;
        let exchange = seen(&world.provider, client, CHAT).await;
        let of_a_key = |line: &&String| line.starts_with("api-key") || line.starts_with("authorization");
        let keys: Vec<_> = exchange.headers.iter().filter(of_a_key).collect();
        assert_eq!(keys, [header]);
    }
}

#[tokio::test]
async fn a_route_leads_from_openai_to_azure() {
    let (world, second) = (World::new().await, Provider::start().await);
    let target = config("azure", ProviderType::AzureOpenAi, &second.url(""));
    led(&world, "openai", target, Some("my-deployment")).await;
    let client = world
        .post("/ai/openai/v1/chat/completions?a=b&Api%2DVersion=2023-05-15", WRITTEN)
        .await;
    let exchange = seen(&second, client, CHAT).await;
    assert_eq!(exchange.line, "POST /openai/v1/chat/completions?a=b HTTP/1.1");
    assert_eq!(exchange.body, br#"{ "model":"my-deployment" ,"temperature":1.0}"#);
    assert_eq!(exchange.header("api-key"), Some(CENTRAL_KEY));
    assert_eq!(exchange.header("authorization"), None);
    let record = world.control.one_record().await;
    assert_eq!((record.provider.as_str(), record.model.as_str()), ("azure", "gpt-x"));
    // What the answer names is what a price goes by.
    assert_eq!(record.served_model.as_deref(), Some("gpt-x-2026"));
}

#[tokio::test]
async fn a_route_leads_from_azure_to_openai() {
    for (model, path, body, wanted) in [
        (
            None,
            DEPLOYMENT,
            r#"{"messages":[]}"#,
            r#"{"model":"gpt-x","messages":[]}"#,
        ),
        (None, DEPLOYMENT, r#"{"model":"gpt-x"}"#, r#"{"model":"gpt-x"}"#),
        (None, DEPLOYMENT, r#"{"model":"other"}"#, r#"{"model":"gpt-x"}"#),
        (Some("n"), DEPLOYMENT, r#"{"model":"gpt-x"}"#, r#"{"model":"n"}"#),
        (
            Some("n"),
            "/openai/v1/chat/completions?api-version=preview",
            r#"{"model":"gpt-x"}"#,
            r#"{"model":"n"}"#,
        ),
        (
            None,
            "/openai/responses?a=b&API-version=2025-04-01-preview&c",
            r#"{"model":"gpt-x"}"#,
            r#"{"model":"gpt-x"}"#,
        ),
    ] {
        let (world, second) = (azure().await, Provider::start().await);
        let target = config("other", ProviderType::OpenAi, &second.url("/base/v1"));
        led(&world, "azure", target, model).await;
        let client = post(&world, path, body.as_bytes()).await;
        let exchange = seen(&second, client, CHAT).await;
        let line = match path.contains("responses") {
            true => "POST /base/v1/responses?a=b&c HTTP/1.1",
            false => "POST /base/v1/chat/completions HTTP/1.1",
        };
        assert_eq!(exchange.line, line);
        assert_eq!(String::from_utf8(exchange.body.clone()).unwrap(), wanted, "{path}");
        assert_eq!(exchange.header("api-key"), None);
        assert!(exchange.header("authorization").is_some());
        assert_eq!(world.control.one_record().await.model, "gpt-x");
    }
}

#[tokio::test]
async fn a_form_is_led_to_another_type_if_it_names_the_model_itself() {
    let form = |model: &str| {
        format!(
            "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n"
        )
    };
    let (world, second) = (azure().await, Provider::start().await);
    let target = config("other", ProviderType::OpenAi, &second.url("/v1"));
    led(&world, "azure", target, None).await;
    let line = "POST /ai/azure/openai/deployments/whisper/audio/transcriptions?api-version=2024-10-21";
    let kind = "content-type: multipart/form-data; boundary=b\r\n";
    let client = world.send(line, kind, form("whisper").as_bytes()).await;
    let exchange = seen(&second, client, r#"{"text":"hi"}"#).await;
    assert_eq!(exchange.line, "POST /v1/audio/transcriptions HTTP/1.1");
    assert_eq!(exchange.body, form("whisper").into_bytes());
    let mut client = world.send(line, kind, form("other").as_bytes()).await;
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 400, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test]
async fn a_deployment_of_another_resource_takes_the_place_of_the_clients() {
    let (world, second) = (azure().await, Provider::start().await);
    let target = config("other", ProviderType::AzureOpenAi, &second.url("/gw"));
    led(&world, "azure", target, Some("its-own")).await;
    let client = post(&world, DEPLOYMENT, WRITTEN).await;
    let exchange = seen(&second, client, CHAT).await;
    assert_eq!(
        exchange.line,
        "POST /gw/openai/deployments/its-own/chat/completions?api-version=2024-10-21 HTTP/1.1"
    );
    assert_eq!(exchange.body, WRITTEN);
    assert_eq!(world.control.one_record().await.model, "gpt-x");
}

#[tokio::test]
async fn a_filtered_prompt_is_the_clients_error_and_nobody_elses() {
    const REFUSED: &str = r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}"#;
    let world = azure().await;
    let mut providers = world.control.providers();
    for provider in &mut providers {
        provider.policy.retry.max_attempts = 3;
        provider.policy.breaker.failures = 1;
    }
    world.control.configure(providers);
    world.control.until_in_force().await;
    for _ in 0..3 {
        let mut client = post(&world, DEPLOYMENT, WRITTEN).await;
        let mut exchange = world.provider.next().await;
        exchange.json("400 Bad Request", "connection: close\r\n", REFUSED).await;
        let (head, body) = client.answer().await;
        assert_eq!((head.status, body), (400, REFUSED.as_bytes().to_vec()));
    }
    for record in world.control.delivered(3).await {
        assert_eq!(
            (record.attempts, record.error_type.as_deref()),
            (1, Some("content_filter"))
        );
    }
}

#[tokio::test]
async fn that_usage_is_refused_is_remembered_of_one_deployment_and_version() {
    const STREAM: &[u8] = br#"{"stream":true,"messages":[{"role":"user","content":"Hello!"}]}"#;
    const REFUSAL: &str = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    let asks = |body: &[u8]| String::from_utf8_lossy(body).contains("include_usage");
    let world = azure().await;
    let path = |deployment: &str, version: &str| {
        format!("/openai/deployments/{deployment}/chat/completions?api-version={version}")
    };
    let mut client = post(&world, &path("a", "2023-05-15"), STREAM).await;
    const SAID: &str = r#"{"id":"c","choices":[{"index":0,"message":{"content":"Hello!"},"finish_reason":"stop"}]}"#;
    for (is_asked, status, body) in [(true, "400 Bad Request", REFUSAL), (false, "200 OK", SAID)] {
        let mut exchange = world.provider.next().await;
        assert_eq!(asks(&exchange.body), is_asked);
        exchange.json(status, "connection: close\r\n", body).await;
    }
    assert_eq!(client.answer().await.0.status, 200);
    // A stream of which nobody told what it used is not free.
    let record = world.control.one_record().await;
    assert!(record.token_usages[0].estimated && record.token_usages[0].input_tokens > 0);
    for (deployment, version, is_asked) in [
        ("a", "2023-05-15", false),
        ("a", "2024-10-21", true),
        ("b", "2023-05-15", true),
    ] {
        let client = post(&world, &path(deployment, version), STREAM).await;
        let exchange = seen(&world.provider, client, CHAT).await;
        assert_eq!(asks(&exchange.body), is_asked, "{deployment} {version}");
    }
}

/// Azure ignores the case of a parameter's name and resolves its escapes.
#[tokio::test]
async fn a_version_in_another_spelling_is_one() {
    const STREAM: &[u8] = br#"{"model":"a","stream":true}"#;
    const REFUSAL: &str = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    for name in ["API-Version", "api%2dversion", "%41pi-version"] {
        let world = azure().await;
        let old = format!("/openai/deployments/a/chat/completions?{name}=2023-05-15");
        let mut client = post(&world, &old, STREAM).await;
        for status in ["400 Bad Request", "200 OK"] {
            let mut exchange = world.provider.next().await;
            exchange.json(status, "connection: close\r\n", REFUSAL).await;
        }
        assert_eq!(client.answer().await.0.status, 200);
        let client = post(&world, "/openai/v1/chat/completions", STREAM).await;
        let exchange = seen(&world.provider, client, CHAT).await;
        let body = String::from_utf8_lossy(&exchange.body).into_owned();
        assert!(body.contains("include_usage"), "{name}: {body}");
    }
}

#[tokio::test]
async fn a_key_in_the_query_and_a_model_that_is_too_long_are_refused() {
    let world = azure().await;
    for query in ["api-key=k", "Subscription-Key=k", "a=b&ocp%2Dapim-subscription-key=k"] {
        let mut client = post(&world, &format!("/openai/v1/chat/completions?{query}"), WRITTEN).await;
        assert_eq!(client.answer().await.0.status, 401, "{query}");
    }
    let model = "m".repeat(513);
    let path = format!("/openai/deployments/{model}/chat/completions?api-version=2024-10-21");
    let (head, body) = post(&world, &path, WRITTEN).await.answer().await;
    assert_eq!(head.status, 404);
    assert!(body.len() < 2_000, "what strangers are told is short");
}

#[tokio::test]
async fn a_response_is_looked_at_in_its_version_before_it_is_deleted() {
    let world = azure().await;
    let client = post(
        &world,
        "/openai/responses?api-version=v",
        br#"{"model":"m","background":true}"#,
    )
    .await;
    let made = r#"{"id":"resp_a","status":"queued","background":true,"model":"m","output":[],"usage":null}"#;
    seen(&world.provider, client, made).await;
    world.control.delivered(1).await;
    let target = "/openai/responses/resp_a?API%2DVersion=v";
    let mut client = world
        .send(&format!("DELETE /ai/azure{target}&stream=true"), "", b"")
        .await;
    let mut look = world.provider.next().await;
    assert_eq!(look.line, format!("GET {target} HTTP/1.1"));
    look.json("200 OK", "connection: close\r\n", made).await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, format!("DELETE {target}&stream=true HTTP/1.1"));
    exchange.json("200 OK", "", r#"{"deleted":true}"#).await;
    assert_eq!(client.answer().await.0.status, 200);
}

#[tokio::test]
async fn the_list_of_models_is_kept_whatever_version_of_the_api_asks() {
    let world = World::with_policy(|policy| policy.relay.models = Models::Cached).await;
    let mut providers = world.control.providers();
    let mut azure = config("azure", ProviderType::AzureOpenAi, &world.provider.url(""));
    azure.policy = providers[0].policy;
    providers.push(azure);
    world.control.configure(providers);
    world.control.until_in_force().await;
    let asked = "GET /ai/azure/openai/v1/models?api-version=preview";
    let list = r#"{"data":[ {"id":"gpt-x"}]}"#;
    let exchange = seen(&world.provider, world.send(asked, "", b"").await, list).await;
    assert_eq!(exchange.line, "GET /openai/v1/models?api-version=preview HTTP/1.1");
    let (head, body) = world.send(asked, "", b"").await.answer().await;
    assert_eq!(
        (head.status, body.as_slice()),
        (200, br#"{"object":"list","data":[{"id":"gpt-x"}]}"#.as_slice())
    );
}

#[tokio::test]
async fn a_route_holds_a_deployment_in_any_case_as_azure_does() {
    let (world, second) = (azure().await, Provider::start().await);
    let mut providers = world.control.providers();
    let azure = providers.last().unwrap().id;
    let other = config("other", ProviderType::OpenAi, &second.url("/v1"));
    let route = |model: &str| lychgate_link::RouteConfig {
        id: lychgate_types::Ambient::system().new_id(),
        provider: azure,
        model: model.into(),
        targets: vec![lychgate_link::RouteTarget {
            provider: other.id,
            model: Some("n".into()),
            weight: 1,
        }],
        fallbacks: Vec::new(),
    };
    let routes = vec![route("gpt-x"), route("o-*")];
    providers.push(other);
    world.control.configure_routes(providers, routes);
    world.control.until_in_force().await;
    for (path, body) in [
        (
            "/openai/deployments/GPT-X/chat/completions?api-version=1",
            r#"{"model":"GPT-X"}"#,
        ),
        (
            "/openai/deployments/O-mini/chat/completions?api-version=1",
            r#"{"model":"O-mini"}"#,
        ),
        ("/openai/v1/chat/completions", r#"{"model":"Gpt-x"}"#),
    ] {
        let client = post(&world, path, body.as_bytes()).await;
        assert_eq!(seen(&second, client, CHAT).await.body, br#"{"model":"n"}"#, "{path}");
    }
}

#[tokio::test]
async fn a_deployments_name_leads_to_no_other_path() {
    let world = azure().await;
    for name in ["gpt%2Fextensions", "gpt%2fextensions", "a%40b", "a@b"] {
        let path = format!("/openai/deployments/{name}/chat/completions?api-version=1");
        let mut client = post(&world, &path, b"{}").await;
        assert_eq!(client.answer().await.0.status, 404, "{name}");
    }
}
