//! OpenAI Responses.

use super::row::Row;
use lychgate_scripted::Endpoint::Responses;
use serde_json::{Value, json};

const CREATED: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","error":null,"incomplete_details":null,"instructions":"Be brief","model":"gpt-5.4-mini","output":[],"usage":null}}"#;
const TEXT: [&str; 2] = [
    r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","content":[]}}"#,
    r#"{"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Grüße 🏮"}"#,
];
const USAGE: &str = r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":150}"#;

/// One of each kind of output item that is recorded, and some that are not.
const ITEMS: &[&str] = &[
    r#"{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"First."},{"type":"summary_text","text":"Then…"}],"encrypted_content":"x"}"#,
    r#"{"id":"msg_0","type":"message","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"I'll look.","annotations":[]}]}"#,
    r#"{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"city\": \"Zürich\"}","call_id":"call_1","name":"get_weather"}"#,
    r#"{"id":"ctc_1","type":"custom_tool_call","call_id":"call_2","name":"apply","input":"*** Begin"}"#,
    r#"{"id":"sh_1","type":"shell_call","call_id":"call_3","action":{"commands":["ls"]}}"#,
    r#"{"id":"lsh_1","type":"local_shell_call","call_id":"call_4","action":{"type":"exec"}}"#,
    r#"{"id":"ap_1","type":"apply_patch_call","call_id":"call_5","operation":{"type":"delete_file","path":"a"}}"#,
    r#"{"id":"mcp_1","type":"mcp_call","server_label":"s","name":"roll","arguments":"{}","output":"4"}"#,
    r#"{"id":"cu_1","type":"computer_call","call_id":"call_6","action":{"type":"click"}}"#,
    r#"{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}"#,
    r#"{"id":"mcpl_1","type":"mcp_list_tools","name":"x","arguments":"{}"}"#,
    r#"{"id":"msg_1","type":"message","role":"assistant","phase":"final_answer","content":[{"type":"output_text","text":"Done."}]}"#,
];

fn ending(status: &str, more: &str) -> String {
    format!(
        r#"{{"type":"response.{status}","sequence_number":9,"response":{{"id":"resp_1","status":"{status}","usage":{USAGE}{more}}}}}"#
    )
}

fn usual(status: &str) -> Value {
    json!({"stop_reason": status, "usage": {
        "provider_response_id": "resp_1", "input_tokens": 40, "output_tokens": 50, "cache_read_input_tokens": 60, "reasoning_tokens": 20,
    }})
}

/// A stream that ends with `status`.
fn stream(name: &'static str, status: &str, between: &[&str], more: &str) -> Row {
    let end = ending(status, more);
    let events = [&[CREATED], between, &[end.as_str()]].concat();
    Row::stream(Responses, name, &events).records(usual(status))
}

fn blocking(name: &'static str, status: &str, more: &str) -> Row {
    let body = format!(r#"{{"id":"resp_1","object":"response","status":"{status}"{more},"usage":{USAGE}}}"#);
    Row::blocking(Responses, name, &(body + "\n")).records(usual(status))
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = usages();
    rows.extend(contents());
    rows.extend(prompts_and_threads());
    rows.extend(ends());
    rows
}

fn usages() -> Vec<Row> {
    let incomplete = r#","error":null,"incomplete_details":{"reason":"max_output_tokens"}"#;
    let failed = r#","error":{"code":"server_error","message":"It broke"}"#;
    let broke = json!({"outcome": "failed", "error_type": "server_error", "error_message": "It broke"});
    vec![
        stream(
            "response.completed, with cached and reasoning tokens",
            "completed",
            &TEXT,
            r#","error":null"#,
        ),
        stream("response.incomplete has usage", "incomplete", &TEXT, incomplete)
            .records(json!({"stop_reason": "max_output_tokens"})),
        stream("response.failed has usage", "failed", &TEXT, failed).records(broke.clone()),
        stream("response.cancelled has usage", "cancelled", &TEXT, ""),
        blocking("a blocking answer, completed", "completed", ""),
        blocking("a blocking answer, incomplete", "incomplete", incomplete)
            .records(json!({"stop_reason": "max_output_tokens"})),
        blocking("a blocking answer, failed", "failed", failed).records(broke),
        blocking("a blocking answer, cancelled", "cancelled", ""),
    ]
}

fn contents() -> Vec<Row> {
    let done: Vec<String> = ITEMS
        .iter()
        .enumerate()
        .map(|(at, item)| format!(r#"{{"type":"response.output_item.done","output_index":{at},"item":{item}}}"#))
        .collect();
    let done: Vec<&str> = done.iter().map(String::as_str).collect();
    let output = format!(r#","output":[{}]"#, ITEMS.join(","));
    let items = json!({
        "tools": [
            ["call_1", "get_weather", r#"{"city": "Zürich"}"#],
            ["call_2", "apply", "*** Begin"],
            ["call_3", "shell_call", r#"{"commands":["ls"]}"#],
            ["call_4", "local_shell_call", r#"{"type":"exec"}"#],
            ["call_5", "apply_patch_call", r#"{"type":"delete_file","path":"a"}"#],
            ["mcp_1", "roll", "{}"],
            ["call_6", "computer_call", r#"{"type":"click"}"#],
            ["ws_1", "web_search_call", r#"{"type":"search","query":"q"}"#],
        ],
        "thoughts": [["reasoning_summary", "First."], ["reasoning_summary", "Then…"], ["commentary", "I'll look."]],
    });
    vec![
        stream(
            "every kind of call and thought, sent twice and recorded once",
            "completed",
            &done,
            &output,
        )
        .records(items.clone()),
        stream("every kind of call and thought, as they come", "completed", &done, "").records(items.clone()),
        stream(
            "every kind of call and thought, sent at the end only",
            "completed",
            &[],
            &output,
        )
        .records(items.clone()),
        blocking(
            "every kind of call and thought of a blocking answer",
            "completed",
            &output,
        )
        .records(items),
    ]
}

fn prompts_and_threads() -> Vec<Row> {
    let plain = |name| stream(name, "completed", &TEXT, "").once();
    let message = |role: &str, content: Value| json!({"type": "message", "role": role, "content": content});
    let earlier = message("user", json!("earlier"));
    let called = "every kind of call and thought of a blocking answer";
    let goes_on = json!({"prompt": null, "parent": called, "root": called, "session": called});
    vec![
        plain("the prompt is an input that is text").asks(json!({"input": "Sag „A“ 🏮"})).records(json!({"prompt": "Sag „A“ 🏮"})),
        plain("the prompt is all text parts of a last item of the user's, line by line")
            .asks(json!({"input": [earlier, message("user", json!([{"type": "input_text", "text": "one"}, {"type": "input_image", "image_url": "u"}, {"type": "input_text", "text": "two"}]))]}))
            .records(json!({"prompt": "one\ntwo"})),
        plain("the prompt is the user's though the developer has the last word")
            .asks(json!({"input": [earlier, message("developer", json!("be brief"))]}))
            .records(json!({"prompt": "earlier"})),
        plain("a function's output goes on with the thread of its call")
            .asks(json!({"input": [earlier, {"type": "function_call_output", "call_id": "call_1", "output": "7 degrees"}]}))
            .records(goes_on.clone()),
        plain("a custom tool's output goes on with the thread of its call")
            .asks(json!({"input": [{"type": "function_call_output", "call_id": "call_of_nobody", "output": ""}, {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"}]}))
            .records(goes_on),
        plain("outputs followed by text: the thread of the call, and a prompt")
            .asks(json!({"input": [{"type": "function_call_output", "call_id": "call_1", "output": ""}, message("user", json!("go on"))]}))
            .records(json!({"prompt": "go on", "parent": called, "root": called, "session": called})),
    ]
}

fn ends() -> Vec<Row> {
    let error =
        r#"{"type":"error","sequence_number":3,"code":"rate_limit_exceeded","message":"Slow down","param":null}"#;
    let estimated = json!({"outcome": "failed", "stop_reason": null, "usage": {"provider_response_id": "resp_1", "input_tokens": 2, "output_tokens": 3, "estimated": true}});
    let begun = [&[CREATED], &TEXT[..]].concat();
    vec![
        Row::stream(Responses, "an error event in the stream", &[&begun[..], &[error]].concat())
            .records(estimated.clone())
            .records(json!({"error_type": "rate_limit_exceeded", "error_message": "Slow down"})),
        Row::stream(Responses, "a 200 that ends before its last event", &begun)
            .records(estimated)
            .records(json!({"error_type": "server_error", "error_message": "the provider's answer ended before its last event"})),
        stream(
            "events that are not JSON, or odd",
            "completed",
            &[r#"{"type":"response.output_item.done","item":{"#, r#"{"type":"response.output_item.done","output_index":"x","item":[1]}"#, "null"],
            r#","output":{}"#,
        ),
    ]
}
