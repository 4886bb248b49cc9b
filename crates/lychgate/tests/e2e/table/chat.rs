//! OpenAI Chat Completions.

use super::row::Row;
use lychgate_scripted::Endpoint::ChatCompletions as Chat;
use serde_json::{Value, json};

const HELLO: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.4-mini","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"obfuscation":"x"}"#;
const TEXT: &str =
    r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Grüße 🏮"},"finish_reason":null}],"usage":null}"#;
const STOP: &str = r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":30,"accepted_prediction_tokens":0}}}"#;
const DONE: &str = "[DONE]";

/// What [`USAGE`] says: the cached tokens are not input.
fn spent() -> Value {
    json!({"provider_response_id": "chatcmpl-1", "input_tokens": 36, "output_tokens": 40, "cache_read_input_tokens": 64, "reasoning_tokens": 30})
}

fn stream(name: &'static str, events: &[&str]) -> Row {
    let row = Row::stream(Chat, name, events).records(json!({"stop_reason": "stop", "usage": spent()}));
    match events.iter().position(|event| *event == USAGE) {
        Some(at) => row.hides(at),
        None => row,
    }
}

/// A usage object put into a chunk.
fn with_usage(chunk: &str, input: u32, output: u32) -> String {
    let usage = format!(r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}"#);
    match chunk.strip_suffix(r#""usage":null}"#) {
        Some(chunk) => format!("{chunk}{usage}}}"),
        None => format!("{},{usage}}}", chunk.strip_suffix('}').unwrap()),
    }
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = usages();
    rows.extend(contents());
    rows.extend(prompts_and_threads());
    rows.extend(ends());
    rows
}

fn usages() -> Vec<Row> {
    let plain = json!({"usage": {"provider_response_id": "chatcmpl-1", "input_tokens": 5, "output_tokens": 2}});
    let (middle, last) = (with_usage(TEXT, 5, 2), with_usage(STOP, 5, 2));
    let (first, second) = (with_usage(HELLO, 5, 0), with_usage(TEXT, 5, 1));
    vec![
        stream("usage that the gateway asked for is recorded, and its chunk taken out", &[HELLO, TEXT, STOP, USAGE, DONE]),
        Row::stream(Chat, "usage that the client asked for stays", &[HELLO, TEXT, STOP, USAGE, DONE])
            .asks(json!({"stream_options": {"include_usage": true}}))
            .records(json!({"stop_reason": "stop", "usage": spent()})),
        stream("of other stream options none is touched", &[HELLO, TEXT, STOP, USAGE, DONE])
            .asks(json!({"stream_options": {"include_obfuscation": false, "include_usage": false}})),
        stream("a usage chunk in the middle", &[HELLO, USAGE, TEXT, STOP, DONE]),
        stream("usage in a middle chunk that has a choice", &[HELLO, &middle, TEXT, STOP, DONE]).records(plain.clone()),
        stream("usage in the chunk that ends the choice", &[HELLO, TEXT, &last, DONE]).records(plain.clone()),
        stream("usage in every chunk, cumulative", &[&first, &second, &last, DONE]).records(plain),
        stream("no usage at all", &[HELLO, TEXT, STOP, DONE])
            .records(json!({"usage": {"provider_response_id": "chatcmpl-1", "estimated": true, "input_tokens": 2, "output_tokens": 3}})),
        Row::blocking(
            Chat,
            "usage of a blocking answer",
            "{\n  \"id\": \"chatcmpl-1\",\n  \"choices\": [{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": \"Hi\"}, \"finish_reason\": \"length\"}],\n  \"usage\": {\"prompt_tokens\": 100, \"completion_tokens\": 40, \"total_tokens\": 140, \"prompt_tokens_details\": {\"cached_tokens\": 64}, \"completion_tokens_details\": {\"reasoning_tokens\": 30}}\n}\n",
        )
        .records(json!({"stop_reason": "length", "usage": spent()})),
    ]
}

fn contents() -> Vec<Row> {
    vec![
        stream(
            "parallel tool calls that start at index 1, several in one chunk",
            &[
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":1,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}]}}]}"#,
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\"city\":"}}]}}]}"#,
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"call_b","type":"function","function":{"name":"now","arguments":"{"}},{"index":5,"id":"call_c","type":"custom","custom":{"name":"shell","input":"ls "}}]}}]}"#,
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":5,"custom":{"input":"-l"}},{"index":1,"function":{"arguments":" \"Zürich\"}"}},{"index":2,"function":{"arguments":"}"}}]}}]}"#,
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
                USAGE,
                DONE,
            ],
        )
        .records(json!({
            "stop_reason": "tool_calls",
            "tools": [["call_a", "get_weather", r#"{"city": "Zürich"}"#], ["call_b", "now", "{}"], ["call_c", "shell", "ls -l"]],
        })),
        Row::blocking(
            Chat,
            "tool calls and thoughts of a blocking answer",
            r#"{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"Hm","tool_calls":[{"id":"call_d","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}},{"id":"call_e","type":"custom","custom":{"name":"g","input":"text"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
        )
        .records(json!({
            "stop_reason": "tool_calls",
            "usage": {"provider_response_id": "chatcmpl-1", "input_tokens": 5, "output_tokens": 2},
            "tools": [["call_d", "f", r#"{"a": 1}"#], ["call_e", "g", "text"]],
            "thoughts": [["reasoning", "Hm"]],
        })),
        stream(
            "reasoning_content is a thought",
            &[
                HELLO,
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"reasoning_content":"First "}}]}"#,
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"reasoning_content":"second…"}}]}"#,
                TEXT,
                STOP,
                USAGE,
                DONE,
            ],
        )
        .records(json!({"thoughts": [["reasoning", "First second…"]]})),
    ]
}

fn prompts_and_threads() -> Vec<Row> {
    let plain = |name| stream(name, &[HELLO, TEXT, STOP, USAGE, DONE]).once();
    let last = |message: Value| json!({"messages": [{"role": "user", "content": "earlier"}, message]});
    let called = "parallel tool calls that start at index 1, several in one chunk";
    vec![
        plain("the prompt is all text parts of the last message of the user's, line by line")
            .asks(last(json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b 🏮"}, {"type": "image_url", "image_url": {"url": "u"}}]})))
            .records(json!({"prompt": "a\nb 🏮"})),
        plain("the prompt is the user's though the system has the last word")
            .asks(last(json!({"role": "system", "content": "be brief"})))
            .records(json!({"prompt": "earlier"})),
        plain("a last tool message goes on with the thread of its call")
            .asks(last(json!({"role": "tool", "tool_call_id": "call_b", "content": "noon"})))
            .records(json!({"prompt": null, "parent": called, "root": called, "session": called})),
        plain("tool messages followed by the user's text: no thread, and a prompt")
            .asks(json!({"messages": [{"role": "tool", "tool_call_id": "call_b", "content": "noon"}, {"role": "user", "content": "go on"}]}))
            .records(json!({"prompt": "go on"})),
    ]
}

fn ends() -> Vec<Row> {
    let error = r#"{"error":{"message":"It broke","type":"server_error","param":null,"code":null}}"#;
    vec![
        stream("an error event in the stream", &[HELLO, TEXT, error]).records(json!({
            "outcome": "failed", "stop_reason": null, "error_type": "server_error", "error_message": "It broke",
            "usage": {"provider_response_id": "chatcmpl-1", "input_tokens": 2, "output_tokens": 3, "estimated": true},
        })),
        stream("a 200 that ends without its last event, after the model has stopped", &[HELLO, TEXT, STOP])
            .records(json!({"usage": {"provider_response_id": "chatcmpl-1", "estimated": true, "input_tokens": 2, "output_tokens": 3}})),
        stream("a 200 that ends before its last event", &[HELLO, TEXT]).records(json!({
            "outcome": "failed", "stop_reason": null, "error_type": "server_error", "error_message": "the provider's answer ended before its last event",
            "usage": {"provider_response_id": "chatcmpl-1", "input_tokens": 2, "output_tokens": 3, "estimated": true},
        })),
        stream("events that are not JSON, or odd", &[HELLO, r#"{"choices":[{"delta""#, "null", r#"{"choices":[3,{"delta":[]}]}"#, TEXT, STOP, USAGE, DONE]),
    ]
}
