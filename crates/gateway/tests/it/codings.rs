//! Compressed bodies. Answers that come so although nobody asked for it: the client gets them as they are, and the record what they
//! say. Requests: the provider gets what the gateway has read of them.

use crate::support::World;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use lychgate_types::interception::InterceptionRecord;
use std::io::Write as _;
use std::sync::Arc;

const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":22}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
/// The same in Brotli, which nothing here can write.
const BROTLI: &str = "GyMBAIzUY60xWUmn09fI6hkm6wxmz3NzlsDUQoBY7hwe8JF+14Juywqy4ugBA0rzKBDLdiaSHjGmjpudPQdsUY8OT5gPXV7LSRFQOXqOuvzW6vm6zfIJcNNV+kzKbDBO5au7AX68JzkCzMLeambFdhE8xedfrsjGPsqSWJvzKiu2M7+5tAYA";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Sends a body in pieces of that size, with this status and coding; checks that the client gets the same.
async fn relayed(status: &str, kind: &str, coding: &str, body: &[u8], size: usize) -> Arc<InterceptionRecord> {
    let world = World::new().await;
    let mut client = world
        .post(
            "/ai/anthropic/v1/messages",
            br#"{"model":"claude-x","stream":true,"messages":[]}"#,
        )
        .await;
    let mut exchange = world.provider.next().await;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-encoding: {coding}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let answering = async {
        exchange.raw(head.as_bytes()).await;
        for piece in body.chunks(size) {
            exchange.chunk(piece).await;
        }
        exchange.end().await;
    };
    let ((), (_, found)) = tokio::join!(answering, client.answer());
    assert!(found == body, "{coding}");
    world.control.one_record().await
}

#[tokio::test]
async fn each_coding_is_read() {
    let zlib = {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(STREAM.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let raw = {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(STREAM.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(STREAM.as_bytes(), 3).unwrap();
    let brotli = BASE64_STANDARD.decode(BROTLI).unwrap();
    for (coding, body) in [
        ("none", STREAM.as_bytes()),
        ("gzip", &gzip(STREAM.as_bytes())),
        ("X-GZIP", &gzip(STREAM.as_bytes())),
        ("deflate", &zlib),
        ("deflate", &raw),
        ("br", &brotli),
        ("zstd", &zstd),
    ] {
        for size in [7, 4096] {
            let record = relayed("200 OK", "text/event-stream", coding, body, size).await;
            let usage = &record.token_usages[0];
            assert_eq!(
                (usage.input_tokens, usage.output_tokens, usage.estimated),
                (11, 22, false),
                "{coding}"
            );
            assert_eq!(
                (record.outcome.as_str(), record.stop_reason.as_deref()),
                ("completed", Some("end_turn"))
            );
        }
    }
}

#[tokio::test]
async fn a_compressed_error_is_recorded_as_the_providers() {
    let error = gzip(br#"{"type":"error","error":{"type":"invalid_request_error","message":"too long"}}"#);
    let record = relayed("400 Bad Request", "application/json", "gzip", &error, 4096).await;
    assert_eq!(
        (record.error_type.as_deref(), record.error_message.as_deref()),
        (Some("invalid_request_error"), Some("too long"))
    );
}

#[tokio::test]
async fn what_is_decoded_is_bounded() {
    let start = &STREAM[..STREAM.find("event: message_delta").unwrap()];
    let bomb = gzip(&[start.as_bytes(), &vec![b'\n'; 64 << 20], STREAM.as_bytes()].concat());
    let record = relayed("200 OK", "text/event-stream", "gzip", &bomb, 4096).await;
    assert!(record.token_usages[0].estimated, "its end is not read");
    assert_eq!(
        (record.outcome.as_str(), record.upstream_status),
        ("completed", Some(200))
    );
}

#[tokio::test]
async fn an_answer_over_the_limit_is_read_plain_or_compressed() {
    // As incompressible as text that a model writes.
    let text: String = (0_u32..(17 << 20) / 8)
        .map(|at| format!("{:08x}", at.wrapping_mul(2_654_435_761)))
        .collect();
    let content = format!(
        r#""content":[{{"type":"text","text":"{text}"}},{{"type":"tool_use","id":"t","name":"find","input":{{}}}}]"#
    );
    let usage = r#""usage":{"input_tokens":11,"output_tokens":22}"#;
    let answers = [[usage, &content], [&content, usage]]
        .map(|members| format!(r#"{{"id":"msg_1","stop_reason":"end_turn",{}}}"#, members.join(",")).into_bytes());
    for (kind, coding, body) in [
        ("application/json", "identity", answers[1].clone()),
        ("application/json", "gzip", gzip(&answers[0])),
        ("text/event-stream", "gzip", gzip(&large_event(&text))),
    ] {
        let record = relayed("200 OK", kind, coding, &body, 1 << 20).await;
        let usage = &record.token_usages[0];
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.estimated),
            (11, 22, false),
            "{kind} {coding}"
        );
        assert_eq!(
            (record.outcome.as_str(), record.stop_reason.as_deref()),
            ("completed", Some("end_turn"))
        );
    }
}

/// [`STREAM`] with a last count that comes behind so much text.
fn large_event(text: &str) -> Vec<u8> {
    let (before, behind) = STREAM.split_once(r#""delta":{"stop_reason""#).unwrap();
    format!(r#"{before}"text":"{text}","delta":{{"stop_reason"{behind}"#).into_bytes()
}

const REQUEST: &str = r#"{"model":"claude-x","messages":[{"role":"user","content":"hello"}]}"#;
/// The same in Brotli.
const BROTLI_REQUEST: &str = "G0IAqCwO7IbPz/GGBpzNE/paZI9ta43htQ5LV98WaSGrkyJhZeCQE4FbLQkDg7qEatUQcODdluBYogItQowH5Ts=";

#[tokio::test]
async fn a_request_in_each_coding_is_read_and_goes_on_decoded() {
    let (start, end) = REQUEST.as_bytes().split_at(20);
    let gzip_twice = [gzip(start), gzip(end)].concat();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let zlib = {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(REQUEST.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let raw = {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(REQUEST.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    for (coding, body) in [
        ("gzip", gzip(REQUEST.as_bytes())),
        ("x-gzip", gzip_twice),
        ("deflate", zlib),
        ("deflate", raw),
        ("br", BASE64_STANDARD.decode(BROTLI_REQUEST).unwrap()),
        ("ZSTD", [zstd(start), zstd(end)].concat()),
        (
            "identity, zstd\r\ncontent-encoding: gzip",
            gzip(&zstd(REQUEST.as_bytes())),
        ),
    ] {
        let world = World::new().await;
        let extra = format!("content-encoding: {coding}\r\n");
        let mut client = world.send("POST /ai/anthropic/v1/messages", &extra, &body).await;
        let mut exchange = world.provider.next().await;
        assert_eq!(
            (exchange.header("content-encoding"), &exchange.body[..]),
            (None, REQUEST.as_bytes()),
            "{coding}"
        );
        exchange.json("200 OK", "", "{}").await;
        assert_eq!(client.answer().await.0.status, 200);
        let record = world.control.one_record().await;
        assert_eq!(
            (record.model.as_str(), &*record.prompts[0].prompt.open(usize::MAX).text),
            ("claude-x", "hello")
        );
    }
}

#[tokio::test]
async fn what_is_asked_for_in_addition_is_put_into_the_decoded_request() {
    let world = World::new().await;
    let body = gzip(br#"{"model":"m","stream":true}"#);
    let mut client = world
        .send(
            "POST /ai/openai/v1/chat/completions",
            "content-encoding: gzip\r\n",
            &body,
        )
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(
        String::from_utf8_lossy(&exchange.body),
        r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#
    );
    exchange.stream().await;
    exchange
        .chunk(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n")
        .await;
    exchange.end().await;
    assert_eq!(client.answer().await.1, b"data: [DONE]\n\n");
}

#[tokio::test]
async fn what_was_read_before_a_mistake_stays_read() {
    let body = [gzip(STREAM.as_bytes()), b"no gzip at all, but text".to_vec()].concat();
    let record = relayed("200 OK", "text/event-stream", "gzip", &body, 4096).await;
    assert_eq!(
        (record.outcome.as_str(), record.stop_reason.as_deref()),
        ("completed", Some("end_turn"))
    );
    assert_eq!(
        (record.token_usages[0].output_tokens, record.token_usages[0].estimated),
        (22, false)
    );
    // Within the answer: what it said so far, and nothing of how it ended.
    let (start, _) = STREAM.split_at(STREAM.find("event: message_delta").unwrap());
    let body = [gzip(start.as_bytes()), b"no gzip at all, but text".to_vec()].concat();
    let record = relayed("200 OK", "text/event-stream", "gzip", &body, 4096).await;
    assert_eq!(record.outcome.as_str(), "completed");
    assert_eq!(
        (record.token_usages[0].input_tokens, record.token_usages[0].estimated),
        (11, true)
    );
}
