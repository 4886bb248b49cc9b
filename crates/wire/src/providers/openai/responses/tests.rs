//! Responses as OpenAI sends them.

use super::request::read;
use crate::testing::{
    assert_error, assert_thoughts, assert_tools, named_events, read_body, read_stream, read_stream_without_content,
};
use crate::{RequestFacts, ResponseFacts};
use lychgate_types::interception::{ThoughtSource, TokenUsage};
use lychgate_types::provider::Api::OpenAiResponses as Responses;

const CREATED: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","error":null,"incomplete_details":null,"instructions":"Be brief","model":"gpt-5","output":[],"usage":null}}"#;
const TEXT: &[&str] = &[
    r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","content":[]}}"#,
    r#"{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hi"}"#,
];
const USAGE: &str = r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":150}"#;
const CALL: &str = r#"{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"a\": 1}","call_id":"call_1","name":"add"}"#;

fn ending(status: &str, more: &str) -> String {
    format!(
        r#"{{"type":"response.{status}","sequence_number":9,"response":{{"id":"resp_1","status":"{status}","usage":{USAGE}{more}}}}}"#
    )
}

fn stream(parts: &[&[&str]]) -> ResponseFacts {
    read_stream(Responses, &named_events(&parts.concat()))
}

fn wanted_usage() -> TokenUsage {
    TokenUsage {
        provider_response_id: "resp_1".into(),
        input_tokens: 40,
        output_tokens: 50,
        cache_read_input_tokens: 60,
        reasoning_tokens: 20,
        ..TokenUsage::default()
    }
}

#[test]
fn usage_comes_with_every_kind_of_end() {
    for (status, more, reason) in [
        ("completed", r#","error":null,"incomplete_details":null"#, "completed"),
        (
            "incomplete",
            r#","incomplete_details":{"reason":"max_output_tokens"}"#,
            "max_output_tokens",
        ),
        (
            "failed",
            r#","error":{"code":"server_error","message":"It broke"}"#,
            "failed",
        ),
        ("cancelled", "", "cancelled"),
    ] {
        let facts = stream(&[&[CREATED], TEXT, &[&ending(status, more)]]);
        assert_eq!(facts.only_usage(), Some(wanted_usage()), "{status}");
        assert_eq!(facts.stop_reason.as_deref(), Some(reason));
        assert!(facts.complete);
        assert_eq!(facts.error.is_some(), status == "failed");
    }
    let facts = stream(&[&[&ending(
        "failed",
        r#","error":{"code":"server_error","message":"It broke"}"#,
    )]]);
    assert_error(&facts, "server_error", "It broke");
}

#[test]
fn a_blocking_answer_has_its_usage_whatever_its_status() {
    for status in ["completed", "incomplete", "failed", "cancelled"] {
        let facts = read_body(
            Responses,
            200,
            &format!(r#"{{"id":"resp_1","status":"{status}","output":[{CALL}],"usage":{USAGE}}}"#),
        );
        assert_eq!(facts.only_usage(), Some(wanted_usage()));
        assert_tools(&facts, &[("call_1", "add", r#"{"a": 1}"#)]);
        assert_eq!(facts.stop_reason.as_deref(), Some(status));
        assert!(facts.complete);
    }
    let facts = read_body(
        Responses,
        200,
        r#"{"id":"resp_1","status":"queued","background":true,"output":[],"usage":null}"#,
    );
    assert_eq!(
        (
            facts.only_usage(),
            facts.stop_reason,
            facts.complete,
            facts.in_background
        ),
        (None, None, true, true)
    );
}

#[test]
fn what_is_made_in_the_background_has_not_ended_with_its_stream() {
    let begun = CREATED.replace(r#""error":null"#, r#""background":true,"error":null"#);
    let error = r#"{"type":"error","code":"server_error","message":"It broke"}"#;
    for (events, in_background) in [
        (vec![begun.as_str()], true),
        (vec![begun.as_str(), TEXT[0], TEXT[1]], true),
        (vec![CREATED, TEXT[0]], false),
        (vec![begun.as_str(), error], false),
        (vec![begun.as_str(), &ending("completed", "")], false),
        (vec![begun.as_str(), &ending("cancelled", "")], false),
    ] {
        assert_eq!(stream(&[&events]).in_background, in_background, "{events:?}");
    }
    for (body, in_background) in [
        (r#"{"id":"r","status":"in_progress"}"#, true),
        // A server that says so of everything.
        (
            r#"{"id":"r","status":"in_progress","usage":{"input_tokens":1,"output_tokens":1}}"#,
            false,
        ),
        (r#"{"id":"r","status":"completed"}"#, false),
        (r#"{"id":"r","object":"response.deleted","deleted":true}"#, false),
        (r#"{"error":{"message":"m","type":"t"}}"#, false),
    ] {
        assert_eq!(read_body(Responses, 200, body).in_background, in_background, "{body}");
    }
}

/// One of each kind of output item that is recorded, and some that aren't.
const ITEMS: &[&str] = &[
    r#"{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"First."},{"type":"summary_text","text":""},{"type":"summary_text","text":"Then."}],"encrypted_content":"x"}"#,
    r#"{"id":"msg_0","type":"message","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"I'll look.","annotations":[]}]}"#,
    r#"{"id":"msg_1","type":"message","role":"assistant","phase":"final_answer","content":[{"type":"output_text","text":"Done."}]}"#,
    CALL,
    r#"{"id":"ctc_1","type":"custom_tool_call","call_id":"call_2","name":"apply","input":"*** Begin"}"#,
    r#"{"id":"sh_1","type":"shell_call","call_id":"call_3","action":{"commands":["ls"]}}"#,
    r#"{"id":"lsh_1","type":"local_shell_call","call_id":"call_4","action":{"type":"exec"}}"#,
    r#"{"id":"ap_1","type":"apply_patch_call","call_id":"call_5","operation":{"type":"delete_file","path":"a"}}"#,
    r#"{"id":"mcp_1","type":"mcp_call","server_label":"s","name":"roll","arguments":"{}","output":"4"}"#,
    r#"{"id":"cu_1","type":"computer_call","call_id":"call_6","action":{"type":"click"}}"#,
    r#"{"id":"cu_2","type":"computer_call","call_id":"call_7","actions":[{"type":"wait"}]}"#,
    r#"{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}"#,
    r#"{"id":"mcpl_1","type":"mcp_list_tools","name":"x","arguments":"{}"}"#,
];

fn assert_items(facts: &ResponseFacts) {
    assert_tools(
        facts,
        &[
            ("call_1", "add", r#"{"a": 1}"#),
            ("call_2", "apply", "*** Begin"),
            ("call_3", "shell_call", r#"{"commands":["ls"]}"#),
            ("call_4", "local_shell_call", r#"{"type":"exec"}"#),
            ("call_5", "apply_patch_call", r#"{"type":"delete_file","path":"a"}"#),
            ("mcp_1", "roll", "{}"),
            ("call_6", "computer_call", r#"{"type":"click"}"#),
            ("call_7", "computer_call", r#"[{"type":"wait"}]"#),
            ("ws_1", "web_search_call", r#"{"type":"search","query":"q"}"#),
        ],
    );
    assert_thoughts(
        facts,
        &[
            (ThoughtSource::ReasoningSummary, "First."),
            (ThoughtSource::ReasoningSummary, "Then."),
            (ThoughtSource::Commentary, "I'll look."),
        ],
    );
}

#[test]
fn every_kind_of_call_and_thought_is_recorded_once() {
    let done = |(index, item): (usize, &&str)| {
        format!(r#"{{"type":"response.output_item.done","output_index":{index},"item":{item}}}"#)
    };
    let done: Vec<String> = ITEMS.iter().enumerate().map(done).collect();
    let done: Vec<&str> = done.iter().map(String::as_str).collect();
    let output = format!(r#","output":[{}]"#, ITEMS.join(","));
    assert_items(&read_body(Responses, 200, &format!(r#"{{"id":"resp_1"{output}}}"#)));
    assert_items(&stream(&[&[CREATED], &done, &[&ending("completed", &output)]]));
    assert_items(&stream(&[
        &[CREATED],
        &done,
        &[&ending("completed", r#","output":[]"#)],
    ]));
    assert_items(&stream(&[&[CREATED], &[&ending("completed", &output)]]));
    assert_items(&stream(&[&[CREATED], &done]));

    let facts = read_stream_without_content(Responses, &named_events(&done));
    assert_thoughts(&facts, &[]);
    assert_eq!(facts.tool_usages.len(), 9);
    assert!(
        facts
            .tool_usages
            .iter()
            .all(|tool| tool.input.held_bytes() == 0 && !tool.tool.is_empty())
    );
}

#[test]
fn a_cut_stream_is_incomplete_and_known_by_its_id() {
    let facts = stream(&[&[CREATED], TEXT]);
    assert_eq!(
        (facts.provider_response_id.as_str(), facts.only_usage(), facts.complete),
        ("resp_1", None, false)
    );
}

#[test]
fn errors_come_in_bodies_and_in_streams() {
    let error = r#"{"error":{"message":"No such model","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
    assert_error(
        &read_body(Responses, 404, error),
        "invalid_request_error",
        "No such model",
    );
    for event in [
        r#"{"type":"error","code":"rate_limit_exceeded","message":"Slow down","param":null,"sequence_number":3}"#,
        r#"{"type":"error","error":{"type":"rate_limit_exceeded","message":"Slow down"}}"#,
    ] {
        let facts = stream(&[&[CREATED], TEXT, &[event]]);
        assert_error(&facts, "rate_limit_exceeded", "Slow down");
        assert!(!facts.complete);
    }
    let facts = read_stream(Responses, &format!("data: {error}\n\n"));
    assert_error(&facts, "invalid_request_error", "No such model");
}

#[test]
fn malformed_events_are_passed_over() {
    let broken = "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"item\":{\n\n";
    let odd = r#"{"type":"response.output_item.done","output_index":"x","item":[1]}"#;
    let stream = [
        broken,
        &named_events(&[odd, CREATED, &ending("completed", r#","output":{}"#)]),
    ]
    .concat();
    let facts = read_stream(Responses, &stream);
    assert_eq!(facts.only_usage(), Some(wanted_usage()));
    assert_tools(&facts, &[]);
}

fn request(body: &str) -> RequestFacts {
    read(body.as_bytes()).unwrap()
}

#[test]
fn the_prompt_is_the_input_or_all_text_of_the_last_item_of_the_user() {
    let facts = request(r#"{"model":"gpt-5-codex","stream":true,"input":"Say \u0041"}"#);
    assert_eq!(
        (facts.model.as_str(), facts.streaming, facts.prompt.as_deref()),
        ("gpt-5-codex", true, Some("Say A"))
    );
    let facts = request(
        r#"{"input":[{"type":"message","role":"developer","content":"d"},{"type":"message","role":"user","content":[{"type":"input_text","text":"one"},{"type":"input_image","image_url":"u"},{"type":"input_text","text":"two"}]}]}"#,
    );
    assert_eq!(facts.prompt.as_deref(), Some("one\ntwo"));
    for behind in [
        "",
        r#",{"type":"message","role":"assistant","content":"x"}"#,
        r#",{"role":"developer","content":"d"},7"#,
    ] {
        let facts = request(&format!(r#"{{"input":[{{"role":"user","content":"Hi"}}{behind}]}}"#));
        assert_eq!(facts.prompt.as_deref(), Some("Hi"), "{behind}");
    }
    for none in [r#"{"input":[]}"#, r#"{"input":7}"#, r#"{"conversation":"conv_1"}"#] {
        assert_eq!(request(none).prompt, None, "{none}");
    }
}

#[test]
fn a_last_tool_output_names_the_thread() {
    for kind in ["function_call_output", "custom_tool_call_output", "shell_call_output"] {
        let facts = request(&format!(
            r#"{{"input":[{{"type":"{kind}","call_id":"call_1","output":"1"}},{{"type":"{kind}","call_id":"call_2","output":"2"}}]}}"#
        ));
        assert_eq!(
            (facts.thread_parent_tool_call_id.as_deref(), facts.prompt),
            (Some("call_2"), None)
        );
    }
    let facts = request(r#"{"input":[{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}]}"#);
    assert_eq!(facts.thread_parent_tool_call_id, None);
    // The user says something beside it, or the whole conversation is sent again.
    for behind in [
        r#"{"role":"user","content":"Go on"}"#,
        r#"{"type":"message","role":"assistant","content":"Done"},{"role":"user","content":"Go on"}"#,
    ] {
        let facts = request(&format!(
            r#"{{"input":[{{"type":"local_shell_call_output","call_id":"call_1","output":"1"}},{behind}]}}"#
        ));
        let found = (facts.thread_parent_tool_call_id.as_deref(), facts.prompt.as_deref());
        assert_eq!(found, (Some("call_1"), Some("Go on")));
    }
    let facts = request(r#"{"input":"x","previous_response_id":"resp_1"}"#);
    assert_eq!(
        (facts.previous_response_id.as_deref(), facts.objects),
        (Some("resp_1"), vec!["resp_1".to_owned()])
    );
}

#[test]
fn items_that_are_referred_to_are_named() {
    let named = |items: &str| request(&format!(r#"{{"input":[{items}]}}"#)).objects;
    assert_eq!(
        named(r#"{"type":"item_reference","id":"a"},{"id":"b"},{"id":"b","type":null}"#),
        ["a", "b"]
    );
    for picture in ["", r#","result":null"#, r#","result":"""#] {
        let call = format!(r#"{{"type":"image_generation_call","id":"ig_1"{picture}}}"#);
        assert_eq!(named(&call), ["ig_1"], "{call}");
    }
    for rest in [
        "",
        r#","encrypted_content":null"#,
        r#","encrypted_content":"""#,
        r#","content":[{"type":"reasoning_text","text":"t"}]"#,
    ] {
        let reasoning = format!(r#"{{"type":"reasoning","id":"rs_1","summary":[]{rest}}}"#);
        assert_eq!(named(&reasoning), ["rs_1"], "{reasoning}");
    }
    for none in [
        r#"{"type":"message","id":"a","role":"user","content":"x"}"#,
        r#"{"role":"user","id":"a","content":"x"}"#,
        r#"{"type":"reasoning","id":"a"}"#,
        r#"{"type":"reasoning","summary":[]}"#,
        r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}"#,
        r#"{"type":"item_reference"}"#,
        r#"{"type":"image_generation_call","id":"a","result":"AAAA"}"#,
        r#""item_reference""#,
    ] {
        assert!(named(none).is_empty(), "{none}");
    }
    assert!(read(br#"{"input":[{"type":"message","type":"item_reference","id":"a"}]}"#).is_err());
}
