//! Providers that can't serve, or may not be connected to.

use super::refused;
use crate::support::provider::Provider;
use crate::support::{Client, Control, config, ready, start};
use lychgate_types::Ambient;
use lychgate_types::provider::ProviderType;

#[tokio::test]
async fn providers_that_cant_serve_say_why() {
    let control = Control::new();
    let token = control.valid_token();
    let mut disabled = config("off", ProviderType::Anthropic, "http://127.0.0.1:1");
    disabled.enabled = false;
    let mut keyless = config("keyless", ProviderType::OpenAi, "http://127.0.0.1:1");
    keyless.keys.clear();
    control.configure(vec![disabled, keyless]);
    let (gateway, address) = start(&control, |_| {}, Ambient::system()).await;
    ready(&gateway).await;
    for (path, says) in [
        ("/ai/off/v1/messages", "disabled"),
        ("/ai/keyless/v1/responses", "no key"),
    ] {
        let mut client = Client::connect(address).await;
        client
            .send(
                &format!("POST {path}"),
                &format!("authorization: Bearer {}\r\n", token.expose()),
                b"{}",
            )
            .await;
        let (_, body) = refused(&mut client, 503).await;
        assert!(body.contains(says), "{body}");
    }
}

/// A setting that is not known may say where the key goes.
#[tokio::test]
async fn a_provider_with_a_setting_of_a_newer_version_gets_nothing() {
    let provider = Provider::start().await;
    let control = Control::new();
    let token = control.valid_token();
    let mut newer = config("newer", ProviderType::AzureOpenAi, &provider.url(""));
    newer.settings = [("credential".to_owned(), "moonlight".to_owned())]
        .into_iter()
        .collect();
    control.configure(vec![newer]);
    let (gateway, address) = start(&control, |_| {}, Ambient::system()).await;
    ready(&gateway).await;
    let mut client = Client::connect(address).await;
    let bearer = format!("authorization: Bearer {}\r\n", token.expose());
    let line = "POST /ai/newer/openai/v1/chat/completions";
    client.send(line, &bearer, br#"{"model":"m"}"#).await;
    let (_, body) = refused(&mut client, 502).await;
    assert!(body.contains("its setting `credential`"), "{body}");
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let provider = Provider::start().await;
    let control = Control::new();
    let token = control.valid_token();
    let port = provider.address().port();
    let mut named = config("named", ProviderType::Anthropic, &format!("http://localhost:{port}"));
    let mut literal = config("literal", ProviderType::Anthropic, &format!("http://127.0.0.1:{port}"));
    let mut mapped = config(
        "mapped",
        ProviderType::OpenAi,
        &format!("http://[::ffff:127.0.0.1]:{port}/v1"),
    );
    for provider in [&mut named, &mut literal, &mut mapped] {
        provider.allow_private = false;
    }
    let mut odd = config("odd", ProviderType::OpenAi, &format!("http://0x7f.1:{port}/v1"));
    odd.allow_private = false;
    control.configure(vec![named.clone(), literal.clone(), mapped, odd]);
    let (gateway, address) = start(&control, |_| {}, Ambient::system()).await;
    ready(&gateway).await;
    let ask = async |path: &str| {
        let mut client = Client::connect(address).await;
        client
            .send(
                &format!("POST {path}"),
                &format!("authorization: Bearer {}\r\n", token.expose()),
                b"{}",
            )
            .await;
        client
    };
    for path in [
        "/ai/named/v1/messages",
        "/ai/literal/v1/messages",
        "/ai/mapped/v1/responses",
        "/ai/odd/v1/responses",
    ] {
        let (_, body) = refused(&mut ask(path).await, 502).await;
        assert!(path.contains("odd") || body.contains("allow_private"), "{path}: {body}");
    }
    // Once it is allowed, the same provider is reached.
    (named.allow_private, literal.allow_private) = (true, true);
    control.configure(vec![named, literal]);
    control.until_in_force().await;
    for path in ["/ai/named/v1/messages", "/ai/literal/v1/messages"] {
        let mut client = ask(path).await;
        provider
            .next()
            .await
            .json("200 OK", "connection: close\r\n", "{}")
            .await;
        assert_eq!(client.answer().await.0.status, 200);
    }
}
