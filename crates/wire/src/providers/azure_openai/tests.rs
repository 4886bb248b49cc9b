use crate::verdict::{is_out_of_credit, passing_error_first, refuses_usage};
use crate::{ReaderOptions, ResponseFacts, ResponseReader, UsageChunkFilter};
use bytes::Bytes;
use lychgate_types::provider::Api;

/// The first chunk of every stream tells what the prompt's filters found, and nothing of the answer.
const PROMPT: &str = r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false}}}]}

"#;
const ROLE: &str = r#"data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1764000000,"id":"chatcmpl-Azure1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","system_fingerprint":"fp_b705f0c291","usage":null}

"#;
const TEXT: &str = r#"data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hi"},"finish_reason":null,"index":0,"logprobs":null}],"created":1764000000,"id":"chatcmpl-Azure1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","usage":null}

"#;
/// What an asynchronous filter found in a part of the answer: a choice without a delta, before or after the last text.
const FILTERED: &str = r#"data: {"choices":[{"content_filter_offsets":{"check_offset":44,"start_offset":44,"end_offset":198},"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":null,"index":0}],"created":0,"id":"","model":"","object":""}

"#;
const STOP: &str = r#"data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1764000000,"id":"chatcmpl-Azure1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","usage":null}

"#;
const USAGE: &str = r#"data: {"choices":[],"created":1764000000,"id":"chatcmpl-Azure1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","usage":{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"total_tokens":17}}

"#;
const DONE: &str = "data: [DONE]\n\n";
/// The prompt was refused by a filter.
const REFUSED: &str = r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#;

fn facts(events: &[&str], status: u16) -> ResponseFacts {
    let stream = events.concat();
    let mut results = [1, 7, 64, stream.len()].map(|size| {
        let mut reader = ResponseReader::new(
            Api::OpenAiChatCompletions,
            status == 200,
            ReaderOptions { capture_content: true },
        );
        for piece in stream.as_bytes().chunks(size) {
            reader.push(piece);
        }
        reader.finish(status)
    });
    let first = std::mem::take(&mut results[0]);
    assert!(results[1..].iter().all(|other| *other == first), "the cuts matter");
    first
}

#[test]
fn what_the_filters_say_is_no_part_of_the_answer() {
    let plain = facts(&[ROLE, TEXT, STOP, USAGE, DONE], 200);
    let usage = plain.only_usage().unwrap();
    assert_eq!(
        (
            usage.input_tokens,
            usage.cache_read_input_tokens,
            usage.output_tokens,
            usage.estimated
        ),
        (8, 4, 5, false)
    );
    for stream in [
        &[PROMPT, ROLE, TEXT, STOP, USAGE, DONE][..],
        &[PROMPT, FILTERED, ROLE, FILTERED, TEXT, FILTERED, STOP, USAGE, DONE],
        &[PROMPT, ROLE, TEXT, STOP, FILTERED, FILTERED, USAGE, DONE],
        &[PROMPT, ROLE, TEXT, STOP, USAGE, FILTERED, DONE],
    ] {
        assert_eq!(facts(stream, 200), plain);
    }
    assert_eq!(
        (
            plain.provider_response_id.as_str(),
            plain.served_model.as_str(),
            plain.complete
        ),
        ("chatcmpl-Azure1", "gpt-4o-2024-11-20", true)
    );
}

#[test]
fn a_stream_that_lacks_its_end_is_whole_though_a_filter_speaks_last() {
    let finished = facts(&[PROMPT, ROLE, TEXT, STOP, FILTERED], 200);
    assert!(finished.complete);
    assert!(!facts(&[PROMPT, ROLE, TEXT, FILTERED], 200).complete);
}

#[test]
fn only_the_usage_chunk_is_kept_from_a_client() {
    let mut filter = UsageChunkFilter::new();
    let stream = [PROMPT, ROLE, TEXT, STOP, FILTERED, USAGE, DONE].concat();
    let mut out = filter.push(Bytes::from(stream.clone())).to_vec();
    out.extend_from_slice(&filter.finish());
    assert_eq!(String::from_utf8(out).unwrap(), stream.replace(USAGE, ""));
}

#[test]
fn a_filtered_prompt_is_the_clients_error() {
    let error = facts(&[REFUSED], 400).error.unwrap();
    assert_eq!(error.error_type, "content_filter");
    let api = Api::OpenAiChatCompletions;
    assert!(!is_out_of_credit(api, 400, REFUSED.as_bytes()) && !refuses_usage(REFUSED.as_bytes()));
    assert_eq!(passing_error_first(api, true, PROMPT.as_bytes()), None);
}

#[test]
fn a_refusal_of_what_asks_for_usage_is_known_by_its_words() {
    for body in [
        r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error","param":null,"code":null}}"#,
        r#"{"error":{"requestid":"1","code":400,"message":"Validation error at #/stream_options: Extra inputs are not permitted"}}"#,
        r#"{"error":{"code":"unknown_parameter","message":"Unknown parameter: 'stream_options'.","param":"stream_options"}}"#,
    ] {
        assert!(refuses_usage(body.as_bytes()), "{body}");
    }
}
