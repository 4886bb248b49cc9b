//! Requests and answers are relayed unchanged.

use crate::support::{CENTRAL_KEY, End, World};

/// Comments, CRLF, a BOM, multi-line data, unknown events, trailing blank lines: anything a provider may send.
const ODD_STREAM: &[u8] = b"\xef\xbb\xbf: a comment\n\nevent: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\r\n\r\n\
event: ping\ndata: {\"type\":\"ping\"}\n\n\
data: two\ndata: lines\n\nid: 7\nretry: 10\n\n\
event: nobody_knows\ndata: {not json}\n\n\
event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":\"a string\"}}\n\n\
event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n\n\n: bye";

#[tokio::test]
async fn each_chunk_of_a_stream_is_relayed_at_once_and_unchanged() {
    let world = World::new().await;
    let mut client = world
        .post("/ai/anthropic/v1/messages", br#"{"model":"m","stream":true}"#)
        .await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let mut got = Vec::new();
    // Chunks of uneven length, so that lines, events and characters are split; none waits for the next.
    let mut rest = ODD_STREAM;
    for length in [1, 2, 3, 5, 7, 11, 13].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(length.min(rest.len()));
        exchange.chunk(piece).await;
        got.extend(client.at_least(piece.len()).await);
        rest = after;
    }
    exchange.end().await;
    let (tail, end) = client.rest(&head).await;
    got.extend(tail);
    assert_eq!(end, End::Proper);
    assert_eq!(got, ODD_STREAM);
}

#[tokio::test]
async fn a_blocking_body_keeps_its_bytes_and_length() {
    let world = World::new().await;
    let body = "{ \"id\" : \"msg_1\",\n\t\"unknown\": [1.0, 1e3, \"\\u00e9\"], \"usage\":{\"output_tokens\":2,\"input_tokens\":1}, \"id\":\"again\" }\n\n";
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", body).await;
    let (head, got) = client.answer().await;
    assert_eq!(head.header("content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(got, body.as_bytes());
}

#[tokio::test]
async fn the_providers_error_is_relayed() {
    let world = World::new().await;
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_9"}"#;
    let mut client = world
        .post("/ai/anthropic/v1/messages", br#"{"model":"m","stream":true}"#)
        .await;
    let mut exchange = world.provider.next().await;
    exchange
        .json(
            "529 Site is overloaded",
            "retry-after: 7\r\nx-should-retry: true\r\nrequest-id: req_9\r\n",
            body,
        )
        .await;
    let (head, got) = client.answer().await;
    assert_eq!(head.status, 529);
    assert_eq!(
        (head.header("retry-after"), head.header("x-should-retry")),
        (Some("7"), Some("true"))
    );
    assert_eq!(got, body.as_bytes());
}

#[tokio::test]
async fn a_redirect_is_relayed_not_followed() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange
        .json(
            "307 Temporary Redirect",
            "connection: close\r\nlocation: /v1/elsewhere\r\n",
            "{}",
        )
        .await;
    let (head, _) = client.answer().await;
    assert_eq!((head.status, head.header("location")), (307, Some("/v1/elsewhere")));
    // To another host the client would take its token along.
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange
        .json("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", "{}")
        .await;
    let (head, _) = client.answer().await;
    assert_eq!((head.status, head.header("location")), (307, None));
}

#[tokio::test]
async fn an_answer_without_a_body_keeps_its_connection() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body.len()), (200, 0));
    // The client's connection is reused.
    let token = world.token.expose();
    client
        .send(
            "POST /ai/anthropic/v1/messages",
            &format!("x-api-key: {token}\r\n"),
            b"{}",
        )
        .await;
    exchange.done();
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.1, b"{}");
}

#[tokio::test]
async fn the_request_arrives_as_the_client_meant_it() {
    let world = World::new().await;
    let body = "{ \"model\":\"m\", \"cache_control\": {\"type\" :\"ephemeral\"},\"x\":1.50 }";
    let headers = "content-type: application/json\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nCookie: s=1\r\nX-Forwarded-For: 1.2.3.4\r\n\
        Forwarded: for=1.2.3.4\r\nX-Lychgate-Anything: 1\r\nTE: trailers\r\nAccept-Encoding: gzip, br\r\nX-Api-Key: sk-stray\r\n\
        Anthropic-Version: 2023-06-01\r\nAnthropic-Beta: a\r\nAnthropic-Beta: b\r\nUser-Agent: claude-cli/1\r\nX-Claude-Code-Session-Id: s-1\r\n";
    let mut client = world
        .send(
            "POST /ai/anthropic/v1/messages?beta=true&x=%20y",
            headers,
            body.as_bytes(),
        )
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, "POST /v1/messages?beta=true&x=%20y HTTP/1.1");
    assert_eq!(exchange.body, body.as_bytes());
    let mut got = exchange.headers.clone();
    got.sort();
    let (host, length) = (
        format!("host: {}", world.provider.address()),
        format!("content-length: {}", body.len()),
    );
    let key = format!("x-api-key: {CENTRAL_KEY}");
    let mut wanted = vec![
        "accept-encoding: identity",
        "anthropic-beta: a",
        "anthropic-beta: b",
        "anthropic-version: 2023-06-01",
        "content-type: application/json",
        &host,
        &length,
        &key,
        "user-agent: claude-cli/1",
        "x-claude-code-session-id: s-1",
    ];
    wanted.sort_unstable();
    assert_eq!(got, wanted);
    exchange.json("200 OK", "", "{}").await;
    client.answer().await;
}

#[tokio::test]
async fn all_but_hop_by_hop_headers_of_the_answer_are_relayed() {
    let world = World::new().await;
    let mut client = world.post("/ai/openai/v1/responses", b"{}").await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, "POST /base/v1/responses HTTP/1.1");
    let headers = "x-request-id: req_1\r\nx-ratelimit-remaining-tokens: 5\r\nopenai-processing-ms: 12\r\nkeep-alive: timeout=5\r\n\
        connection: keep-alive, x-hop\r\nx-hop: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n";
    exchange.json("200 OK", headers, "{}").await;
    let (head, _) = client.answer().await;
    for (name, value) in [
        ("x-request-id", Some("req_1")),
        ("x-ratelimit-remaining-tokens", Some("5")),
        ("openai-processing-ms", Some("12")),
        ("x-hop", None),
        ("keep-alive", None),
    ] {
        assert_eq!(head.header(name), value, "{name}");
    }
    let cookies: Vec<_> = head
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value)
        .collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    let id = head.header("x-lychgate-interception-id").unwrap();
    assert_eq!(world.control.one_record().await.id.to_string(), id);
}

#[tokio::test]
async fn an_unrecorded_answer_keeps_its_encoding() {
    let world = World::new().await;
    let gzipped = b"\x1f\x8b\x08\x00not really";
    let mut client = world
        .send(
            "GET /ai/openai/v1/models/gpt-x?limit=2",
            "accept-encoding: gzip\r\n",
            b"",
        )
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, "GET /base/v1/models/gpt-x?limit=2 HTTP/1.1");
    assert_eq!(exchange.header("accept-encoding"), Some("gzip"));
    assert_eq!(
        exchange.header("authorization"),
        Some(format!("Bearer {CENTRAL_KEY}").as_str())
    );
    exchange
        .raw(
            format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                gzipped.len()
            )
            .as_bytes(),
        )
        .await;
    exchange.raw(gzipped).await;
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body.as_slice()), (200, &gzipped[..]));
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert_eq!(head.header("x-lychgate-interception-id"), None);
    assert_eq!(world.gateway.spool_depth() + world.control.records().len() as u64, 0);
}

#[tokio::test]
async fn an_unsupported_encoding_is_relayed_and_its_usage_estimated() {
    let world = World::new().await;
    let coded = b"nobody reads it";
    let mut client = world.post("/ai/anthropic/v1/messages", br#"{"model":"m"}"#).await;
    let mut exchange = world.provider.next().await;
    exchange
        .raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: compress\r\ncontent-length: 15\r\n\r\n")
        .await;
    exchange.raw(coded).await;
    assert_eq!(client.answer().await.1, coded);
    let record = world.control.one_record().await;
    assert_eq!(record.outcome.as_str(), "completed");
    assert!(record.token_usages[0].estimated);
}

#[tokio::test]
async fn only_the_usage_chunk_that_the_gateway_asked_for_is_removed() {
    let world = World::new().await;
    let body = br#"{"model":"m","stream":true, "messages":[]}"#;
    let mut client = world.post("/ai/openai/v1/chat/completions", body).await;
    let mut exchange = world.provider.next().await;
    let sent: String = String::from_utf8(exchange.body.clone()).unwrap();
    assert!(sent.contains("include_usage"), "{sent}");
    let first = b"data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n";
    let last =
        b"data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
    let usage = b"data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";
    exchange.stream().await;
    exchange.chunk(first).await;
    let head = client.head().await;
    let mut got = client.at_least(first.len()).await;
    exchange.chunk(last).await;
    // The usage event arrives in chunks of its own.
    for piece in usage.chunks(9) {
        exchange.chunk(piece).await;
    }
    exchange.chunk(b"data: [DONE]\n\n").await;
    exchange.end().await;
    got.extend(client.rest(&head).await.0);
    let wanted = [&first[..], last, b"data: [DONE]\n\n"].concat();
    assert_eq!(String::from_utf8(got).unwrap(), String::from_utf8(wanted).unwrap());
    let record = world.control.one_record().await;
    assert_eq!(
        (
            record.token_usages[0].input_tokens,
            record.token_usages[0].output_tokens
        ),
        (5, 2)
    );
    assert!(!record.token_usages[0].estimated);
}

#[tokio::test]
async fn a_client_that_asks_for_usage_itself_gets_it() {
    let world = World::new().await;
    let body = br#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#;
    let mut client = world.post("/ai/openai/v1/chat/completions", body).await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.body, body);
    let stream = b"data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    exchange.stream().await;
    exchange.chunk(stream).await;
    exchange.end().await;
    assert_eq!(client.answer().await.1, stream);
}
