use super::{MESSAGES, REQUEST, answer, change, with_fallback};
use crate::support::World;
use lychgate_types::policy::ProviderPolicy;
use std::time::Duration;
use tokio::time::Instant;

fn touchy(policy: &mut ProviderPolicy) {
    policy.breaker.failures = 2;
    policy.breaker.open_seconds = 1;
}

async fn fail(world: &World, status: &str) {
    let mut client = world.post(MESSAGES, REQUEST).await;
    answer(world.provider.next().await, status, "").await;
    assert!(status.starts_with(&client.answer().await.0.status.to_string()));
}

/// Sends requests until one reaches the provider, which answers with `status`; returns how often the gateway refused before.
async fn until_asked(world: &World, status: &str) -> usize {
    let start = Instant::now();
    for refusals in 0.. {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it never lets anybody through"
        );
        let mut client = world.post(MESSAGES, REQUEST).await;
        tokio::select! {
            exchange = world.provider.next() => {
                answer(exchange, status, "").await;
                client.answer().await;
                return refusals;
            }
            (head, body) = client.answer() => {
                assert_eq!(head.status, 503);
                assert_eq!(head.header("retry-after"), Some("1"));
                assert_eq!(head.header("x-lychgate-interception-id"), None);
                assert!(String::from_utf8(body).unwrap().contains("circuit breaker"));
            }
        }
    }
    unreachable!()
}

#[tokio::test]
async fn it_opens_probes_and_closes() {
    let world = World::with_policy(touchy).await;
    fail(&world, "500 Internal Server Error").await;
    fail(&world, "529 Overloaded").await;
    let opened = Instant::now();
    assert!(until_asked(&world, "503 Service Unavailable").await > 0);
    assert!(opened.elapsed() >= Duration::from_millis(900));
    // The probe fails, and the breaker opens again. The next one succeeds.
    assert!(until_asked(&world, "200 OK").await > 0);
    for _ in 0..2 {
        assert_eq!(until_asked(&world, "200 OK").await, 0);
    }
    let records = world.control.delivered(6).await;
    assert!(
        records.iter().all(|record| record.attempts == 1),
        "refusals leave no record"
    );
}

#[tokio::test]
async fn other_models_and_other_keys_are_not_affected() {
    let world = World::with_policy(|policy| {
        touchy(policy);
        policy.breaker.open_seconds = 3600;
    })
    .await;
    fail(&world, "503 Service Unavailable").await;
    fail(&world, "503 Service Unavailable").await;
    assert_eq!(world.post(MESSAGES, REQUEST).await.answer().await.0.status, 503);

    let mut client = world.post(MESSAGES, br#"{"model":"other"}"#).await;
    answer(world.provider.next().await, "200 OK", "").await;
    assert_eq!(client.answer().await.0.status, 200);

    let mut client = world.client().await;
    let own = format!(
        "x-lychgate-token: {}\r\nx-api-key: sk-own-abcdefghijkl-7890\r\n",
        world.token.expose()
    );
    client.send(&format!("POST {MESSAGES}"), &own, REQUEST).await;
    answer(world.provider.next().await, "200 OK", "").await;
    assert_eq!(client.answer().await.0.status, 200);

    // A disabled breaker refuses nothing.
    change(&world, |provider| provider.policy.breaker.failures = 0).await;
    assert_eq!(until_asked(&world, "200 OK").await, 0);
}

#[tokio::test]
async fn broken_streams_and_connections_count_and_statuses_below_the_policys_do_not() {
    let world = World::with_policy(|policy| {
        touchy(policy);
        policy.breaker.failure_status = 503;
        policy.breaker.open_seconds = 3600;
    })
    .await;
    for status in ["429 Too Many Requests", "500 Internal Server Error", "404 Not Found"] {
        for _ in 0..3 {
            fail(&world, status).await;
        }
    }
    let mut client = world.post(MESSAGES, REQUEST).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(b"event: ping\ndata: {}\n\n").await;
    drop(exchange);
    let head = client.head().await;
    client.rest(&head).await;

    let mut client = world.post(MESSAGES, REQUEST).await;
    drop(world.provider.next().await);
    assert_eq!(client.answer().await.0.status, 502);

    let (head, _) = world.post(MESSAGES, REQUEST).await.answer().await;
    assert_eq!((head.status, head.header("retry-after")), (503, Some("3600")));
}

#[tokio::test]
async fn an_open_breaker_fails_over_at_once() {
    let (world, second) = with_fallback(|policy| {
        touchy(policy);
        policy.breaker.open_seconds = 3600;
    })
    .await;
    for round in 0..4 {
        let mut client = world.post(MESSAGES, REQUEST).await;
        if round < 2 {
            answer(world.provider.next().await, "503 Service Unavailable", "").await;
        }
        answer(second.next().await, "200 OK", "").await;
        assert_eq!(client.answer().await.0.status, 200);
    }
    let attempts: Vec<u32> = world
        .control
        .delivered(4)
        .await
        .iter()
        .map(|record| record.attempts)
        .collect();
    assert_eq!(attempts, [2, 2, 1, 1]);
}
