//! How a WebSocket is opened, or not.

use crate::support::provider::Exchange;
use crate::support::websocket::{PATH, Socket, asking};
use crate::support::{CENTRAL_KEY, Control, World, until};
use lychgate_link::{Message as LinkMessage, ProviderKeyConfig};
use lychgate_types::secret::ProviderSecret;
use lychgate_types::{Ambient, ProviderKeyId};
use std::time::Duration;

fn names(exchange: &Exchange, prefix: &str) -> Vec<String> {
    let names = exchange.headers.iter().filter_map(|line| line.split_once(": "));
    names
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

#[tokio::test]
async fn the_heads_pass_but_for_what_belongs_to_one_hop() {
    let world = World::new().await;
    let mut client = world.client().await;
    let asked = format!(
        "{}openai-beta: responses_websockets=2026-02-06\r\n",
        asking(&world.token)
    );
    client.send(&format!("GET {PATH}?a=b"), &asked, b"").await;
    let exchange = world.provider.next().await;
    assert_eq!(exchange.line, "GET /base/v1/responses?a=b HTTP/1.1");
    assert_eq!(
        exchange.header("authorization"),
        Some(&*format!("Bearer {CENTRAL_KEY}"))
    );
    assert_eq!(exchange.header("openai-beta"), Some("responses_websockets=2026-02-06"));
    assert_eq!(exchange.header("upgrade"), Some("websocket"));
    assert_eq!(
        names(&exchange, "sec-websocket-"),
        ["sec-websocket-version", "sec-websocket-key"]
    );
    assert_ne!(exchange.header("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    let _provider = exchange
        .accept("x-codex-turn-state: t\r\nopenai-model: m\r\nalt-svc: x\r\n")
        .await;
    let head = client.head().await;
    assert_eq!(
        (
            head.header("x-codex-turn-state"),
            head.header("openai-model"),
            head.header("alt-svc")
        ),
        (Some("t"), Some("m"), None)
    );
    Socket::of_client(client, &head).await;
}

#[tokio::test]
async fn where_no_websocket_is_spoken_the_client_is_told_at_once() {
    // By the provider; that is remembered.
    for status in [
        "404 Not Found",
        "405 Method Not Allowed",
        "426 Upgrade Required",
        "200 OK",
    ] {
        let world = World::new().await;
        let mut client = world.ask_websocket().await;
        world.provider.next().await.json(status, "", "{}").await;
        assert_eq!(client.head().await.status, 426, "{status}");
        let mut client = world.ask_websocket().await;
        assert_eq!(client.head().await.status, 426, "{status}");
        assert_eq!(world.control.records(), []);
    }
    // But not what comes of one client's query, or of its own key.
    let world = World::new().await;
    let own = asking(&world.token)
        .replace("authorization: Bearer ", "x-lychgate-token: ")
        .replace(
            "connection:",
            "authorization: Bearer sk-own-0123456789abcdef\r\nconnection:",
        );
    for (query, headers) in [("?a=b", &asking(&world.token)), ("", &own)] {
        let mut client = world.client().await;
        client.send(&format!("GET {PATH}{query}"), headers, b"").await;
        world.provider.next().await.json("404 Not Found", "", "{}").await;
        assert_eq!(client.head().await.status, 426);
        world.websocket().await;
    }
    // Elsewhere than on one path, or where it is switched off.
    let world = World::with_policy(|policy| policy.relay.websocket = false).await;
    let on = World::new().await;
    for (world, path) in [
        (&world, PATH),
        (&on, "/ai/openai/v1/responses/compact"),
        (&on, "/ai/openai/v1/chat/completions"),
        (&on, "/ai/anthropic/v1/messages"),
    ] {
        let mut client = world.client().await;
        client.send(&format!("GET {path}"), &asking(&world.token), b"").await;
        assert_eq!(client.head().await.status, 426, "{path}");
    }
    // What is no proper handshake.
    for (from, to) in [("version: 13", "version: 8"), ("sec-websocket-key", "x-key")] {
        let mut client = on.client().await;
        let asked = asking(&on.token).replace(from, to);
        client.send(&format!("GET {PATH}"), &asked, b"").await;
        assert_eq!(client.head().await.status, 426, "{to}");
    }
}

#[tokio::test]
async fn a_token_that_does_not_work_opens_none() {
    let world = World::new().await;
    let mut client = world.client().await;
    let stranger = Control::new().valid_token();
    client.send(&format!("GET {PATH}"), &asking(&stranger), b"").await;
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 401);
    assert!(String::from_utf8(body).unwrap().contains("not known"));
}

#[tokio::test]
async fn a_refused_key_gives_way_to_another_and_a_refusal_is_the_clients() {
    let world = World::new().await;
    let mut providers = world.control.providers();
    providers[1].policy.retry.max_attempts = 3;
    providers[1].policy.retry.base_delay_ms = 1;
    providers[1].keys = ["sk-key-aaaa-0123456789", "sk-key-bbbb-0123456789"]
        .map(|key| ProviderKeyConfig {
            id: Ambient::system().new_id::<ProviderKeyId>(),
            secret: ProviderSecret::new(key.to_owned()),
        })
        .into();
    world.control.configure(providers);
    world.control.until_in_force().await;
    let mut client = world.ask_websocket().await;
    let mut first = world.provider.next().await;
    let refused = first.header("authorization").unwrap().to_owned();
    first.json("401 Unauthorized", "", "{}").await;
    let second = world.provider.next().await;
    assert_ne!(second.header("authorization").unwrap(), refused);
    let _provider = second.accept("").await;
    let head = client.head().await;
    Socket::of_client(client, &head).await;
    // Too busy, three times.
    let mut client = world.ask_websocket().await;
    for _ in 0..3 {
        world
            .provider
            .next()
            .await
            .json("503 Service Unavailable", "", r#"{"error":{"message":"busy"}}"#)
            .await;
    }
    let (head, body) = client.answer().await;
    assert_eq!((head.status, &*body), (503, &br#"{"error":{"message":"busy"}}"#[..]));
}

#[tokio::test]
async fn what_is_told_while_it_is_opened_holds_for_it() {
    for revoked in [true, false] {
        let world = World::new().await;
        let client = world.ask_websocket().await;
        let asked = world.provider.next().await;
        if revoked {
            world.control.revoke(&world.token);
        } else {
            world.control.push(&LinkMessage::Drain);
        }
        world.reconfigure().await;
        let _provider = asked.accept("").await;
        let mut client = client;
        let head = client.head().await;
        let mut client = Socket::of_client(client, &head).await;
        if revoked {
            assert_eq!(client.error().await["status"], 401);
            assert_eq!(client.closed().await.0, 1008);
        } else {
            assert_eq!(client.closed().await.0, 1001);
        }
    }
}

#[tokio::test]
async fn a_provider_that_answers_wrongly_opens_none() {
    let world = World::new().await;
    let mut client = world.ask_websocket().await;
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n";
    world.provider.next().await.raw(switched).await;
    assert_eq!(client.head().await.status, 502);
    until(|| world.gateway.in_flight() == 0).await;
}

#[tokio::test]
async fn a_provider_that_does_not_open_a_websocket_is_given_up() {
    let world = World::new().await;
    let mut client = world.ask_websocket().await;
    let silent = world.provider.next().await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(client.head().await.status, 504);
    assert!(began.elapsed() >= Duration::from_secs(29), "{:?}", began.elapsed());
    silent.until_closed().await;
}
