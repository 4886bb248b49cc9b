use super::{BUSY, MESSAGES, REQUEST, answer, change, eager, give_keys, key};
use crate::support::World;
use std::time::Duration;
use tokio::time::Instant;

const A: &str = "sk-key-aaaa-0123456789";
const B: &str = "sk-key-bbbb-0123456789";

async fn two_keys() -> World {
    let world = World::with_policy(eager).await;
    give_keys(&world, &[A, B]).await;
    world
}

/// Sends a request, answers with `status`, and returns the key that it came with.
async fn ask(world: &World, status: &str) -> String {
    let mut client = world.post(MESSAGES, REQUEST).await;
    let exchange = world.provider.next().await;
    let key = key(&exchange);
    answer(exchange, status, "").await;
    client.answer().await;
    key
}

#[tokio::test]
async fn a_refused_key_cools_down_and_another_one_is_used_at_once() {
    const POOR: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#;
    for (status, headers, body) in [
        ("401 Unauthorized", "", BUSY),
        ("401 Unauthorized", "x-should-retry: false\r\n", BUSY),
        ("402 Payment Required", "", BUSY),
        ("403 Forbidden", "", BUSY),
        ("429 Too Many Requests", "", BUSY),
        ("429 Too Many Requests", "x-should-retry: false\r\n", BUSY),
        ("400 Bad Request", "", POOR),
    ] {
        let world = two_keys().await;
        let mut client = world.post(MESSAGES, REQUEST).await;
        let mut first = world.provider.next().await;
        let refused = key(&first);
        first
            .json(status, &format!("connection: close\r\n{headers}"), body)
            .await;
        let second = world.provider.next().await;
        let good = key(&second);
        assert_ne!(refused, good);
        answer(second, "200 OK", "").await;
        assert_eq!(client.answer().await.0.status, 200);
        for _ in 0..4 {
            assert_eq!(ask(&world, "200 OK").await, good);
        }
        let records = world.control.delivered(5).await;
        assert_eq!((records[0].attempts, records[1].attempts), (2, 1));
        let hint = format!("sk-k…{}", &good[good.len() - 4..]);
        assert_eq!(records[0].credential_hint, hint);
        // The cooldown of a key survives a change of its provider.
        change(&world, |provider| provider.policy.key_cooldown_seconds = 9).await;
        for _ in 0..3 {
            assert_eq!(ask(&world, "200 OK").await, good);
        }
    }
}

#[tokio::test]
async fn a_key_comes_back_when_the_provider_said() {
    let world = two_keys().await;
    let mut client = world.post(MESSAGES, REQUEST).await;
    let first = world.provider.next().await;
    let limited = key(&first);
    let since = Instant::now();
    answer(first, "429 Too Many Requests", "retry-after-ms: 400\r\n").await;
    answer(world.provider.next().await, "200 OK", "").await;
    client.answer().await;
    while ask(&world, "200 OK").await != limited {
        assert!(since.elapsed() < Duration::from_secs(20), "it never came back");
    }
    assert!(since.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn the_only_key_is_used_even_if_it_was_refused() {
    let world = World::with_policy(eager).await;
    for _ in 0..3 {
        let mut client = world.post(MESSAGES, REQUEST).await;
        answer(world.provider.next().await, "401 Unauthorized", "").await;
        assert_eq!(client.answer().await.0.status, 401);
    }
    assert!(
        world
            .control
            .delivered(3)
            .await
            .iter()
            .all(|record| record.attempts == 1)
    );
}

#[tokio::test]
async fn unrecorded_requests_rotate_keys_too_and_are_sent_once() {
    let world = two_keys().await;
    let list = async |status: &str| {
        let mut client = world.send("GET /ai/anthropic/v1/models", "", b"").await;
        let exchange = world.provider.next().await;
        let key = key(&exchange);
        answer(exchange, status, "").await;
        assert!(status.starts_with(&client.answer().await.0.status.to_string()));
        key
    };
    let refused = list("401 Unauthorized").await;
    for _ in 0..4 {
        assert_ne!(list("500 Internal Server Error").await, refused);
    }
    assert_ne!(ask(&world, "200 OK").await, refused);
    assert_eq!(world.gateway.passed_through(), 5);
}

#[tokio::test]
async fn a_users_own_key_neither_rotates_nor_cools_down() {
    let world = two_keys().await;
    let own = "sk-own-abcdefghijkl-7890";
    let token = world.token.expose().to_owned();
    for (status, attempts) in [
        ("401 Unauthorized", 1),
        ("403 Forbidden", 1),
        ("429 Too Many Requests", 3),
        ("503 Service Unavailable", 3),
    ] {
        let mut client = world.client().await;
        let headers = format!("x-lychgate-token: {token}\r\nx-api-key: {own}\r\n");
        client.send(&format!("POST {MESSAGES}"), &headers, REQUEST).await;
        for _ in 0..attempts {
            let exchange = world.provider.next().await;
            assert_eq!(key(&exchange), own);
            answer(exchange, status, "").await;
        }
        assert!(status.starts_with(&client.answer().await.0.status.to_string()));
    }
    // The central keys are not affected.
    let mut keys = [ask(&world, "200 OK").await, ask(&world, "200 OK").await];
    keys.sort();
    assert_eq!(keys, [A, B]);
    let records = world.control.delivered(6).await;
    assert!(
        records[..4]
            .iter()
            .all(|record| record.credential_kind.as_str() == "byok" && record.credential_hint == "sk-o…7890")
    );
}
