//! Anthropic Messages.

use super::row::Row;
use lychgate_scripted::Endpoint::Messages;
use serde_json::{Value, json};

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#;
const TEXT: [&str; 3] = [
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße 🏮"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
];
const PING: &str = r#"{"type": "ping"}"#;
const END: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn stream(name: &'static str, parts: &[&[&str]]) -> Row {
    Row::stream(Messages, name, &parts.concat()).records(json!({
        "stop_reason": "end_turn",
        "usage": {"provider_response_id": "msg_1", "input_tokens": 25, "output_tokens": 15},
    }))
}

fn usage(members: &Value) -> Value {
    let mut usage = json!({"provider_response_id": "msg_1"});
    for (name, value) in members.as_object().unwrap() {
        usage[name] = value.clone();
    }
    json!({ "usage": usage })
}

/// The last message is one with these blocks.
fn last(role: &str, content: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": "earlier"}, {"role": "assistant", "content": "yes?"}, {"role": role, "content": content}]})
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = usages();
    rows.extend(contents());
    rows.extend(prompts_and_threads());
    rows.extend(ends());
    rows
}

fn usages() -> Vec<Row> {
    let start = |usage: &str| START.replace(r#"{"input_tokens":25,"output_tokens":1}"#, usage);
    let lifetimes = start(
        r#"{"input_tokens":25,"cache_creation_input_tokens":700,"cache_read_input_tokens":9000,"cache_creation":{"ephemeral_5m_input_tokens":500,"ephemeral_1h_input_tokens":200},"output_tokens":1,"service_tier":"standard"}"#,
    );
    let no_lifetimes = start(
        r#"{"input_tokens":25,"cache_creation_input_tokens":700,"cache_read_input_tokens":9000,"output_tokens":1}"#,
    );
    vec![
        stream("message_start, then one message_delta", &[&[START, PING], &TEXT, &[END, STOP]]),
        stream(
            "three message_deltas: cumulative, replaced field by field, never added",
            &[
                &[START],
                &TEXT,
                &[
                    r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":10}}"#,
                    r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"input_tokens":30,"cache_read_input_tokens":4,"output_tokens":12}}"#,
                    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"cache_read_input_tokens":null,"output_tokens":15,"server_tool_use":{"web_search_requests":2}}}"#,
                    STOP,
                ],
            ],
        )
        .records(usage(&json!({
            "input_tokens": 30, "output_tokens": 15, "cache_read_input_tokens": 4, "extra": {"server_tool_use.web_search_requests": 2},
        }))),
        stream("cache writes of five minutes and of one hour", &[&[&lifetimes], &TEXT, &[END, STOP]]).records(usage(&json!({
            "input_tokens": 25, "output_tokens": 15, "cache_read_input_tokens": 9000,
            "cache_write_input_tokens": 500, "cache_write_1h_input_tokens": 200,
            "service_tier": "standard", "extra": {"service_tier": "standard"},
        }))),
        stream("cache writes of a lifetime that nobody names", &[&[&no_lifetimes], &TEXT, &[END, STOP]]).records(usage(
            &json!({"input_tokens": 25, "output_tokens": 15, "cache_read_input_tokens": 9000, "cache_write_input_tokens": 700}),
        )),
        Row::blocking(
            Messages,
            "usage of a blocking answer",
            r#"{"model":"claude-sonnet-5","id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"stop_reason":"max_tokens","usage":{"input_tokens":12,"cache_creation_input_tokens":7,"cache_read_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":5},"output_tokens":6},"unknown":{"a":1.0}}"#,
        )
        .records(json!({"stop_reason": "max_tokens"}))
        .records(usage(&json!({
            "input_tokens": 12, "output_tokens": 6, "cache_read_input_tokens": 3,
            "cache_write_input_tokens": 2, "cache_write_1h_input_tokens": 5,
        }))),
    ]
}

fn contents() -> Vec<Row> {
    vec![
        stream(
            "parallel tool calls that start at index 1, their pieces mixed",
            &[
                &[START],
                &TEXT,
                &[
                    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}}}"#,
                    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
                    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"city\": \"Sankt "}}"#,
                    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_2","name":"now","input":{}}}"#,
                    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"Pölten\", \"b\":1.0}"}}"#,
                    r#"{"type":"content_block_stop","index":1}"#,
                    r#"{"type":"content_block_stop","index":2}"#,
                    r#"{"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}"#,
                    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15}}"#,
                    STOP,
                ],
            ],
        )
        .records(json!({
            "stop_reason": "tool_use",
            "tools": [["toolu_1", "get_weather", r#"{"city": "Sankt Pölten", "b":1.0}"#], ["toolu_2", "now", "{}"], ["srvtoolu_1", "web_search", "{}"]],
        })),
        Row::blocking(
            Messages,
            "tool calls and thoughts of a blocking answer",
            r#"{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"s"},{"type":"redacted_thinking","data":"x"},{"type":"tool_use","id":"toolu_3","name":"add","input":{"a": 1,"b":[2.50]}},{"type":"tool_use","id":"toolu_4","name":"add","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":25,"output_tokens":15}}"#,
        )
        .records(json!({
            "stop_reason": "tool_use",
            "usage": {"provider_response_id": "msg_1", "input_tokens": 25, "output_tokens": 15},
            "tools": [["toolu_3", "add", r#"{"a": 1,"b":[2.50]}"#], ["toolu_4", "add", "{}"]],
            "thoughts": [["thinking", "Hm."]],
        })),
        stream(
            "thinking blocks with text are thoughts, those without are none",
            &[
                &[
                    START,
                    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me "}}"#,
                    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"see…"}}"#,
                    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Eq=="}}"#,
                    r#"{"type":"content_block_stop","index":0}"#,
                    r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                    r#"{"type":"content_block_stop","index":1}"#,
                ],
                &[END, STOP],
            ],
        )
        .records(json!({"thoughts": [["thinking", "Let me see…"]]})),
    ]
}

fn prompts_and_threads() -> Vec<Row> {
    let plain = |name| stream(name, &[&[START], &TEXT, &[END, STOP]]).once();
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "7 degrees"});
    let called = "parallel tool calls that start at index 1, their pieces mixed";
    let goes_on = json!({"prompt": null, "parent": called, "root": called, "session": called});
    vec![
        plain("the prompt is all text blocks of the last message of the user's, without the client's own reminders")
            .asks(last("user", &json!([{"type": "text", "text": "<system-reminder>be brief</system-reminder>"}, {"type": "text", "text": "Please"}, {"type": "text", "text": "Fix \"it\" 🏮"}, {"type": "image", "source": {}}])))
            .records(json!({"prompt": "Please\nFix \"it\" 🏮"})),
        plain("the prompt is the user's though the beginning of the answer is given")
            .asks(last("assistant", &json!("{")))
            .records(json!({"prompt": "earlier"})),
        plain("a tool result goes on with the thread of its call")
            .asks(last("user", &json!([result("toolu_1")])))
            .records(goes_on.clone()),
        plain("of several tool results the last one names the thread")
            .asks(last("user", &json!([result("toolu_of_nobody"), result("toolu_2")])))
            .records(goes_on.clone()),
        plain("tool results followed by text: a thread, and a prompt")
            .asks(last("user", &json!([result("toolu_1"), {"type": "text", "text": "and go on"}])))
            .records(goes_on)
            .records(json!({"prompt": "and go on"})),
        plain("a tool result of a call that was never seen here")
            .asks(last("user", &json!([result("toolu_of_nobody")])))
            .records(json!({"prompt": null})),
    ]
}

fn ends() -> Vec<Row> {
    let error = r#"{"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"}}"#;
    let estimated = json!({"stop_reason": null, "outcome": "failed"});
    vec![
        stream("an error event in the stream", &[&[START], &TEXT, &[error]])
            .records(estimated.clone())
            .records(json!({"error_type": "overloaded_error", "error_message": "Overloaded"}))
            .records(usage(&json!({"input_tokens": 25, "output_tokens": 4, "estimated": true}))),
        stream("a 200 that ends before its last event", &[&[START], &TEXT])
            .records(estimated)
            .records(json!({"error_type": "api_error", "error_message": "the provider's answer ended before its last event"}))
            .records(usage(&json!({"input_tokens": 25, "output_tokens": 4, "estimated": true}))),
        stream(
            "events that are not JSON, or that nobody knows",
            &[
                &[START, r#"{"type":"content_block_delta","delta":{"#, "neither this", r#"{"type":"new_event","usage":{"output_tokens":99}}"#],
                &TEXT,
                &[END, STOP],
            ],
        ),
        stream("members of the wrong type are neither repaired nor refused", &[&[START], &TEXT, &[END, STOP]])
            .asks(json!({"stream": "true", "metadata": {"user_id": 7}}))
            .records(json!({"streaming": false}))
            .once(),
    ]
}
