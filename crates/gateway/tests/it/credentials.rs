//! Which credential is sent to the provider.

use crate::support::{CENTRAL_KEY, World};

#[tokio::test]
async fn the_central_key_replaces_the_token() {
    let world = World::new().await;
    let token = world.token.expose().to_owned();
    for (path, auth, sent, absent) in [
        (
            "/ai/anthropic/v1/messages",
            format!("x-api-key: {token}"),
            ("x-api-key", CENTRAL_KEY.to_owned()),
            "authorization",
        ),
        (
            "/ai/anthropic/v1/messages",
            format!("Authorization: Bearer {token}"),
            ("x-api-key", CENTRAL_KEY.into()),
            "authorization",
        ),
        (
            "/ai/openai/v1/responses",
            format!("authorization: Bearer {token}"),
            ("authorization", format!("Bearer {CENTRAL_KEY}")),
            "x-api-key",
        ),
        (
            "/ai/openai/v1/responses",
            format!("x-api-key: {token}"),
            ("authorization", format!("Bearer {CENTRAL_KEY}")),
            "x-api-key",
        ),
    ] {
        let mut client = world.client().await;
        client
            .send(
                &format!("POST {path}"),
                &format!("{auth}\r\nconnection: close\r\n"),
                b"{}",
            )
            .await;
        let mut exchange = world.provider.next().await;
        assert_eq!(exchange.header(sent.0), Some(sent.1.as_str()), "{path} {auth}");
        assert_eq!(exchange.header(absent), None, "{path} {auth}");
        assert!(!exchange.headers.iter().any(|header| header.contains(&token)));
        exchange.json("200 OK", "connection: close\r\n", "{}").await;
        client.answer().await;
    }
    for record in world.control.delivered(4).await {
        assert_eq!(
            (record.credential_kind.as_str(), record.credential_hint.as_str()),
            ("centralized", "sk-c…6789")
        );
        assert_eq!(record.token_hash, world.token.hash());
    }
}

#[tokio::test]
async fn a_users_own_key_goes_upstream_and_the_token_does_not() {
    let world = World::new().await;
    let token = world.token.expose().to_owned();
    let own = "sk-own-abcdefghijkl-7890";
    for (path, auth, sent, absent) in [
        (
            "/ai/anthropic/v1/messages",
            format!("x-api-key: {own}\r\nauthorization: Bearer sk-other"),
            ("x-api-key", own.to_owned()),
            "authorization",
        ),
        (
            "/ai/anthropic/v1/messages",
            format!("authorization: Bearer {own}"),
            ("authorization", format!("Bearer {own}")),
            "x-api-key",
        ),
        (
            "/ai/openai/v1/responses",
            format!("authorization: Bearer {own}\r\nx-api-key: sk-stray"),
            ("authorization", format!("Bearer {own}")),
            "x-api-key",
        ),
    ] {
        let mut client = world.client().await;
        client
            .send(
                &format!("POST {path}"),
                &format!("X-Lychgate-Token: {token}\r\n{auth}\r\n"),
                b"{}",
            )
            .await;
        let mut exchange = world.provider.next().await;
        assert_eq!(exchange.header(sent.0), Some(sent.1.as_str()), "{auth}");
        assert_eq!(exchange.header(absent), None, "{auth}");
        assert!(
            !exchange
                .headers
                .iter()
                .any(|header| header.contains(&token) || header.contains(CENTRAL_KEY))
        );
        exchange.json("200 OK", "connection: close\r\n", "{}").await;
        client.answer().await;
    }
    for record in world.control.delivered(3).await {
        assert_eq!(
            (record.credential_kind.as_str(), record.credential_hint.as_str()),
            ("byok", "sk-o…7890")
        );
    }
}

#[tokio::test]
async fn the_token_reaches_no_provider_in_any_header() {
    let world = World::new().await;
    let token = world.token.expose().to_owned();
    for (path, headers) in [
        (
            "POST /ai/openai/v1/responses",
            format!("authorization: Bearer {token}\r\napi-key: {token}\r\n"),
        ),
        ("POST /ai/openai/v1/responses", format!("api-key: {token}\r\n")),
        ("POST /ai/anthropic/v1/messages", format!("x-goog-api-key: {token}\r\n")),
        (
            "GET /ai/openai/v1/models",
            format!("authorization: bearer\t{token}\r\nx-own: Bearer a,{token}\r\n"),
        ),
        (
            "GET /ai/anthropic/v1/models",
            format!("x-api-key: {token}\r\nx_lychgate_token: {token}\r\n"),
        ),
        (
            "GET /ai/anthropic/v1/models",
            format!("x-lychgate-token: {token}\r\nx-api-key: sk-own\r\nx-debug: {token}\r\n"),
        ),
    ] {
        let mut client = world.client().await;
        let body = if path.starts_with("POST") { &b"{}"[..] } else { b"" };
        client.send(path, &headers, body).await;
        let mut exchange = world.provider.next().await;
        assert!(!exchange.headers.iter().any(|header| header.contains(&token)), "{path}");
        exchange.json("200 OK", "connection: close\r\n", "{}").await;
        assert_eq!(client.answer().await.0.status, 200);
    }
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_with_the_reason() {
    let world = World::new().await;
    let token = world.token.expose().to_owned();
    for (target, headers) in [
        (format!("/ai/openai/v1/models?key={token}"), String::new()),
        (
            format!("/ai/anthropic/v1/models?api_key={token}"),
            format!("x-api-key: {token}\r\n"),
        ),
        (
            format!("/ai/openai/v1/models/{token}"),
            format!("authorization: Bearer {token}\r\n"),
        ),
    ] {
        let mut client = world.client().await;
        client.send(&format!("GET {target}"), &headers, b"").await;
        let (head, body) = client.answer().await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!(head.status, 401, "{body}");
        assert!(body.contains("send it in a header") && !body.contains(&token), "{body}");
    }
}
