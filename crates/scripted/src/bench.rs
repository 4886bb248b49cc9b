//! The bench's path: fixed answers that cost next to nothing, so that a measurement measures what stands before the provider.
//!
//! `x-scripted: bench` gets a small blocking answer; `x-scripted-events: 1000`, with `x-scripted-interval-ms: 20` if wanted,
//! gets a stream of that many events. What the request's body says does not matter.

use crate::body::{Repeat, ScriptBody};
use crate::script::Step;
use crate::socket::Breaker;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use std::time::Duration;

const NAME: &str = "x-scripted";
const EVENTS: &str = "x-scripted-events";
const INTERVAL: &str = "x-scripted-interval-ms";
/// The name under which the small blocking answer is asked for.
const BENCH: &str = "bench";

/// The answer, where the headers ask for this path: no body is read as JSON, nothing is kept, nothing is built per event.
pub(crate) fn fast(parts: &Parts, breaker: Breaker) -> Option<Response<ScriptBody>> {
    const MESSAGE: &[u8] = br#"{"model":"claude-sonnet-5","id":"msg_01BenchBenchBenchBench00","type":"message","role":"assistant","content":[{"type":"text","text":"Hello!"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}}"#;
    const COMPLETION: &[u8] = br#"{"id":"chatcmpl-BenchBenchBenchBenchBenchBench0","object":"chat.completion","created":1764000000,"model":"gpt-5.4-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}"#;
    const RESPONSE: &[u8] = br#"{"id":"resp_BenchBenchBenchBench","object":"response","created_at":1764000000,"status":"completed","model":"gpt-5.4-mini","output":[{"id":"msg_bench","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"Hello!"}]}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":13}}"#;
    let path = parts.uri.path();
    if let Some(events) = number(&parts.headers, EVENTS) {
        let (head, event, tail) = bench_events(path)?;
        let repeat = Repeat {
            head: Some(Bytes::from_static(head)),
            event: Bytes::from_static(event),
            left: events,
            interval: Duration::from_millis(number(&parts.headers, INTERVAL).unwrap_or(0)),
            tail: Some(Bytes::from_static(tail)),
            due: None,
        };
        let mut response = Response::new(ScriptBody::repeat(repeat, breaker));
        response.headers_mut().insert(
            "content-type",
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        );
        return Some(response);
    }
    if parts.headers.get(NAME)?.as_bytes() != BENCH.as_bytes() {
        return None;
    }
    let body = match path {
        "/v1/messages" => MESSAGE,
        "/v1/chat/completions" => COMPLETION,
        "/v1/responses" => RESPONSE,
        _ => return None,
    };
    let mut response = Response::new(ScriptBody::steps(vec![Step::Send(Bytes::from_static(body))], breaker));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert("content-length", HeaderValue::from(body.len()));
    Some(response)
}

/// Head, event and tail of the bench's streams; about as long as providers' own.
fn bench_events(path: &str) -> Option<(&'static [u8], &'static [u8], &'static [u8])> {
    match path {
        "/v1/messages" => Some((
            b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-5\",\"id\":\"msg_01BenchBenchBenchBench00\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" and so on\"}         }\n\n",
            b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":300}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        )),
        "/v1/chat/completions" => Some((
            b"data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"finish_reason\":null}]}\n\n",
            b"data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" and so on\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"dn7\"}\n\n",
            b"data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":300,\"total_tokens\":310}}\n\ndata: [DONE]\n\n",
        )),
        "/v1/responses" => Some((
            b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_BenchBenchBenchBench\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"gpt-5.4-mini\",\"output\":[],\"usage\":null}}\n\n",
            b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_bench\",\"output_index\":0,\"content_index\":0,\"delta\":\" and so on\",\"logprobs\":[]}\n\n",
            b"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":9,\"response\":{\"id\":\"resp_BenchBenchBenchBench\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"gpt-5.4-mini\",\"output\":[],\"usage\":{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":300,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":310}}}\n\n",
        )),
        _ => None,
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
