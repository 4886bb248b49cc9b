use crate::testing::{
    assert_error, assert_thoughts, assert_tools, event_frame, exception_frame, read_body, read_frames,
};
use crate::verdict::{BEGINNING_BYTES, needs_more, passing_error_first};
use crate::{ReaderOptions, ResponseFacts, ResponseReader, read_request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lychgate_types::interception::ThoughtSource;
use lychgate_types::provider::Api;
use lychgate_types::provider::Api::{BedrockConverse, BedrockInvoke};

/// A chunk of `InvokeModelWithResponseStream`, padded as AWS pads it.
fn chunk(json: &str) -> Vec<u8> {
    let bytes = STANDARD.encode(json);
    event_frame("chunk", &format!(r#"{{"bytes":"{bytes}","p":"abcdefghij"}}"#))
}

fn chunks(jsons: &[&str]) -> Vec<u8> {
    jsons.iter().flat_map(|json| chunk(json)).collect()
}

fn events(events: &[(&str, &str)]) -> Vec<u8> {
    events.iter().flat_map(|(name, json)| event_frame(name, json)).collect()
}

/// Input, output, read from the cache, written for five minutes and for one hour.
fn counts(facts: &ResponseFacts) -> [i64; 5] {
    let usage = facts.only_usage().expect("a usage");
    [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.cache_write_1h_input_tokens,
    ]
}

/// A stream of Claude's, with counts as `message_start` has them.
const START: &str = r#"{"type":"message_start","message":{"model":"claude-sonnet-4-5-20250929","id":"msg_bdrk_01","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":12,"output_tokens":1}}}"#;
const CLAUDE: &[&str] = &[
    START,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hello"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":" there"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_bdrk_1","name":"find","input":{}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"q\":1}"}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":38}}"#,
    r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":12,"outputTokenCount":38,"invocationLatency":1234,"firstByteLatency":300,"cacheReadInputTokenCount":2048,"cacheWriteInputTokenCount":512}}"#,
];

#[test]
fn claudes_stream_is_anthropics_in_frames_with_the_cache_in_the_metrics_only() {
    let facts = read_frames(BedrockInvoke, &chunks(CLAUDE));
    assert_eq!(facts.provider_response_id, "msg_bdrk_01");
    assert_eq!(facts.served_model, "claude-sonnet-4-5-20250929");
    assert_eq!(facts.stop_reason.as_deref(), Some("tool_use"));
    assert_eq!(counts(&facts), [12, 38, 2048, 512, 0], "merged member by member");
    assert!(facts.complete && !facts.only_usage().unwrap().estimated);
    assert_tools(&facts, &[("toolu_bdrk_1", "find", r#"{"q":1}"#)]);
    assert_thoughts(&facts, &[(ThoughtSource::Thinking, "Hm.")]);
    assert_eq!(facts.error, None);
    assert_eq!(facts.text_bytes, "Hm.".len() as u64 + "Hello there".len() as u64 + 7);
}

#[test]
fn what_ends_before_its_end_is_no_whole_answer() {
    let facts = read_frames(BedrockInvoke, &chunks(&CLAUDE[..7]));
    assert!(!facts.complete && facts.only_usage().unwrap().estimated);
    assert!(facts.error.is_none());

    let mut cut = chunks(&CLAUDE[..7]);
    cut.truncate(cut.len() - 3);
    let facts = read_frames(BedrockInvoke, &cut);
    assert!(
        !facts.complete && facts.error.is_none(),
        "why it ended is known to who relayed it"
    );

    let mut bad = chunks(CLAUDE);
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let facts = read_frames(BedrockInvoke, &bad);
    assert!(!facts.complete, "its last event is not known, whatever came before it");
    assert_error(&facts, "damaged_stream", "a frame is damaged");
}

#[test]
fn an_exception_ends_a_stream_with_its_type() {
    for (exception, payload, message) in [
        (
            "throttlingException",
            r#"{"message":"Too many requests"}"#,
            "Too many requests",
        ),
        (
            "modelStreamErrorException",
            r#"{"message":"m","originalStatusCode":424,"originalMessage":"o"}"#,
            "m",
        ),
        ("internalServerException", "no JSON", "no JSON"),
    ] {
        let stream = [chunks(&CLAUDE[..6]), exception_frame(exception, payload)].concat();
        let facts = read_frames(BedrockInvoke, &stream);
        assert!(!facts.complete);
        assert_error(&facts, exception, message);
        assert_eq!(counts(&facts)[0], 12, "what was told before it");
        let facts = read_frames(BedrockConverse, &exception_frame(exception, payload));
        assert_error(&facts, exception, message);
    }
}

#[test]
fn an_exception_in_the_first_frame_may_pass() {
    for (exception, status) in [
        ("internalServerException", Some(500)),
        ("modelStreamErrorException", Some(502)),
        ("modelTimeoutException", Some(504)),
        ("serviceUnavailableException", Some(503)),
        ("throttlingException", Some(429)),
        ("validationException", None),
    ] {
        for api in [BedrockInvoke, BedrockConverse] {
            let first = exception_frame(exception, r#"{"message":"m"}"#);
            assert_eq!(passing_error_first(api, true, &first), status, "{exception}");
            assert!((0..first.len()).all(|end| needs_more(api, &first[..end])) && !needs_more(api, &first));
            let later = [chunk(START), first].concat();
            let later = passing_error_first(api, true, &later);
            assert_eq!(later.filter(|_| api == BedrockInvoke), None, "{exception} after usage");
        }
    }
    assert_eq!(passing_error_first(BedrockInvoke, true, &chunk(START)), None);
    let long = chunk(&"x".repeat(BEGINNING_BYTES));
    assert!(
        !needs_more(BedrockInvoke, &long[..BEGINNING_BYTES]),
        "the first frame is awaited no longer"
    );
    assert!(!needs_more(BedrockInvoke, b"{") || !needs_more(BedrockInvoke, br#"{"message":"m"}"#));
    assert!(!needs_more(Api::AnthropicMessages, b""));
}

#[test]
fn the_frames_of_other_models_tell_their_counts_in_the_last_one() {
    let metrics =
        r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":26,"outputTokenCount":9,"invocationLatency":1}"#;
    for (parts, stop_reason) in [
        (
            vec![
                r#"{"generation":"\n\nHel","prompt_token_count":26,"generation_token_count":1,"stop_reason":null}"#
                    .to_owned(),
                r#"{"generation":"lo","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}"#
                    .to_owned(),
                format!(r#"{{"generation":"","stop_reason":"stop",{metrics}}}"#),
            ],
            "stop",
        ),
        (
            vec![format!(
                r#"{{"outputText":"Hello","index":0,"totalOutputTextTokenCount":9,"completionReason":"FINISH","inputTextTokenCount":26,{metrics}}}"#
            )],
            "FINISH",
        ),
        (
            vec![
                r#"{"messageStart":{"role":"assistant"}}"#.to_owned(),
                r#"{"contentBlockDelta":{"delta":{"text":"Hello"},"contentBlockIndex":0}}"#.to_owned(),
                r#"{"messageStop":{"stopReason":"end_turn"}}"#.to_owned(),
                format!(
                    r#"{{"metadata":{{"usage":{{"inputTokens":26,"outputTokens":9,"cacheReadInputTokenCount":0}}}},{metrics}}}"#
                ),
            ],
            "end_turn",
        ),
    ] {
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        let facts = read_frames(BedrockInvoke, &chunks(&parts));
        assert_eq!(facts.stop_reason.as_deref(), Some(stop_reason));
        assert_eq!(counts(&facts), [26, 9, 0, 0, 0], "{stop_reason}");
        assert!(facts.complete && facts.text_bytes >= 5);
        let cut = read_frames(BedrockInvoke, &chunks(&parts[..parts.len() - 1]));
        assert!(!cut.complete || cut.stop_reason.is_some());
    }
}

/// The facts of a blocking answer with these headers.
fn with_head(api: Api, status: u16, head: &[(&str, &str)], body: &str) -> ResponseFacts {
    let mut reader = ResponseReader::new(api, false, ReaderOptions { capture_content: true });
    reader.head(|wanted| {
        let found = head.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| (*value).to_owned())
    });
    reader.push(body.as_bytes());
    reader.finish(status)
}

#[test]
fn blocking_answers_tell_their_counts_in_the_body_or_in_the_head() {
    let head = [
        ("x-amzn-bedrock-input-token-count", "26"),
        ("x-amzn-bedrock-output-token-count", "9"),
    ];
    let claude = r#"{"model":"claude-sonnet-4-5-20250929","id":"msg_bdrk_01","type":"message","role":"assistant","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":26,"cache_creation_input_tokens":300,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_1h_input_tokens":100},"output_tokens":9}}"#;
    let nova = r#"{"output":{"message":{"content":[{"text":"Hello"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":26,"outputTokens":9,"cacheReadInputTokenCount":7,"cacheWriteInputTokenCount":0}}"#;
    for (body, wanted) in [
        (claude, [26, 9, 7, 200, 100]),
        (nova, [26, 9, 7, 0, 0]),
        (
            r#"{"outputs":[{"text":"Hello","stop_reason":"stop"}]}"#,
            [26, 9, 0, 0, 0],
        ),
        (r#"{"embedding":[0.1],"inputTextTokenCount":26}"#, [26, 9, 0, 0, 0]),
        (
            r#"{"generation":"x","prompt_token_count":1,"generation_token_count":1,"stop_reason":"stop"}"#,
            [26, 9, 0, 0, 0],
        ),
    ] {
        let facts = with_head(BedrockInvoke, 200, &head, body);
        assert_eq!(counts(&facts), wanted, "{body}");
        assert!(facts.complete && facts.error.is_none());
    }
    for (body, wanted) in [
        (r#"{"embedding":[0.1],"inputTextTokenCount":8}"#, [8, 0, 0, 0, 0]),
        (
            r#"{"generation":"x","prompt_token_count":3,"generation_token_count":4}"#,
            [3, 4, 0, 0, 0],
        ),
        (
            r#"{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            [3, 4, 0, 0, 0],
        ),
        (
            r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":100,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":64}}}"#,
            [36, 4, 64, 0, 0],
        ),
    ] {
        assert_eq!(counts(&read_body(BedrockInvoke, 200, body)), wanted, "{body}");
    }
    assert!(
        read_body(BedrockInvoke, 200, r#"{"images":["QUJD"]}"#)
            .usages
            .is_empty()
    );
}

#[test]
fn errors_have_their_type_in_the_head() {
    for api in [BedrockInvoke, BedrockConverse] {
        for header in [
            "ThrottlingException",
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            "com.amazon.bedrock#ThrottlingException",
        ] {
            let head = [("x-amzn-errortype", header)];
            let facts = with_head(api, 429, &head, r#"{"message":"Too many tokens"}"#);
            assert_error(&facts, "ThrottlingException", "Too many tokens");
        }
        let facts = read_body(api, 403, r#"{"Message":"no access"}"#);
        assert_error(&facts, "error", "no access");
        let facts = read_body(api, 400, r#"{"__type":"com.amazon#ValidationException","message":"m"}"#);
        assert_error(&facts, "ValidationException", "m");
        assert_eq!(read_body(api, 502, "").error.unwrap().error_type, "http_502");
    }
}

const CONVERSE: &[(&str, &str)] = &[
    ("messageStart", r#"{"p":"abc","role":"assistant"}"#),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm."}},"p":"ab"}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":" Yes."}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":1,"delta":{"text":"Hello"}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
    (
        "contentBlockStart",
        r#"{"contentBlockIndex":2,"start":{"toolUse":{"name":"find","toolUseId":"tooluse_1"}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"q\""}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":":1}"}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
    ("messageStop", r#"{"stopReason":"tool_use"}"#),
    (
        "metadata",
        r#"{"metrics":{"latencyMs":9},"usage":{"inputTokens":12,"outputTokens":38,"totalTokens":562,"cacheReadInputTokens":2048,"cacheWriteInputTokens":512,"cacheDetails":[{"ttl":"1h","inputTokens":500},{"ttl":"5m","inputTokens":12}]},"serviceTier":{"type":"priority"},"performanceConfig":{"latency":"optimized"},"trace":{"promptRouter":{"invokedModelId":"arn:aws:bedrock:us-east-1::foundation-model/x"}}}"#,
    ),
];

#[test]
fn converse_tells_its_usage_behind_the_models_stop() {
    let facts = read_frames(BedrockConverse, &events(CONVERSE));
    assert!(facts.complete);
    assert_eq!(facts.stop_reason.as_deref(), Some("tool_use"));
    assert_eq!(facts.served_model, "arn:aws:bedrock:us-east-1::foundation-model/x");
    assert_eq!(counts(&facts), [12, 38, 2048, 12, 500]);
    let attributes = facts.only_usage().unwrap().attributes;
    assert_eq!(attributes["service_tier"], "priority");
    assert_eq!(attributes["speed"], "optimized");
    assert_tools(&facts, &[("tooluse_1", "find", r#"{"q":1}"#)]);
    assert_thoughts(&facts, &[(ThoughtSource::Thinking, "Hm. Yes.")]);

    let mut reader = ResponseReader::new(BedrockConverse, true, ReaderOptions { capture_content: true });
    reader.push(&events(&CONVERSE[..CONVERSE.len() - 1]));
    assert!(!reader.is_complete(), "the usage is still to come");
    assert!(reader.has_finished() && !reader.is_inside_event());
    assert_eq!(reader.text_bytes(), "Hm. Yes.Hello".len() as u64 + 7);
    let cut = read_frames(BedrockConverse, &events(&CONVERSE[..6]));
    assert!(!cut.complete);
}

#[test]
fn a_blocking_answer_of_converse() {
    let body = r#"{"metrics":{"latencyMs":9},"output":{"message":{"content":[{"reasoningContent":{"reasoningText":{"text":"Hm.","signature":"c2ln"}}},{"text":"Hello"},{"toolUse":{"input":{"q":1},"name":"find","toolUseId":"tooluse_1"}}],"role":"assistant"}},"stopReason":"tool_use","usage":{"inputTokens":12,"outputTokens":38,"totalTokens":50}}"#;
    let facts = read_body(BedrockConverse, 200, body);
    assert!(facts.complete);
    assert_eq!(counts(&facts), [12, 38, 0, 0, 0]);
    assert_tools(&facts, &[("tooluse_1", "find", r#"{"q":1}"#)]);
    assert_thoughts(&facts, &[(ThoughtSource::Thinking, "Hm.")]);
}

#[test]
fn requests_say_the_users_words_in_every_form() {
    for (api, body, prompt, parent) in [
        (
            BedrockInvoke,
            r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>x</system-reminder>"},{"type":"text","text":"Hi"}]}]}"#,
            Some("Hi"),
            None,
        ),
        (
            BedrockInvoke,
            r#"{"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r"}]}]}"#,
            None,
            Some("t1"),
        ),
        (
            BedrockInvoke,
            r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}],"inferenceConfig":{"maxTokens":9}}"#,
            Some("Hi"),
            None,
        ),
        (BedrockInvoke, r#"{"prompt":"Hi","max_gen_len":9}"#, Some("Hi"), None),
        (BedrockInvoke, r#"{"inputText":"Hi"}"#, Some("Hi"), None),
        (
            BedrockInvoke,
            r#"{"texts":["Hi"],"input_type":"search_document"}"#,
            None,
            None,
        ),
        (
            BedrockConverse,
            r#"{"messages":[{"role":"user","content":[{"text":"Hi"},{"cachePoint":{"type":"default"}}]},{"role":"assistant","content":[{"text":"{"}]}]}"#,
            Some("Hi"),
            None,
        ),
        (
            BedrockConverse,
            r#"{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[{"text":"r"}]}}]}]}"#,
            None,
            Some("t1"),
        ),
    ] {
        let facts = read_request(api, None, body.as_bytes()).unwrap();
        assert_eq!(facts.prompt.as_deref(), prompt, "{body}");
        assert_eq!(facts.thread_parent_tool_call_id.as_deref(), parent, "{body}");
        assert!(!facts.streaming && facts.text_bytes > 0);
    }
}
