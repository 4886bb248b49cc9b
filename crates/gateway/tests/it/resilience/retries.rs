use super::{GOOD, MESSAGES, REQUEST, answer, eager};
use crate::support::{End, World, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_failure_is_retried_with_the_same_bytes() {
    let world = World::with_policy(eager).await;
    let body = b"{ \"model\" : \"m\",\n \"x\":1.0 }";
    let mut client = world
        .send(&format!("POST {MESSAGES}?beta=true"), "anthropic-beta: a\r\n", body)
        .await;
    let first = world.provider.next().await;
    let (line, headers) = (first.line.clone(), first.headers.clone());
    answer(first, "500 Internal Server Error", "").await;
    for round in 0..2 {
        let exchange = world.provider.next().await;
        assert_eq!(exchange.body, body);
        assert_eq!((&exchange.line, &exchange.headers), (&line, &headers));
        if round == 0 {
            drop(exchange);
        } else {
            answer(exchange, "200 OK", "request-id: req_3\r\n").await;
        }
    }
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body), (200, GOOD.as_bytes().to_vec()));
    let record = world.control.one_record().await;
    assert_eq!(
        (record.attempts, record.outcome.as_str(), record.upstream_status),
        (3, "completed", Some(200))
    );
    assert_eq!(record.provider_request_id.as_deref(), Some("req_3"));
    assert_eq!(
        (record.token_usages.len(), record.token_usages[0].output_tokens),
        (1, 2)
    );
}

#[tokio::test]
async fn the_last_answer_is_relayed_unchanged() {
    let world = World::with_policy(eager).await;
    let mut client = world.post(MESSAGES, REQUEST).await;
    for attempt in 1..=3 {
        let headers = format!("retry-after: 0\r\nrequest-id: req_{attempt}\r\n");
        answer(world.provider.next().await, "429 Too Many Requests", &headers).await;
    }
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body), (429, super::BUSY.as_bytes().to_vec()));
    assert_eq!(head.header("retry-after"), Some("0"));
    assert_eq!(head.header("request-id"), Some("req_3"));
    let record = world.control.one_record().await;
    assert_eq!((record.attempts, record.upstream_status), (3, Some(429)));
    assert_eq!(record.error_type.as_deref(), Some("overloaded_error"));
    assert!(record.token_usages.is_empty());
}

#[tokio::test]
async fn what_a_retry_can_not_mend_is_relayed_at_once() {
    let world = World::with_policy(eager).await;
    for (status, headers, attempts) in [
        ("400 Bad Request", "", 1),
        ("404 Not Found", "", 1),
        ("500 Internal Server Error", "x-should-retry: false\r\n", 1),
        ("429 Too Many Requests", "retry-after: 60\r\n", 1),
        ("400 Bad Request", "x-should-retry: true\r\n", 3),
        ("409 Conflict", "", 3),
    ] {
        let mut client = world.post(MESSAGES, REQUEST).await;
        for _ in 0..attempts {
            answer(world.provider.next().await, status, headers).await;
        }
        let head = client.answer().await.0;
        assert!(status.starts_with(&head.status.to_string()), "{status} {headers}");
    }
    let attempts: Vec<u32> = world
        .control
        .delivered(6)
        .await
        .iter()
        .map(|record| record.attempts)
        .collect();
    assert_eq!(attempts, [1, 1, 1, 1, 3, 3]);
}

#[tokio::test]
async fn the_wait_that_a_provider_asks_for_is_respected() {
    let world = World::with_policy(eager).await;
    let mut client = world.post(MESSAGES, REQUEST).await;
    let asked = Instant::now();
    answer(
        world.provider.next().await,
        "503 Service Unavailable",
        "retry-after-ms: 300\r\n",
    )
    .await;
    let second = world.provider.next().await;
    assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
    answer(second, "200 OK", "").await;
    assert_eq!(client.answer().await.0.status, 200);
}

#[tokio::test]
async fn retries_stay_within_the_budget() {
    const REQUESTS: usize = 100;
    let world = World::with_policy(|policy| {
        eager(policy);
        policy.retry.max_attempts = 10;
    })
    .await;
    let World {
        provider,
        control,
        address,
        token,
        ..
    } = world;
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let storm = tokio::spawn(async move {
        loop {
            let exchange = provider.next().await;
            counted.fetch_add(1, Ordering::Relaxed);
            answer(exchange, "429 Too Many Requests", "retry-after: 0\r\n").await;
        }
    });
    let bearer = format!("authorization: Bearer {}\r\n", token.expose());
    let clients = (0..REQUESTS).map(|_| async {
        let mut client = crate::support::Client::connect(address).await;
        client.send(&format!("POST {MESSAGES}"), &bearer, REQUEST).await;
        client.answer().await.0.status
    });
    let statuses = futures_util::future::join_all(clients).await;
    assert!(statuses.iter().all(|status| *status == 429), "{statuses:?}");
    let records = control.delivered(REQUESTS).await;
    let attempts: u32 = records.iter().map(|record| record.attempts).sum();
    let seen = seen.load(Ordering::Relaxed);
    assert_eq!(seen, attempts as usize);
    assert!((REQUESTS + 10..=REQUESTS + REQUESTS / 5).contains(&seen), "{seen}");
    storm.abort();
}

#[tokio::test]
async fn a_client_that_disconnects_ends_the_backoff() {
    let world = World::with_policy(|policy| {
        policy.retry.max_attempts = 3;
        policy.retry.max_delay_ms = 120_000;
    })
    .await;
    let client = world.post(MESSAGES, REQUEST).await;
    let exchange = world.provider.next().await;
    answer(exchange, "503 Service Unavailable", "retry-after: 100\r\n").await;
    drop(client);
    let record = world.control.one_record().await;
    assert_eq!(
        (record.outcome.as_str(), record.attempts, record.upstream_status),
        ("client_aborted", 1, Some(503))
    );
    assert!(record.token_usages.is_empty(), "nothing was under way");
    until(|| world.gateway.in_flight() == 0).await;
}

#[tokio::test]
async fn a_failure_after_the_first_byte_is_not_retried() {
    let world = World::with_policy(eager).await;
    let start = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let mut client = world.post(MESSAGES, br#"{"model":"m","stream":true}"#).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(start).await;
    drop(exchange);
    let head = client.head().await;
    assert_eq!(client.rest(&head).await, (start.to_vec(), End::Cut));
    let record = world.control.one_record().await;
    assert_eq!((record.attempts, record.outcome.as_str()), (1, "failed"));
    // The next request that arrives is another client's.
    let mut client = world.post(MESSAGES, br#"{"model":"next"}"#).await;
    let exchange = world.provider.next().await;
    assert_eq!(exchange.body, br#"{"model":"next"}"#);
    answer(exchange, "200 OK", "").await;
    client.answer().await;
}

#[tokio::test]
async fn a_success_without_a_body_is_a_failure() {
    let heads = [
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n",
    ];
    let world = World::with_policy(|policy| {
        eager(policy);
        policy.retry.max_attempts = 2;
        policy.breaker.failures = 0;
    })
    .await;
    for head in heads {
        let mut client = world.post(MESSAGES, REQUEST).await;
        world.provider.next().await.raw(head.as_bytes()).await;
        answer(world.provider.next().await, "200 OK", "").await;
        let (answered, body) = client.answer().await;
        assert_eq!((answered.status, body), (200, GOOD.as_bytes().to_vec()), "{head}");
        // And when it is the last attempt:
        let mut client = world.post(MESSAGES, REQUEST).await;
        for _ in 0..2 {
            world.provider.next().await.raw(head.as_bytes()).await;
        }
        let (answered, body) = client.answer().await;
        assert_eq!(answered.status, 502, "{head}");
        assert!(String::from_utf8(body).unwrap().contains("before its first byte"));
    }
    let records = world.control.delivered(8).await;
    assert!(records.iter().all(|record| record.attempts == 2));
    assert!(
        records
            .iter()
            .skip(1)
            .step_by(2)
            .all(|record| record.outcome.as_str() == "failed")
    );
}

#[tokio::test]
async fn a_success_whose_body_never_begins_gets_an_error_body() {
    let world = World::with_policy(eager).await;
    for (kind, begins) in [
        ("text/event-stream", "event: error\ndata: {"),
        ("application/json", r#"{"type":"error""#),
    ] {
        let mut client = world.post(MESSAGES, br#"{"model":"m","stream":true}"#).await;
        let mut exchange = world.provider.next().await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        exchange.raw(head.as_bytes()).await;
        // The client has the head: it is too late for another status.
        let head = client.head().await;
        exchange.end().await;
        let (body, end) = client.rest(&head).await;
        let body = String::from_utf8(body).unwrap();
        assert!(body.starts_with(begins) && end == End::Proper, "{body}");
    }
    for record in world.control.delivered(2).await {
        assert_eq!((record.attempts, record.outcome.as_str()), (1, "failed"));
        assert_eq!(record.error_type.as_deref(), Some("api_error"));
    }
}

#[tokio::test]
async fn an_answer_declared_empty_is_a_success() {
    let world = World::with_policy(eager).await;
    let mut client = world.post(MESSAGES, REQUEST).await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    world.provider.next().await.raw(head).await;
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body), (200, Vec::new()));
}

#[tokio::test]
async fn a_stream_that_begins_with_an_error_is_tried_again_and_told_to_the_breaker() {
    const OVERLOADED: &[u8] =
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    let world = World::with_policy(|policy| {
        eager(policy);
        policy.breaker.failures = 4;
    })
    .await;
    let overloaded = async || {
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        exchange.chunk(OVERLOADED).await;
        exchange.end().await;
        exchange.done();
    };
    let mut client = world.post(MESSAGES, br#"{"model":"m","stream":true}"#).await;
    overloaded().await;
    answer(world.provider.next().await, "200 OK", "").await;
    assert_eq!(client.answer().await.0.status, 200);
    assert_eq!(world.control.one_record().await.attempts, 2);
    // The last one's is the client's, as it came.
    let mut client = world.post(MESSAGES, br#"{"model":"m","stream":true}"#).await;
    for _ in 0..3 {
        overloaded().await;
    }
    let (head, body) = client.answer().await;
    assert_eq!((head.status, &body[..]), (200, OVERLOADED));
    let record = &world.control.delivered(2).await[1];
    assert_eq!(
        (record.attempts, record.error_type.as_deref()),
        (3, Some("overloaded_error"))
    );
    let (head, _) = world.post(MESSAGES, REQUEST).await.answer().await;
    assert_eq!(head.status, 503, "the circuit breaker is open");
}

#[tokio::test]
async fn what_is_no_answer_is_asked_for_once() {
    let world = World::with_policy(eager).await;
    for (answer, says) in [
        (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], "not valid HTTP"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            "another protocol",
        ),
    ] {
        for path in [MESSAGES, "/ai/anthropic/v1/messages/count_tokens"] {
            let mut client = world.post(path, REQUEST).await;
            let mut exchange = world.provider.next().await;
            exchange.raw(answer).await;
            let (head, body) = client.answer().await;
            let body = String::from_utf8(body).unwrap();
            assert_eq!(head.status, 502, "{body}");
            assert!(body.contains(says), "{body}");
        }
    }
    for record in world.control.delivered(2).await {
        assert_eq!(record.attempts, 1);
    }
}

#[tokio::test]
async fn a_head_of_150_fields_is_an_answer_and_one_of_many_more_is_none() {
    let world = World::with_policy(eager).await;
    for (fields, status) in [(150, 200), (170, 502)] {
        let mut client = world.post(MESSAGES, REQUEST).await;
        let exchange = world.provider.next().await;
        let fields: String = (0..fields).map(|number| format!("x-{number}: 1\r\n")).collect();
        answer(exchange, "200 OK", &fields).await;
        let (head, body) = client.answer().await;
        assert_eq!(head.status, status, "{}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test]
async fn a_question_that_changes_nothing_survives_a_connection_that_closes() {
    let world = World::new().await;
    for line in [
        "GET /ai/anthropic/v1/models",
        "POST /ai/anthropic/v1/messages/count_tokens",
    ] {
        let mut client = world.send(line, "", b"{}").await;
        drop(world.provider.next().await);
        answer(world.provider.next().await, "200 OK", "").await;
        assert_eq!(client.answer().await.0.status, 200);
    }
    // It may have changed something.
    let mut client = world.send("POST /ai/openai/v1/conversations", "", b"{}").await;
    drop(world.provider.next().await);
    assert_eq!(client.answer().await.0.status, 502);
}
