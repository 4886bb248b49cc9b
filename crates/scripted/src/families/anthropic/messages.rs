//! Anthropic Messages: an answer as a message or as a stream of events, padded as that provider pads them.

use crate::answer::{Answer, End, Usage, fragments, pieces};
use crate::ask::{Ask, Said, words};
use crate::families::{Api, Bench, EVENTS, Family, Stream};
use crate::json::{items, quoted, text};
use crate::scenario::Scenario;
use crate::seed::Seed;
use serde_json::Value;

/// Anthropic Messages.
pub(crate) struct Messages;

impl Api for Messages {
    fn name(&self) -> &'static str {
        "anthropic_messages"
    }

    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn family(&self) -> &'static dyn Family {
        &super::Anthropic
    }

    fn example(&self, stream: bool) -> String {
        format!(
            r#"{{"model":"claude-sonnet-5","max_tokens":1024,"stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#
        )
    }

    fn turns(&self) -> &'static str {
        "messages"
    }

    fn said(&self, _: &Value, last: &Value) -> Said {
        let mut blocks = items(last, "content").iter();
        match blocks.rfind(|block| text(block, "type") == "tool_result") {
            Some(result) => Said::tool_result(words(&result["content"])),
            None => Said::user(words(&last["content"])),
        }
    }

    fn wants_thinking(&self, body: &Value) -> bool {
        matches!(text(&body["thinking"], "type"), "enabled" | "adaptive")
    }

    fn marks_cache(&self, body: &Value) -> bool {
        let has = |part: &Value| part.get("cache_control").is_some_and(|mark| !mark.is_null());
        let message_has = |message: &Value| items(message, "content").iter().any(has);
        has(body)
            || items(body, "system").iter().any(has)
            || items(body, "tools").iter().any(has)
            || items(body, "messages").iter().any(message_has)
    }

    fn cached_tokens(&self) -> (usize, usize, usize) {
        (2048, 512, 256)
    }

    fn whole(&self, ask: &Ask, scenario: Scenario) -> String {
        message(ask, scenario)
    }

    fn stream(&self, ask: &Ask, scenario: Scenario) -> Option<Stream> {
        Some(Stream {
            events: events(ask, scenario),
            error: error_event(),
            content_type: EVENTS,
        })
    }

    fn bench(&self) -> Option<Bench> {
        Some(Bench {
            whole: br#"{"model":"claude-sonnet-5","id":"msg_01BenchBenchBenchBench00","type":"message","role":"assistant","content":[{"type":"text","text":"Hello!"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}}"#,
            stream: (
                b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-5\",\"id\":\"msg_01BenchBenchBenchBench00\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
                b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" and so on\"}         }\n\n",
                b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":300}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            ),
        })
    }
}

/// A content block: how it begins in a stream, what is added to it, and what it is in the end.
struct Block {
    begin: String,
    deltas: Vec<String>,
    whole: String,
}

/// The message, as the blocking API sends it.
fn message(ask: &Ask, scenario: Scenario) -> String {
    let mut answer = Answer::new(ask, scenario);
    let id = answer.seed.id("msg_01", 22);
    let blocks: Vec<String> = blocks(&mut answer, scenario)
        .into_iter()
        .map(|block| block.whole)
        .collect();
    format!(
        r#"{{"model":{},"id":"{id}","type":"message","role":"assistant","content":[{}],"stop_reason":"{}","stop_sequence":null,"usage":{}}}"#,
        quoted(&ask.model),
        blocks.join(","),
        stop_reason(answer.end),
        usage(&answer.usage, answer.usage.output),
    )
}

/// The same message as events.
fn events(ask: &Ask, scenario: Scenario) -> Vec<String> {
    let mut answer = Answer::new(ask, scenario);
    let id = answer.seed.id("msg_01", 22);
    let blocks = blocks(&mut answer, scenario);
    let mut padding = Seed::new(&[&id, "padding"]);
    let mut events = Vec::new();
    let mut event = |name: &str, data: String| {
        // Blanks before the last brace, so that the length tells nothing of the content.
        let blanks = " ".repeat(usize::try_from(padding.draw() % 16).unwrap_or(0));
        let open = data.strip_suffix('}').unwrap_or(&data);
        events.push(format!("event: {name}\ndata: {open}{blanks}}}\n\n"));
    };
    let head = format!(
        r#"{{"type":"message_start","message":{{"model":{},"id":"{id}","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{}}}}}"#,
        quoted(&ask.model),
        usage(&answer.usage, answer.usage.output.min(1)),
    );
    event("message_start", head);
    for (index, block) in blocks.iter().enumerate() {
        let begin = &block.begin;
        event(
            "content_block_start",
            format!(r#"{{"type":"content_block_start","index":{index},"content_block":{begin}}}"#),
        );
        if index == 0 {
            event("ping", r#"{"type": "ping"}"#.to_owned());
        }
        for delta in &block.deltas {
            event(
                "content_block_delta",
                format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#),
            );
        }
        event(
            "content_block_stop",
            format!(r#"{{"type":"content_block_stop","index":{index}}}"#),
        );
    }
    let Usage {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        output,
        ..
    } = answer.usage;
    let end = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{}","stop_sequence":null}},"usage":{{"input_tokens":{input},"cache_creation_input_tokens":{},"cache_read_input_tokens":{cache_read},"output_tokens":{output}}}}}"#,
        stop_reason(answer.end),
        cache_write_5m + cache_write_1h,
    );
    event("message_delta", end);
    event("message_stop", r#"{"type":"message_stop"}"#.to_owned());
    events
}

/// The provider's error event.
fn error_event() -> String {
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"details\":null,\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n".to_owned()
}

fn stop_reason(end: End) -> &'static str {
    match end {
        End::Stop => "end_turn",
        End::ToolCalls => "tool_use",
        End::Length => "max_tokens",
        End::Refusal => "refusal",
    }
}

fn usage(usage: &Usage, output: usize) -> String {
    let Usage {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        ..
    } = usage;
    format!(
        r#"{{"input_tokens":{input},"cache_creation_input_tokens":{},"cache_read_input_tokens":{cache_read},"cache_creation":{{"ephemeral_5m_input_tokens":{cache_write_5m},"ephemeral_1h_input_tokens":{cache_write_1h}}},"output_tokens":{output},"service_tier":"standard","inference_geo":"not_available"}}"#,
        cache_write_5m + cache_write_1h,
    )
}

fn blocks(answer: &mut Answer, scenario: Scenario) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(thought) = answer.thought.take() {
        let signature = answer.seed.id("EqQBCgIYAhIM", 160) + "==";
        let mut deltas: Vec<String> = pieces(&thought)
            .iter()
            .map(|p| format!(r#"{{"type":"thinking_delta","thinking":{}}}"#, quoted(p)))
            .collect();
        deltas.push(format!(r#"{{"type":"signature_delta","signature":"{signature}"}}"#));
        blocks.push(Block {
            begin: r#"{"type":"thinking","thinking":"","signature":""}"#.to_owned(),
            deltas,
            whole: format!(
                r#"{{"type":"thinking","thinking":{},"signature":"{signature}"}}"#,
                quoted(&thought)
            ),
        });
    }
    if scenario == Scenario::EveryTool {
        blocks.extend(web_search(&mut answer.seed));
    }
    let said = answer.text.take().or_else(|| answer.commentary.take());
    if let Some(text) = said.or_else(|| (!answer.calls.is_empty()).then(|| "Let me look that up.".to_owned())) {
        let delta = |piece: &&str| format!(r#"{{"type":"text_delta","text":{}}}"#, quoted(piece));
        blocks.push(Block {
            begin: r#"{"type":"text","text":""}"#.to_owned(),
            deltas: pieces(&text).iter().map(delta).collect(),
            whole: format!(r#"{{"type":"text","text":{}}}"#, quoted(&text)),
        });
    }
    for call in std::mem::take(&mut answer.calls) {
        let id = answer.seed.id("toolu_01", 22);
        // Anthropic's tools take objects only.
        let arguments = if call.custom {
            format!(r#"{{"input":{}}}"#, quoted(&call.arguments))
        } else {
            call.arguments
        };
        blocks.push(tool_use("tool_use", &id, &call.name, &arguments));
    }
    blocks
}

fn tool_use(kind: &str, id: &str, name: &str, arguments: &str) -> Block {
    let mut deltas = vec![r#"{"type":"input_json_delta","partial_json":""}"#.to_owned()];
    for fragment in fragments(arguments) {
        deltas.push(format!(
            r#"{{"type":"input_json_delta","partial_json":{}}}"#,
            quoted(&fragment)
        ));
    }
    let name = quoted(name);
    Block {
        begin: format!(r#"{{"type":"{kind}","id":"{id}","name":{name},"input":{{}}}}"#),
        deltas,
        whole: format!(r#"{{"type":"{kind}","id":"{id}","name":{name},"input":{arguments}}}"#),
    }
}

/// A search that the provider made by itself, with its result.
fn web_search(seed: &mut Seed) -> [Block; 2] {
    let id = seed.id("srvtoolu_01", 22);
    let content = seed.id("EvcECioIBxgCIiQ", 60);
    let result = format!(
        r#"{{"type":"web_search_tool_result","tool_use_id":"{id}","content":[{{"type":"web_search_result","title":"An example","url":"https://example.com/","encrypted_content":"{content}","page_age":null}}]}}"#
    );
    let search = tool_use("server_tool_use", &id, "web_search", r#"{"query":"example"}"#);
    [
        search,
        Block {
            begin: result.clone(),
            deltas: Vec::new(),
            whole: result,
        },
    ]
}
