//! Messages as Anthropic sends them.

use super::request::read;
use crate::limits::{ANSWER_CONTENT_BYTES, CUT_MARK};
use crate::testing::{
    assert_error, assert_thoughts, assert_tools, named_events, read_body, read_stream, read_stream_without_content,
};
use crate::{ReaderOptions, RequestFacts, ResponseFacts, ResponseReader};
use lychgate_types::interception::{ThoughtSource, TokenUsage};
use lychgate_types::provider::Api::AnthropicMessages;

const START: &str = r#"{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":700,"cache_read_input_tokens":9000,"cache_creation":{"ephemeral_5m_input_tokens":500,"ephemeral_1h_input_tokens":200},"output_tokens":1,"service_tier":"standard"}}}"#;
const TEXT: &[&str] = &[
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
];
const STOP: &str = r#"{"type":"message_stop"}"#;

fn stream(parts: &[&[&str]]) -> ResponseFacts {
    read_stream(AnthropicMessages, &named_events(&parts.concat()))
}

#[test]
fn cumulative_counts_are_replaced_field_by_field_and_never_added() {
    let facts = stream(&[
        &[START],
        TEXT,
        &[
            r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":10}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":30,"cache_read_input_tokens":null,"output_tokens":15,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0}}}"#,
            STOP,
        ],
    ]);
    let wanted = TokenUsage {
        provider_response_id: "msg_01".into(),
        input_tokens: 30,
        output_tokens: 15,
        cache_read_input_tokens: 9000,
        cache_write_input_tokens: 500,
        cache_write_1h_input_tokens: 200,
        reasoning_tokens: 0,
        estimated: false,
        extra: [("server_tool_use.web_search_requests".to_owned(), 2)].into(),
        attributes: [("service_tier".to_owned(), "standard".to_owned())].into(),
    };
    assert_eq!(facts.only_usage(), Some(wanted));
    assert_eq!(facts.stop_reason.as_deref(), Some("end_turn"));
    assert!(facts.complete && facts.error.is_none());
}

#[test]
fn cache_writes_of_unknown_lifetime_count_as_short() {
    let usage = |usage: &str| {
        read_body(
            AnthropicMessages,
            200,
            &format!(r#"{{"id":"m","type":"message","content":[],"usage":{usage}}}"#),
        )
        .only_usage()
    };
    let writes = |text: &str| usage(text).map(|u| (u.cache_write_input_tokens, u.cache_write_1h_input_tokens));
    assert_eq!(writes(r#"{"cache_creation_input_tokens":7}"#), Some((7, 0)));
    assert_eq!(
        writes(r#"{"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}}"#),
        Some((3, 4))
    );
    let contradictory = r#"{"cache_creation_input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":4}}"#;
    assert_eq!(writes(contradictory), Some((0, 4)), "never below zero");
    assert_eq!(usage("null"), None);
    assert_eq!(usage(r#"{"input_tokens":"many"}"#), None);
    assert_eq!(
        usage(r#"{"input_tokens":"many","output_tokens":-3}"#).map(|u| u.output_tokens),
        Some(0)
    );
}

#[test]
fn tool_input_is_put_together_as_raw_json() {
    let facts = stream(&[
        &[START],
        TEXT,
        &[
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_2","name":"now","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"location\": \"Sankt "}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"Pölten\", \"t\":\"\\\"type\\\":\\\"text_delta\\\"\"}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use","id":"srv_1","name":"web_search","input":{}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":89}}"#,
            STOP,
        ],
    ]);
    let input = r#"{"location": "Sankt Pölten", "t":"\"type\":\"text_delta\""}"#;
    let server_tool = ("srv_1", "web_search", "{}");
    assert_tools(
        &facts,
        &[("toolu_1", "get_weather", input), ("toolu_2", "now", "{}"), server_tool],
    );
    assert_eq!(facts.stop_reason.as_deref(), Some("tool_use"));
}

#[test]
fn input_that_talks_of_text_deltas_is_not_taken_for_one() {
    let tool = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{"type":"text_delta"}}}"#;
    assert_tools(
        &stream(&[&[START, tool, STOP]]),
        &[("t", "n", r#"{"type":"text_delta"}"#)],
    );
}

#[test]
fn thinking_blocks_with_text_are_thoughts() {
    let events = [
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me "}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"see…"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Eq=="}}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":""}}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"redacted_thinking","data":"x"}}"#,
        STOP,
    ];
    assert_thoughts(&stream(&[&events]), &[(ThoughtSource::Thinking, "Let me see…")]);
    let facts = read_stream_without_content(AnthropicMessages, &named_events(&events));
    assert_thoughts(&facts, &[]);
}

#[test]
fn a_blocking_answer_tells_the_same() {
    let facts = read_body(
        AnthropicMessages,
        200,
        r#"{"id":"msg_02","type":"message","role":"assistant","model":"claude-opus-4-5","content":[{"type":"thinking","thinking":"Hm.","signature":"s"},{"type":"text","text":"Hi"},{"type":"tool_use","id":"toolu_3","name":"add","input":{"a": 1,"b":[2]}}],"stop_reason":"tool_use","usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":6}}"#,
    );
    assert_eq!(facts.provider_response_id, "msg_02");
    assert_thoughts(&facts, &[(ThoughtSource::Thinking, "Hm.")]);
    assert_tools(&facts, &[("toolu_3", "add", r#"{"a": 1,"b":[2]}"#)]);
    let usage = facts.only_usage().unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens),
        (12, 6, 3)
    );
    assert!(!usage.estimated && facts.complete && usage.extra.is_empty());
}

#[test]
fn errors_come_in_bodies_and_in_streams() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let facts = read_body(AnthropicMessages, 529, error);
    assert_error(&facts, "overloaded_error", "Overloaded");
    assert_eq!(facts.only_usage(), None);
    let facts = stream(&[&[START], TEXT, &[error]]);
    assert_error(&facts, "overloaded_error", "Overloaded");
    assert!(!facts.complete);
    assert_error(
        &read_body(AnthropicMessages, 502, "<html>Bad gateway</html>"),
        "http_502",
        "the provider answered 502 without an error that could be read",
    );
}

#[test]
fn a_cut_stream_is_incomplete_and_its_counts_estimated() {
    let facts = stream(&[&[START], TEXT]);
    let usage = facts.only_usage().unwrap();
    assert!(!facts.complete && usage.estimated);
    assert_eq!((usage.input_tokens, usage.output_tokens), (25, 1));
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#;
    let facts = stream(&[&[START], TEXT, &[delta]]);
    assert!(
        facts.complete && !facts.only_usage().unwrap().estimated,
        "the model had stopped and its counts had come"
    );
    let null = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":null}"#;
    let facts = stream(&[&[START], TEXT, &[null, STOP]]);
    assert!(
        facts.complete && facts.only_usage().unwrap().estimated,
        "whole, but the final count never came"
    );
    assert!(!read_body(AnthropicMessages, 200, r#"{"id":"msg_02","usage":{"input_tokens":1}"#).complete);
}

#[test]
fn text_counts_wherever_its_type_stands() {
    for delta in [
        r#"{"type":"text_delta","text":"Hello"}"#,
        r#"{"text":"Hello","type":"text_delta"}"#,
    ] {
        let event = format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
        let mut reader = ResponseReader::new(AnthropicMessages, true, ReaderOptions { capture_content: true });
        for _ in 0..3 {
            reader.push(format!("event: content_block_delta\ndata: {event}\n\n").as_bytes());
        }
        assert_eq!(reader.text_bytes(), 15, "{delta}");
    }
}

#[test]
fn malformed_and_unknown_events_are_passed_over() {
    let broken = "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":99\n\n";
    let odd = named_events(&[
        r#"{"type":"message_delta","delta":7,"usage":[1]}"#,
        r#"{"type":"content_block_delta","index":44,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
        r#"{"type":"content_block_start","index":"x","content_block":null}"#,
        r#"{"type":"new_event","usage":{"output_tokens":5}}"#,
        STOP,
    ]);
    let facts = read_stream(
        AnthropicMessages,
        &[&named_events(&[START]), broken, "data: [1]\n\n", &odd].concat(),
    );
    assert!(facts.complete);
    assert_tools(&facts, &[]);
    assert_eq!(facts.only_usage().unwrap().output_tokens, 1);
}

#[test]
fn content_has_a_budget_and_can_be_off() {
    let piece = format!(
        r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":"{}"}}}}"#,
        "x".repeat(ANSWER_CONTENT_BYTES / 2 + 1)
    );
    let tool = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}"#;
    let events = named_events(&[START, tool, &piece, &piece, &piece, STOP]);
    let facts = read_stream_without_content(AnthropicMessages, &events);
    assert_tools(&facts, &[("t", "n", "")]);
    let mut reader = ResponseReader::new(AnthropicMessages, true, ReaderOptions { capture_content: true });
    reader.push(events.as_bytes());
    let input = &reader.finish(200).tool_usages[0].input;
    let input = input.open(usize::MAX).text;
    assert!(input.ends_with(CUT_MARK) && input.len() <= ANSWER_CONTENT_BYTES + CUT_MARK.len());
}

fn request(body: &str) -> RequestFacts {
    read(body.as_bytes()).unwrap()
}

#[test]
fn the_prompt_is_the_text_of_the_last_user_message() {
    let facts = request(
        r#"{"model":"claude-sonnet-5","max_tokens":9,"stream":true,"messages":[{"role":"assistant","content":"x"},{"role":"user","content":[{"type":"text","text":"Fix it"},{"type":"image","source":{}},{"type":"text","text":"now"},{"type":"text","text":"<system-reminder>\nUse the tools.\n</system-reminder>\n"}]}]}"#,
    );
    assert_eq!((facts.model.as_str(), facts.streaming), ("claude-sonnet-5", true));
    assert_eq!(facts.prompt.as_deref(), Some("Fix it\nnow"));
    assert_eq!(
        request(r#"{"messages":[{"role":"user","content":"Hi"}]}"#)
            .prompt
            .as_deref(),
        Some("Hi")
    );
    for behind in [
        r#"{"role":"assistant","content":"{"}"#,
        r#"{"role":"system","content":"Agents: a, b"}"#,
    ] {
        let facts = request(&format!(
            r#"{{"messages":[{{"role":"user","content":"Hi"}},{behind}]}}"#
        ));
        assert_eq!(facts.prompt.as_deref(), Some("Hi"), "{behind}");
    }
    assert_eq!(request(r#"{"messages":[]}"#).prompt, None);
}

#[test]
fn tool_results_name_the_thread_and_are_no_prompt() {
    let facts = request(
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"a"},{"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"b"}]},{"type":"text","text":"and go on"}]}]}"#,
    );
    assert_eq!(facts.thread_parent_tool_call_id.as_deref(), Some("toolu_2"));
    assert_eq!(facts.prompt.as_deref(), Some("and go on"));
    let facts = request(
        r#"{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":[]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_3","content":"a"}]},{"role":"system","content":"s"}]}"#,
    );
    assert_eq!(facts.thread_parent_tool_call_id.as_deref(), Some("toolu_3"));
    assert_eq!(facts.prompt, None);
}

#[test]
fn the_session_is_read_from_both_forms_of_user_id() {
    let session = |user_id: &str| {
        let body = serde_json::json!({"metadata": {"user_id": user_id}}).to_string();
        request(&body).body_session_id
    };
    let old = "user_0a1b_account_5f_session_0192d3c4-5b6a-7c8d-9e0f-112233445566";
    assert_eq!(session(old).as_deref(), Some("0192d3c4-5b6a-7c8d-9e0f-112233445566"));
    assert_eq!(
        session(r#"{"device_id":"d","account_uuid":"","session_id":"s-9"}"#).as_deref(),
        Some("s-9")
    );
    assert_eq!(session(r#"{"device_id":"d_session_e"}"#), None);
    assert_eq!(session("somebody"), None);
    assert_eq!(session("x_session_"), None);
    assert_eq!(request(r#"{"metadata":{"user_id":5}}"#).body_session_id, None);
}

/// The rows of an answer with this usage: input, output, cache read, cache written, model.
fn rows(usage: &str) -> Vec<(i64, i64, i64, i64, Option<String>)> {
    let body = format!(r#"{{"id":"m","type":"message","model":"claude-opus-4-8","content":[],"usage":{usage}}}"#);
    let facts = read_body(AnthropicMessages, 200, &body);
    assert_eq!(facts.served_model, "claude-opus-4-8");
    let row = |u: &TokenUsage| {
        assert_eq!((u.provider_response_id.as_str(), u.estimated), ("m", false));
        let model = u.attributes.get("model").cloned();
        let (read, written) = (u.cache_read_input_tokens, u.cache_write_input_tokens);
        (u.input_tokens, u.output_tokens, read, written, model)
    };
    facts.usages.iter().map(row).collect()
}

#[test]
fn each_billed_pass_of_the_model_is_a_row() {
    let compaction = r#"{"input_tokens":100,"output_tokens":20,"cache_creation_input_tokens":900,"iterations":[{"type":"compaction","input_tokens":50,"output_tokens":3000,"cache_read_input_tokens":150000},{"type":"message","input_tokens":100,"output_tokens":20,"cache_creation_input_tokens":900}]}"#;
    assert_eq!(
        rows(compaction),
        [(50, 3000, 150_000, 0, None), (100, 20, 0, 900, None)]
    );
    let single = r#"{"input_tokens":23,"output_tokens":10,"iterations":[{"type":"message","input_tokens":23,"output_tokens":10}]}"#;
    assert_eq!(rows(single), [(23, 10, 0, 0, None)], "one pass is not booked twice");
    let declined = r#"{"input_tokens":4,"output_tokens":60,"iterations":[{"type":"message","input_tokens":4,"output_tokens":0},{"type":"fallback_message","model":"other","input_tokens":4,"output_tokens":60}]}"#;
    assert_eq!(rows(declined), [(4, 60, 0, 0, Some("other".to_owned()))]);
    let untold = r#"{"input_tokens":4,"output_tokens":60,"iterations":[{"type":"message","input_tokens":4},{"type":"message","input_tokens":4}]}"#;
    assert_eq!(rows(untold), [(4, 60, 0, 0, None)], "no pass tells what it wrote");
    let many = format!(
        r#"{{"output_tokens":1,"iterations":[{}{{"output_tokens":1}}]}}"#,
        r#"{"output_tokens":1},"#.repeat(5000)
    );
    assert_eq!(rows(&many).len(), crate::limits::PASSES);
}

#[test]
fn every_message_of_a_stream_is_booked_once() {
    let start = |id: &str| {
        format!(
            r#"{{"type":"message_start","message":{{"id":"{id}","usage":{{"input_tokens":5,"output_tokens":1}}}}}}"#
        )
    };
    let delta = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":9}}"#;
    let (a, b) = (start("a"), start("b"));
    let facts = stream(&[&[&a, &a, delta, &b, delta, STOP]]);
    let found: Vec<_> = facts
        .usages
        .iter()
        .map(|u| (u.provider_response_id.as_str(), u.input_tokens, u.output_tokens))
        .collect();
    assert_eq!(found, [("a", 5, 9), ("b", 5, 9)]);
}

#[test]
fn counts_never_fall_and_nothing_changes_after_the_end() {
    let facts = stream(&[
        &[START],
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"t","name":"web_search","input":{"q":1}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":12}}"#,
            STOP,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":999}}"#,
        ],
    ]);
    let usage = facts.only_usage().unwrap();
    assert_eq!(
        (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens),
        (25, 9000, 12)
    );
    assert_eq!(facts.stop_reason.as_deref(), Some("end_turn"));
    assert_tools(&facts, &[("t", "web_search", r#"{"q":1}"#)]);
}

#[test]
fn what_decides_the_price_is_kept_in_the_providers_words() {
    let usage = r#"{"input_tokens":1,"output_tokens":2,"service_tier":"priority","speed":"fast","inference_geo":"us","cost":0.0042}"#;
    let facts = read_body(
        AnthropicMessages,
        200,
        &format!(r#"{{"id":"m","content":[],"usage":{usage}}}"#),
    );
    let attributes = facts.only_usage().unwrap().attributes;
    let found: Vec<_> = attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("cost", "0.0042"),
            ("inference_geo", "us"),
            ("service_tier", "priority"),
            ("speed", "fast")
        ]
    );
}

#[test]
fn mislabelled_answers_are_read_as_what_they_are() {
    let events = named_events(&[
        START,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
        STOP,
    ]);
    let facts = read_body(AnthropicMessages, 200, &events);
    assert_eq!((facts.complete, facts.only_usage().unwrap().output_tokens), (true, 7));
    let body = r#"{"id":"m","content":[],"usage":{"input_tokens":3,"output_tokens":4}}"#;
    let facts = read_stream(AnthropicMessages, body);
    assert_eq!((facts.complete, facts.only_usage().unwrap().output_tokens), (true, 4));
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_error(&read_stream(AnthropicMessages, error), "overloaded_error", "Overloaded");
}
