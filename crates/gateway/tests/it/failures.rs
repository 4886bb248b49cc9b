//! The provider fails: what the client gets, and what is recorded.

use crate::support::{Client, Control, End, World, config, ready, start};
use lychgate_types::Ambient;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::provider::ProviderType;

fn failed(record: &InterceptionRecord, status: Option<u16>, error_type: &str) {
    assert_eq!(record.outcome.as_str(), "failed");
    assert_eq!(record.upstream_status, status);
    assert_eq!(record.error_type.as_deref(), Some(error_type));
    assert!(record.error_message.is_some());
}

#[tokio::test]
async fn a_refused_connection_is_a_502() {
    let control = Control::new();
    let token = control.valid_token();
    let nobody = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    control.configure(vec![
        config("anthropic", ProviderType::Anthropic, &format!("http://{nobody}")),
        config("lost", ProviderType::OpenAi, "http://does-not-exist.invalid/v1"),
    ]);
    let (gateway, address) = start(&control, |_| {}, Ambient::system()).await;
    ready(&gateway).await;
    for (path, says) in [
        ("/ai/anthropic/v1/messages", "connection refused"),
        ("/ai/lost/v1/responses", "resolved"),
    ] {
        let mut client = Client::connect(address).await;
        let headers = format!("authorization: Bearer {}\r\n", token.expose());
        client
            .send(&format!("POST {path}"), &headers, br#"{"model":"m","stream":true}"#)
            .await;
        let (head, body) = client.answer().await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!(head.status, 502, "{body}");
        assert!(body.contains(says), "{body}");
        assert!(head.header("x-lychgate-interception-id").is_some());
    }
    let records = control.delivered(2).await;
    failed(&records[0], None, "api_error");
    failed(&records[1], None, "server_error");
    assert!(
        records
            .iter()
            .all(|record| record.token_usages.is_empty() && record.attempts == 1)
    );
}

#[tokio::test]
async fn a_failed_or_stalled_handshake_is_a_502() {
    for (answers, timeout, says) in [(true, 20_000, "TLS"), (false, 50, "too long")] {
        let world = World::new().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let https = format!("https://{}", listener.local_addr().unwrap());
        let mut provider = config("anthropic", ProviderType::Anthropic, &https);
        provider.policy.timeouts.connect_ms = timeout;
        provider.policy.retry.max_attempts = 1;
        world.control.configure(vec![provider]);
        world.control.until_in_force().await;
        let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
        let (mut socket, _) = listener.accept().await.unwrap();
        if answers {
            tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        }
        let (head, body) = client.answer().await;
        let body = String::from_utf8(body).unwrap();
        assert!(head.status == 502 && body.contains(says), "{body}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_head_is_a_502() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    drop(world.provider.next().await);
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 502);
    assert!(!body.is_empty());
    failed(&*world.control.one_record().await, None, "api_error");
}

#[tokio::test]
async fn an_answer_with_too_many_header_fields_is_a_502() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    let fields = "x-many: 1\r\n".repeat(170);
    let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\n{{}}");
    exchange.raw(head.as_bytes()).await;
    assert_eq!(client.answer().await.0.status, 502);
    failed(&*world.control.one_record().await, None, "api_error");
}

#[tokio::test]
async fn no_head_in_time_is_a_504() {
    let world = World::with_policy(|policy| policy.timeouts.headers_ms = 400).await;
    let mut client = world.post("/ai/openai/v1/chat/completions", br#"{"model":"m"}"#).await;
    let exchange = world.provider.next().await;
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 504, "{}", String::from_utf8_lossy(&body));
    failed(&*world.control.one_record().await, None, "server_error");
    // The request to the provider is cancelled.
    exchange.until_closed().await;

    let mut client = world.send("GET /ai/openai/v1/models", "", b"").await;
    let _silent = world.provider.next().await;
    assert_eq!(client.answer().await.0.status, 504);
}

#[tokio::test]
async fn a_stream_that_stalls_ends_with_an_error_event_in_the_providers_format() {
    for (path, started, error) in [
        (
            "/ai/anthropic/v1/messages",
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}}\n\n",
            "event: error\ndata: {",
        ),
        (
            "/ai/openai/v1/chat/completions",
            "data: {\"id\":\"c\",\"choices\":[]}\n\n",
            "data: {\"error\"",
        ),
        (
            "/ai/openai/v1/responses",
            "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
            "event: error\ndata: {",
        ),
    ] {
        for broken_off in ["", "data: {\"half"] {
            let world = World::with_policy(|policy| policy.timeouts.idle_ms = 50).await;
            let mut client = world
                .post(
                    path,
                    br#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
                )
                .await;
            let mut exchange = world.provider.next().await;
            // All in one write, so that it stalls only at the end.
            let begun = format!("{started}{broken_off}");
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            exchange
                .raw(format!("{head}{:x}\r\n{begun}\r\n", begun.len()).as_bytes())
                .await;
            let (head, body) = client.answer().await;
            assert_eq!(head.status, 200);
            let body = String::from_utf8(body).unwrap();
            let gap = if broken_off.is_empty() { "" } else { "\n\n" };
            let tail = body
                .strip_prefix(&format!("{begun}{gap}"))
                .unwrap_or_else(|| panic!("{body}"));
            assert!(tail.starts_with(error), "{path}: {body}");
            assert_eq!(tail.matches(error).count(), 1, "{body}");
            assert_eq!(tail.ends_with("data: [DONE]\n\n"), path.contains("chat"), "{body}");
            let record = world.control.one_record().await;
            failed(
                &record,
                Some(200),
                if path.contains("anthropic") {
                    "timeout_error"
                } else {
                    "server_error"
                },
            );
            assert!(record.token_usages[0].estimated);
        }
    }
}

#[tokio::test]
async fn silence_or_a_cut_behind_the_end_of_an_answer_changes_nothing() {
    let stream = b"data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1},\"citations\":[1]}\n\n";
    for last in [&b"data: [DONE]\n\n"[..], b""] {
        let world = World::with_policy(|policy| policy.timeouts.idle_ms = 50).await;
        let body = br#"{"model":"m","stream":true}"#;
        let mut client = world.post("/ai/openai/v1/chat/completions", body).await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        exchange.chunk(&[stream, last].concat()).await;
        assert_eq!(client.answer().await.1, [stream, last].concat());
        let record = world.control.one_record().await;
        assert_eq!((record.outcome.as_str(), &record.error_type), ("completed", &None));
        let usage = &record.token_usages[0];
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.estimated),
            (3, 1, false)
        );
    }
}

#[tokio::test]
async fn a_blocking_answer_that_stalls_is_cut_off() {
    let world = World::with_policy(|policy| policy.timeouts.idle_ms = 50).await;
    let mut client = world.post("/ai/anthropic/v1/messages", br#"{"model":"m"}"#).await;
    let mut exchange = world.provider.next().await;
    exchange
        .raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"id\":")
        .await;
    let head = client.head().await;
    assert_eq!(client.rest(&head).await, (b"{\"id\":".to_vec(), End::Cut));
    failed(&*world.control.one_record().await, Some(200), "timeout_error");
}

#[tokio::test]
async fn a_truncated_answer_stays_truncated() {
    let world = World::new().await;
    let start = b"data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\ndata: {\"cut";
    // With the usage filter in between (it holds back part of an event), and without.
    for body in [
        &br#"{"model":"m","stream":true}"#[..],
        br#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
    ] {
        let mut client = world.post("/ai/openai/v1/chat/completions", body).await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        exchange.chunk(start).await;
        let head = client.head().await;
        drop(exchange);
        assert_eq!(client.rest(&head).await, (start.to_vec(), End::Cut));
    }
    let mut client = world.post("/ai/openai/v1/chat/completions", br#"{"model":"m"}"#).await;
    let mut exchange = world.provider.next().await;
    exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"id").await;
    let head = client.head().await;
    drop(exchange);
    assert_eq!(client.rest(&head).await, (b"{\"id".to_vec(), End::Cut));
    for record in world.control.delivered(3).await {
        failed(&record, Some(200), "server_error");
        assert!(record.token_usages[0].estimated);
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_its_last_event_is_relayed_as_it_is_and_recorded_as_failed() {
    let world = World::new().await;
    let body = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}}\n\n";
    let mut client = world
        .post("/ai/anthropic/v1/messages", br#"{"model":"m","stream":true}"#)
        .await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(body).await;
    exchange.end().await;
    assert_eq!(client.answer().await.1, body);
    let record = world.control.one_record().await;
    failed(&record, Some(200), "api_error");
    assert!(record.token_usages[0].estimated);
    assert_eq!(record.token_usages[0].input_tokens, 4);
}

#[tokio::test]
async fn an_error_whose_body_breaks_keeps_its_status() {
    for status in [400, 429, 500] {
        let world = World::new().await;
        let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
        let mut exchange = world.provider.next().await;
        let head = format!("HTTP/1.1 {status} No\r\nretry-after: 7\r\ncontent-length: 50\r\n\r\n");
        exchange.raw(head.as_bytes()).await;
        drop(exchange);
        let head = client.head().await;
        assert_eq!((head.status, head.header("retry-after")), (status, Some("7")));
        assert_eq!(client.rest(&head).await, (Vec::new(), End::Cut));
        let record = world.control.one_record().await;
        assert_eq!(
            (record.outcome.as_str(), record.upstream_status),
            ("failed", Some(status))
        );
        assert!(record.token_usages.is_empty());
    }
}

#[tokio::test]
async fn what_a_whole_answer_does_not_tell_is_estimated() {
    const ASKED: &str = r#""How are you today?""#;
    let chat = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{ASKED}}}]}}"#);
    for (path, body, answer, is_written) in [
        (
            "/ai/openai/v1/chat/completions",
            chat.clone(),
            r#"{"id":"c","choices":[{"index":0,"message":{"content":"Fine, thank you."},"finish_reason":"stop"}]}"#,
            true,
        ),
        (
            "/ai/openai/v1/embeddings",
            format!(r#"{{"model":"m","input":{ASKED}}}"#),
            r#"{"object":"list","data":[{"embedding":[0.5]}]}"#,
            false,
        ),
    ] {
        let world = World::new().await;
        let mut client = world.post(path, body.as_bytes()).await;
        world.provider.next().await.json("200 OK", "", answer).await;
        assert_eq!(client.answer().await.0.status, 200);
        let record = world.control.one_record().await;
        assert_eq!(record.outcome.as_str(), "completed");
        let usage = &record.token_usages[0];
        assert!(usage.estimated && usage.input_tokens > 2, "{path}: {usage:?}");
        assert_eq!(usage.output_tokens > 0, is_written, "{path}: {usage:?}");
    }
}

#[tokio::test]
async fn of_two_unfinished_messages_the_text_is_estimated_once() {
    let text = "The gateway keeps a record of every request that it relays. ".repeat(40);
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n");
    let start = |id: &str| {
        let usage = r#""usage":{"input_tokens":4,"output_tokens":1}"#;
        event("message_start", &format!(r#""message":{{"id":"{id}",{usage}}}"#))
    };
    let delta = event(
        "content_block_delta",
        &format!(r#""index":0,"delta":{{"type":"text_delta","text":"{text}"}}"#),
    );
    let mut sums = Vec::new();
    for stream in [
        vec![start("m1"), delta.clone(), delta.clone()],
        vec![start("m1"), delta.clone(), start("m2"), delta],
    ] {
        let world = World::new().await;
        let mut client = world
            .post("/ai/anthropic/v1/messages", br#"{"model":"m","stream":true}"#)
            .await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        exchange.chunk(stream.concat().as_bytes()).await;
        let head = client.head().await;
        client.at_least(stream.concat().len()).await;
        drop(exchange);
        client.rest(&head).await;
        let record = world.control.one_record().await;
        assert!(
            record
                .token_usages
                .iter()
                .all(|usage| usage.estimated && usage.output_tokens > 0)
        );
        sums.push(record.token_usages.iter().map(|usage| usage.output_tokens).sum::<i64>());
    }
    assert!(sums[0] > 1000 && sums[0] == sums[1], "{sums:?}");
}
