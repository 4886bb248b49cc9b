//! Amazon Bedrock: models in paths, binary frames, and credentials of its own kind.

use crate::resilience::silence::Witness;
use crate::support::provider::Exchange;
use crate::support::{CENTRAL_KEY, World, config};
use base64::Engine as _;
use lychgate_link::{RouteConfig, RouteTarget};
use lychgate_types::Ambient;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::{Api, ProviderType};
use std::sync::Arc;

pub(super) const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(super) const REQUEST: &[u8] =
    br#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const SIGNED: &str = "authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261130/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0\r\nx-amz-date: 20261130T200000Z\r\nx-amz-security-token: session\r\nx-amz-content-sha256: 0\r\n";

/// A world with a provider `bedrock` of this policy, which is asked up to three times in all.
pub(super) async fn world(change: impl Fn(&mut ProviderPolicy)) -> World {
    let world = World::new().await;
    let mut bedrock = config("bedrock", ProviderType::Bedrock, &world.provider.url(""));
    bedrock.policy.retry.max_attempts = 3;
    bedrock.policy.retry.base_delay_ms = 1;
    change(&mut bedrock.policy);
    world.control.configure(vec![bedrock]);
    world.control.until_in_force().await;
    world
}

pub(super) fn path(model: &str, verb: &str) -> String {
    format!("/ai/bedrock/model/{model}/{verb}")
}

/// A frame, written by hand.
pub(super) fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap());
        block.extend_from_slice(name.as_bytes());
        block.push(7);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let number = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut frame = [number(16 + block.len() + payload.len()), number(block.len())].concat();
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&block);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

pub(super) fn chunk(json: &str) -> Vec<u8> {
    let bytes = base64::prelude::BASE64_STANDARD.encode(json);
    let headers = [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, &format!(r#"{{"bytes":"{bytes}","p":"abc"}}"#))
}

fn exception(name: &str) -> Vec<u8> {
    let headers = [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    frame(&headers, r#"{"message":"Too many requests"}"#)
}

/// How a stream of Claude's begins, and how it ends.
pub(super) fn beginning() -> Vec<u8> {
    let start = r#"{"type":"message_start","message":{"id":"msg_bdrk_1","model":"claude-sonnet-4-5-20250929","role":"assistant","content":[],"usage":{"input_tokens":12,"output_tokens":1}}}"#;
    let text = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#;
    [chunk(start), chunk(text)].concat()
}

pub(super) fn end() -> Vec<u8> {
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":38}}"#;
    let stop = r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":12,"outputTokenCount":38,"cacheReadInputTokenCount":2048,"cacheWriteInputTokenCount":512}}"#;
    [chunk(delta), chunk(stop)].concat()
}

/// Begins a stream of frames with these bytes, in one write, so that it stalls only behind them.
pub(super) async fn stream(exchange: &mut Exchange, bytes: &[u8]) {
    let mut sent = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\nx-amzn-requestid: 7f1c\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        bytes.len()
    )
    .into_bytes();
    sent.extend_from_slice(bytes);
    sent.extend_from_slice(b"\r\n");
    exchange.raw(&sent).await;
}

/// What the client gets of a stream with this body, and the record.
pub(super) async fn streamed(world: &World, body: &[u8]) -> (Vec<u8>, Arc<InterceptionRecord>) {
    let mut client = world.post(&path(CLAUDE, "invoke-with-response-stream"), REQUEST).await;
    let mut exchange = world.provider.next().await;
    stream(&mut exchange, body).await;
    exchange.end().await;
    let (head, got) = client.answer().await;
    assert_eq!(
        head.header("content-type"),
        Some("application/vnd.amazon.eventstream"),
        "the exact type"
    );
    (got, world.control.one_record().await)
}

#[tokio::test]
async fn a_blocking_request_goes_to_the_model_in_its_path_with_the_central_key() {
    let world = world(|_| {}).await;
    let escaped = CLAUDE.replace(':', "%3A");
    let mut client = world
        .send(
            &format!("POST {}", path(&escaped, "invoke")),
            "x-amz-date: 1\r\nx-amz-security-token: s\r\nx-amz-content-sha256: 0\r\nx-amzn-bedrock-trace: ENABLED\r\n",
            REQUEST,
        )
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(
        exchange.line,
        format!("POST /model/{escaped}/invoke HTTP/1.1"),
        "as it came"
    );
    assert_eq!(exchange.body, REQUEST);
    assert_eq!(
        exchange.header("authorization"),
        Some(format!("Bearer {CENTRAL_KEY}").as_str())
    );
    assert_eq!(exchange.header("x-amzn-bedrock-trace"), Some("ENABLED"));
    assert!(
        !exchange.headers.iter().any(|header| header.starts_with("x-amz-")),
        "{:?}",
        exchange.headers
    );
    let head =
        "x-amzn-requestid: 7f1c\r\nx-amzn-bedrock-input-token-count: 26\r\nx-amzn-bedrock-output-token-count: 9\r\n";
    exchange.json("200 OK", head, r#"{"outputs":[{"text":"Hello"}]}"#).await;
    assert_eq!(client.answer().await.0.status, 200);
    let record = world.control.one_record().await;
    assert_eq!(
        (record.api, record.model.as_str(), record.streaming),
        (Api::BedrockInvoke, CLAUDE, false)
    );
    assert_eq!(record.provider_request_id.as_deref(), Some("7f1c"));
    assert_eq!(record.prompts[0].prompt, "Hi".into());
    let usage = &record.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.estimated),
        (26, 9, false),
        "of the head"
    );
}

#[tokio::test]
async fn an_arn_arrives_as_one_segment_however_it_was_sent() {
    let world = world(|_| {}).await;
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-v1:0";
    let slash = arn.replace('/', "%2F");
    let all = slash.replace(':', "%3A");
    for (sent, upstream) in [(arn, &slash), (&slash, &slash), (&all, &all)] {
        for verb in ["converse", "count-tokens"] {
            let mut client = world.post(&path(sent, verb), b"{}").await;
            let mut exchange = world.provider.next().await;
            assert_eq!(exchange.line, format!("POST /model/{upstream}/{verb} HTTP/1.1"));
            exchange.json("200 OK", "", "{}").await;
            assert_eq!(client.answer().await.0.status, 200);
            exchange.done();
        }
    }
    for record in world.control.delivered(3).await {
        assert_eq!((record.model.as_str(), record.api), (arn, Api::BedrockConverse));
    }
}

#[tokio::test]
async fn an_alias_takes_the_models_place_in_the_path() {
    let world = world(|_| {}).await;
    let providers = world.control.providers();
    let target = |model: &str| RouteTarget {
        provider: providers[0].id,
        model: Some(model.to_owned()),
        weight: 1,
    };
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: providers[0].id,
        model: "sonnet".into(),
        targets: vec![target("arn:aws:bedrock:r:1:prompt-router/p")],
        fallbacks: vec![target(CLAUDE)],
    };
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;
    let mut client = world.post(&path("sonnet", "converse"), b"{\"messages\":[]}").await;
    for _ in 0..3 {
        let mut exchange = world.provider.next().await;
        assert_eq!(
            exchange.line,
            "POST /model/arn:aws:bedrock:r:1:prompt-router%2Fp/converse HTTP/1.1"
        );
        exchange
            .json("503 Service Unavailable", "connection: close\r\n", r#"{"message":"m"}"#)
            .await;
    }
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, format!("POST /model/{CLAUDE}/converse HTTP/1.1"));
    assert_eq!(exchange.body, b"{\"messages\":[]}", "the body names no model");
    exchange.json("200 OK", "", r#"{"output":{"message":{"content":[]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2}}"#).await;
    assert_eq!(client.answer().await.0.status, 200);
    let record = world.control.one_record().await;
    assert_eq!((record.model.as_str(), record.attempts), ("sonnet", 4));
    assert_eq!(record.token_usages[0].output_tokens, 2);
}

#[tokio::test]
async fn frames_are_relayed_as_they_are_and_read() {
    let world = world(|_| {}).await;
    let sent = [beginning(), end()].concat();
    let (got, record) = streamed(&world, &sent).await;
    assert_eq!(got, sent);
    assert_eq!((record.outcome, record.streaming), (Outcome::Completed, true));
    assert_eq!(record.provider_request_id.as_deref(), Some("7f1c"));
    assert_eq!(record.served_model.as_deref(), Some("claude-sonnet-4-5-20250929"));
    let usage = &record.token_usages[0];
    assert_eq!(
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens,
            usage.cache_write_input_tokens
        ),
        (12, 38, 2048, 512)
    );
}

#[tokio::test]
async fn what_breaks_a_stream_is_relayed_and_recorded() {
    let mut bad = [beginning(), end()].concat();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let claim = {
        let mut prelude = [u32::MAX.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
        prelude
    };
    let mut cut = beginning();
    cut.truncate(cut.len() - 5);
    for (sent, error_type) in [
        (
            [beginning(), exception("throttlingException")].concat(),
            "throttlingException",
        ),
        (bad, "damaged_stream"),
        ([beginning(), claim].concat(), "damaged_stream"),
        (cut, "InternalServerException"),
        (beginning(), "InternalServerException"),
    ] {
        let world = world(|_| {}).await;
        let (got, record) = streamed(&world, &sent).await;
        assert_eq!(got, sent, "every byte, {error_type}");
        assert_eq!(record.outcome, Outcome::Failed, "{error_type}");
        assert_eq!(record.error_type.as_deref(), Some(error_type));
        assert!(record.token_usages[0].estimated, "{error_type}");
    }
}

#[tokio::test]
async fn an_exception_in_the_first_frame_is_tried_again_wherever_it_is_cut() {
    let first = exception("throttlingException");
    for cut in [first.len(), 5, 30, first.len() - 1] {
        let world = world(|_| {}).await;
        let mut client = world.post(&path(CLAUDE, "invoke-with-response-stream"), REQUEST).await;
        let mut exchange = world.provider.next().await;
        stream(&mut exchange, &first[..cut]).await;
        if cut < first.len() {
            exchange.chunk(&first[cut..]).await;
        }
        exchange.end().await;
        exchange.done();
        let mut exchange = world.provider.next().await;
        let sent = [beginning(), end()].concat();
        stream(&mut exchange, &sent).await;
        exchange.end().await;
        assert_eq!(client.answer().await.1, sent, "cut at {cut}");
        let record = world.control.one_record().await;
        assert_eq!((record.outcome, record.attempts), (Outcome::Completed, 2));
    }
}

#[tokio::test]
async fn what_was_waited_for_in_vain_still_goes_to_the_client() {
    let world = world(|_| {}).await;
    let mut client = world.post(&path(CLAUDE, "invoke-with-response-stream"), REQUEST).await;
    let mut exchange = world.provider.next().await;
    let sent = [beginning(), end()].concat();
    // The head goes on without a whole frame, and nothing of what came before it is lost.
    stream(&mut exchange, &sent[..20]).await;
    let head = client.head().await;
    exchange.chunk(&sent[20..]).await;
    exchange.end().await;
    assert_eq!(client.rest(&head).await.0, sent);
    assert_eq!(world.control.one_record().await.outcome, Outcome::Completed);
}

#[tokio::test]
async fn a_stream_that_stalls_ends_with_an_exception_of_its_api_but_never_inside_a_frame() {
    for (verb, exception) in [
        ("invoke-with-response-stream", "modelTimeoutException"),
        ("converse-stream", "modelStreamErrorException"),
    ] {
        let world = world(|policy| policy.timeouts.idle_ms = 50).await;
        let mut client = world.post(&path(CLAUDE, verb), REQUEST).await;
        let mut exchange = world.provider.next().await;
        stream(&mut exchange, &beginning()).await;
        let (_, got) = client.answer().await;
        let own = got.strip_prefix(&beginning()[..]).expect("what had come");
        let headers = [
            (":exception-type", exception),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ];
        let message = "the provider sent nothing for too long, so the gateway gave up";
        assert_eq!(own, frame(&headers, &format!(r#"{{"message":"{message}"}}"#)));
        let record = world.control.one_record().await;
        assert_eq!(record.error_type.as_deref(), Some("ModelTimeoutException"));
    }
    let world = world(|policy| policy.timeouts.idle_ms = 50).await;
    let mut client = world.post(&path(CLAUDE, "invoke-with-response-stream"), REQUEST).await;
    let mut exchange = world.provider.next().await;
    let inside = &beginning()[..100];
    stream(&mut exchange, inside).await;
    let head = client.head().await;
    let (got, ended) = client.rest(&head).await;
    assert_eq!(got, inside);
    assert_ne!(ended, crate::support::End::Proper);
    let record = world.control.one_record().await;
    assert_eq!(record.error_type.as_deref(), Some("ModelTimeoutException"));
}

#[tokio::test]
async fn a_silent_stream_of_claudes_gets_pings_between_frames_and_converse_gets_none() {
    let ping = {
        let headers = [
            (":event-type", "chunk"),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        frame(&headers, r#"{"bytes":"eyJ0eXBlIjogInBpbmcifQ=="}"#)
    };
    for (verb, is_filled) in [("invoke-with-response-stream", true), ("converse-stream", false)] {
        let soon = |policy: &mut ProviderPolicy| policy.relay.keep_alive_seconds = 1;
        let (world, mut witness) = tokio::join!(world(soon), Witness::new());
        let mut client = world.post(&path(CLAUDE, verb), REQUEST).await;
        let mut exchange = world.provider.next().await;
        stream(&mut exchange, &beginning()).await;
        let head = client.head().await;
        witness.silence().await;
        // Inside a frame, and behind the last one.
        let end = end();
        for piece in [&end[..50], &end[50..]] {
            exchange.chunk(piece).await;
            witness.silence().await;
        }
        exchange.end().await;
        let (got, _) = client.rest(&head).await;
        let pings = got
            .strip_prefix(&beginning()[..])
            .and_then(|rest| rest.strip_suffix(&end[..]))
            .expect("what the provider sent");
        assert_eq!(!pings.is_empty(), is_filled, "{verb}");
        assert_eq!(pings, ping.repeat(pings.len() / ping.len()), "{verb}");
        assert!(world.control.one_record().await.streaming);
    }
}

#[tokio::test]
async fn refusals_are_as_aws_writes_them() {
    let world = world(|_| {}).await;
    let token = world.token.expose();
    let signed_with_token = format!("x-lychgate-token: {token}\r\n{SIGNED}");
    let good = format!("authorization: Bearer {token}\r\n");
    let invoke = format!("POST {}", path(CLAUDE, "invoke"));
    for (line, headers, status, error_type, says) in [
        (
            invoke.as_str(),
            SIGNED,
            403,
            "AccessDeniedException",
            "AWS_BEARER_TOKEN_BEDROCK",
        ),
        (
            &invoke,
            &signed_with_token,
            403,
            "AccessDeniedException",
            "can't be passed on",
        ),
        (
            &invoke,
            "",
            401,
            "UnrecognizedClientException",
            "authorization: Bearer lgu_",
        ),
        (
            "POST /ai/bedrock/model/a/invoke?X-Amz-Signature=0123456789abcdef",
            &good,
            400,
            "ValidationException",
            "it relays none",
        ),
        (
            "GET /ai/bedrock/inference-profiles",
            &good,
            404,
            "ResourceNotFoundException",
            "/model/{model}/invoke",
        ),
        (
            "POST /ai/bedrock/model/a/b/invoke",
            &good,
            404,
            "ResourceNotFoundException",
            "does not relay",
        ),
        (
            "GET /ai/bedrock/model/a/invoke",
            &good,
            405,
            "ValidationException",
            "POST only",
        ),
    ] {
        let mut client = world.client().await;
        client.send(line, headers, b"").await;
        let (head, body) = client.answer().await;
        let text = String::from_utf8(body).unwrap();
        assert_eq!(head.status, status, "{line} {text}");
        assert_eq!(head.header("x-amzn-errortype"), Some(error_type), "{line}");
        assert!(text.starts_with(r#"{"message":""#) && text.contains(says), "{text}");
        assert!(!text.contains(token) && !text.contains("AKIA"));
    }
    // A key of the user's own is passed on.
    let own = format!("x-lychgate-token: {token}\r\nauthorization: Bearer ABSKown\r\n");
    let mut client = world.client().await;
    client.send(&invoke, &own, REQUEST).await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.header("authorization"), Some("Bearer ABSKown"));
    exchange
        .json(
            "400 Bad Request",
            "x-amzn-errortype: ValidationException:http://internal.amazon.com/\r\n",
            r#"{"message":"no"}"#,
        )
        .await;
    drop(exchange);
    let record = world.control.one_record().await;
    assert_eq!(record.error_type.as_deref(), Some("ValidationException"));
}
