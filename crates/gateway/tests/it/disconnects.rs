//! The client disconnects before the end.

use crate::support::{End, World, config, until};
use lychgate_types::provider::ProviderType;
use std::time::Duration;

const START: &[u8] = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}}\n\n";
const DELTA: &[u8] = b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":20}}\n\n";
const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const REQUEST: &[u8] = br#"{"model":"m","stream":true}"#;

#[tokio::test]
async fn mid_stream_the_rest_is_read_for_its_usage() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", REQUEST).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(START).await;
    client.head().await;
    client.at_least(START.len()).await;
    drop(client);
    exchange.chunk(DELTA).await;
    exchange.chunk(STOP).await;
    exchange.end().await;
    let record = world.control.one_record().await;
    assert_eq!(
        (record.outcome.as_str(), record.upstream_status),
        ("client_aborted", Some(200))
    );
    let usage = &record.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.estimated),
        (4, 20, false)
    );
    assert_eq!(record.stop_reason.as_deref(), Some("end_turn"));
    until(|| world.gateway.in_flight() == 0).await;
    // Read to its end, the connection to the provider can be reused, and nothing of the old answer is left in it.
    let mut client = world.post("/ai/anthropic/v1/messages", REQUEST).await;
    exchange.done();
    world.provider.next().await.json("200 OK", "", "{}").await;
    client.answer().await;
}

#[tokio::test]
async fn beyond_the_drain_limits_usage_is_estimated() {
    for by_time in [true, false] {
        let world = World::with_options(|options| {
            if by_time {
                options.drain_limits.time = Duration::from_millis(50);
            } else {
                options.drain_limits.bytes = 100;
            }
        })
        .await;
        let mut client = world.post("/ai/anthropic/v1/messages", REQUEST).await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        exchange.chunk(START).await;
        client.head().await;
        client.at_least(START.len()).await;
        drop(client);
        if !by_time {
            // The gateway hangs up at some point.
            while exchange.try_raw(b"10\r\n: 345678901234\n\n\r\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
        let record = world.control.one_record().await;
        assert_eq!(record.outcome.as_str(), "client_aborted");
        let usage = &record.token_usages[0];
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.estimated), (4, 1, true));
        until(|| world.gateway.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn what_was_relayed_of_an_answer_without_an_end_is_estimated() {
    // 2,040 and 1,020 tokens to `o200k_base`, OpenAI's newest public tokenizer.
    const SENTENCES: &str = "The gateway keeps a record of every request that it relays, and hands the record to the control plane when the answer has ended. If the control plane can't be reached, the record stays on the replica's disk, sealed, until somebody takes it.";
    const TOKENS: i64 = 51;
    for (path, family) in [
        ("/ai/openai/v1/chat/completions", "chat"),
        ("/ai/openai/v1/responses", "responses"),
    ] {
        let world = World::with_options(|options| options.drain_limits.time = Duration::from_millis(50)).await;
        let asked = SENTENCES.repeat(40);
        let request =
            format!(r#"{{"model":"gpt-5","stream":true,"messages":[{{"role":"user","content":"{asked}"}}]}}"#);
        let mut client = world.post(path, request.as_bytes()).await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        let mut length = 0;
        for (at, piece) in SENTENCES.repeat(20).as_bytes().chunks(5).enumerate() {
            let piece = std::str::from_utf8(piece).unwrap();
            let noise = "x".repeat(at % 12);
            let event = match family {
                "chat" => format!(
                    "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{piece}\"}}}}],\"obfuscation\":\"{noise}\"}}\n\n"
                ),
                _ => format!(
                    "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{at},\"delta\":\"{piece}\",\"obfuscation\":\"{noise}\"}}\n\n"
                ),
            };
            exchange.chunk(event.as_bytes()).await;
            length += event.len();
        }
        client.head().await;
        client.at_least(length).await;
        drop(client);
        let record = world.control.one_record().await;
        let usage = &record.token_usages[0];
        assert!(usage.estimated);
        for (found, real) in [(usage.input_tokens, 40 * TOKENS), (usage.output_tokens, 20 * TOKENS)] {
            // One text alone may be further off than texts are in the mean.
            assert!((found - real).abs() * 100 <= real * 20, "{found} for {real}, {family}");
        }
    }
}

#[tokio::test]
async fn before_the_head_the_answer_is_still_awaited() {
    let world = World::new().await;
    let client = world.post("/ai/anthropic/v1/messages", br#"{"model":"m"}"#).await;
    let mut exchange = world.provider.next().await;
    drop(client);
    exchange
        .json(
            "200 OK",
            "request-id: req_1\r\n",
            r#"{"id":"msg_1","usage":{"input_tokens":1,"output_tokens":2}}"#,
        )
        .await;
    let record = world.control.one_record().await;
    assert_eq!(
        (record.outcome.as_str(), record.upstream_status),
        ("client_aborted", Some(200))
    );
    assert_eq!(
        (record.token_usages[0].output_tokens, record.token_usages[0].estimated),
        (2, false)
    );
    assert_eq!(record.provider_request_id.as_deref(), Some("req_1"));
}

#[tokio::test]
async fn before_the_head_the_wait_is_limited() {
    let world = World::with_options(|options| options.drain_limits.time = Duration::from_millis(50)).await;
    let client = world.post("/ai/anthropic/v1/messages", br#"{"model":"m"}"#).await;
    let exchange = world.provider.next().await;
    drop(client);
    let record = world.control.one_record().await;
    assert_eq!(
        (record.outcome.as_str(), record.upstream_status),
        ("client_aborted", None)
    );
    assert!(record.token_usages[0].estimated);
    exchange.until_closed().await;
}

#[tokio::test]
async fn disconnecting_after_the_last_event_is_no_abort() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", REQUEST).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    let all = [START, DELTA, STOP].concat();
    exchange.chunk(&all).await;
    client.head().await;
    client.at_least(all.len()).await;
    drop(client);
    until(|| world.gateway.in_flight() <= 1).await;
    exchange.end().await;
    let record = world.control.one_record().await;
    assert_eq!(record.outcome.as_str(), "completed");
    assert_eq!(record.token_usages[0].output_tokens, 20);
}

#[tokio::test]
async fn an_unrecorded_request_is_cancelled() {
    let world = World::new().await;
    let mut client = world.send("GET /ai/openai/v1/models", "", b"").await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(b"data: 1\n\n").await;
    client.head().await;
    drop(client);
    exchange.until_closed().await;
    until(|| world.gateway.in_flight() == 0).await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_is_served_to_the_end() {
    let world = World::new().await;
    // Blocking and streaming; the end of the client's half comes first.
    let mut client = world.post("/ai/anthropic/v1/messages", REQUEST).await;
    client.close_half().await;
    assert_eq!(
        client.head().await.status,
        100,
        "who is gone would answer it by a reset"
    );
    world
        .provider
        .next()
        .await
        .json(
            "200 OK",
            "",
            r#"{"id":"m1","usage":{"input_tokens":4,"output_tokens":9}}"#,
        )
        .await;
    assert_eq!(client.answer().await.0.status, 200);
    client.until_closed().await;
    let record = world.control.one_record().await;
    assert_eq!(
        (record.outcome.as_str(), record.token_usages[0].output_tokens),
        ("completed", 9)
    );

    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", REQUEST).await;
    client.close_half().await;
    client.head().await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    let head = {
        exchange.chunk(START).await;
        client.head().await
    };
    client.at_least(START.len()).await;
    exchange.chunk(&[DELTA, STOP].concat()).await;
    exchange.end().await;
    assert_eq!(client.rest(&head).await, ([DELTA, STOP].concat(), End::Proper));
    client.until_closed().await;
    assert_eq!(world.control.one_record().await.outcome.as_str(), "completed");
}

/// Nothing waits between the last byte and the end, so that the gateway finds both at once.
#[tokio::test]
async fn an_end_that_comes_with_the_body_is_no_end_of_the_request() {
    let world = World::new().await;
    let length = format!("content-length: {}\r\n\r\n", REQUEST.len());
    let chunk = [format!("{:x}\r\n", REQUEST.len()).as_bytes(), REQUEST, b"\r\n0\r\n\r\n"].concat();
    for (framing, body) in [
        (length.as_str(), REQUEST),
        ("transfer-encoding: chunked\r\n\r\n", &chunk),
    ] {
        for head_first in [false, true] {
            let mut client = world.client().await;
            let head = format!(
                "POST /ai/anthropic/v1/messages HTTP/1.1\r\nhost: gw\r\nx-api-key: {}\r\n{framing}",
                world.token.expose()
            );
            if head_first {
                client.write(head.as_bytes()).await;
                until(|| world.gateway.in_flight() == 1).await;
                client.write(body).await;
            } else {
                client.write(&[head.as_bytes(), body].concat()).await;
            }
            client.close_half().await;
            assert_eq!(client.head().await.status, 100, "{framing} {head_first}");
            let mut exchange = world.provider.next().await;
            exchange.json("200 OK", "connection: close\r\n", "{}").await;
            assert_eq!(client.answer().await.0.status, 200);
            client.until_closed().await;
            until(|| world.gateway.in_flight() == 0).await;
        }
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_interim_answer() {
    let world = World::new().await;
    let mut client = world.client().await;
    let head = format!(
        "GET /ai/openai/v1/models HTTP/1.0\r\nhost: gw\r\nauthorization: Bearer {}\r\n\r\n",
        world.token.expose()
    );
    client.write(head.as_bytes()).await;
    client.close_half().await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    assert_eq!(client.head().await.status, 200);
    client.until_closed().await;
}

#[tokio::test]
async fn a_client_that_leaves_within_its_body_is_noticed_at_once() {
    let world = World::new().await;
    let mut client = world.client().await;
    let head = format!(
        "POST /ai/anthropic/v1/messages HTTP/1.1\r\nhost: gw\r\nx-api-key: {}\r\ncontent-length: 99\r\n\r\n{{",
        world.token.expose()
    );
    client.write(head.as_bytes()).await;
    until(|| world.gateway.in_flight() == 1).await;
    client.close_half().await;
    until(|| world.gateway.in_flight() == 0).await;
    client.until_closed().await;
}

#[tokio::test]
async fn what_never_reached_the_provider_has_no_cost() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let https = format!("https://{}", listener.local_addr().unwrap());
    let mut provider = config("anthropic", ProviderType::Anthropic, &https);
    provider.policy.timeouts.connect_ms = 300;
    world.control.configure(vec![provider]);
    world.control.until_in_force().await;
    let client = world.post("/ai/anthropic/v1/messages", REQUEST).await;
    let (_silent, _) = listener.accept().await.unwrap();
    drop(client);
    let record = world.control.one_record().await;
    assert_eq!(record.outcome.as_str(), "client_aborted");
    assert!(record.token_usages.is_empty());
}
