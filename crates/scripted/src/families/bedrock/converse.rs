//! `Converse`: one form for all models.

use super::frames::frame;
use crate::answer::{Answer, End, Usage, fragments, pieces};
use crate::ask::{Ask, Said, words};
use crate::families::{Api, Endpoint, Family, Stream};
use crate::json::{items, quoted, text};
use crate::scenario::Scenario;
use serde_json::Value;

pub(crate) struct Converse;

impl Api for Converse {
    fn name(&self) -> &'static str {
        "bedrock_converse"
    }

    fn path(&self) -> &'static str {
        "/model/us.anthropic.claude-sonnet-5-v1%3A0/converse"
    }

    fn is_at(&self, path: &str) -> bool {
        super::target(path).is_some_and(|target| target.endpoint == Endpoint::BedrockConverse)
    }

    fn told_by(&self, path: &str, _: &str) -> Vec<(&'static str, Value)> {
        super::told_by(path)
    }

    fn family(&self) -> &'static dyn Family {
        &super::Bedrock
    }

    fn example(&self, stream: bool) -> String {
        format!(
            r#"{{"model":"us.anthropic.claude-sonnet-5-v1:0","stream":{stream},"messages":[{{"role":"user","content":[{{"text":"Hello"}}]}}]}}"#
        )
    }

    fn turns(&self) -> &'static str {
        "messages"
    }

    fn said(&self, _: &Value, last: &Value) -> Said {
        let mut blocks = items(last, "content").iter();
        match blocks.rfind(|block| block.get("toolResult").is_some()) {
            Some(block) => Said::tool_result(words(&block["toolResult"]["content"])),
            None => Said::user(words(&last["content"])),
        }
    }

    fn wants_thinking(&self, body: &Value) -> bool {
        let thinking = &body["additionalModelRequestFields"]["thinking"];
        matches!(text(thinking, "type"), "enabled" | "adaptive")
    }

    fn marks_cache(&self, body: &Value) -> bool {
        let has = |content: &Value, list: &str| {
            items(content, list)
                .iter()
                .any(|block| block.get("cachePoint").is_some())
        };
        has(body, "system") || items(body, "messages").iter().any(|message| has(message, "content"))
    }

    fn cached_tokens(&self) -> (usize, usize, usize) {
        (2048, 512, 256)
    }

    fn whole(&self, ask: &Ask, scenario: Scenario) -> String {
        let mut answer = Answer::new(ask, scenario);
        let blocks: Vec<String> = blocks(&mut answer).into_iter().map(|block| block.whole).collect();
        format!(
            r#"{{"metrics":{{"latencyMs":900}},"output":{{"message":{{"content":[{}],"role":"assistant"}}}},"stopReason":"{}","usage":{}}}"#,
            blocks.join(","),
            stop_reason(answer.end),
            usage(&answer.usage),
        )
    }

    fn stream(&self, ask: &Ask, scenario: Scenario) -> Option<Stream> {
        let mut answer = Answer::new(ask, scenario);
        let mut events = vec!["messageStart\n{\"p\":\"abcd\",\"role\":\"assistant\"}".to_owned()];
        for (index, block) in blocks(&mut answer).into_iter().enumerate() {
            if let Some(start) = block.start {
                events.push(format!(
                    "contentBlockStart\n{{\"contentBlockIndex\":{index},\"start\":{start}}}"
                ));
            }
            for delta in block.deltas {
                events.push(format!(
                    "contentBlockDelta\n{{\"contentBlockIndex\":{index},\"delta\":{delta},\"p\":\"abcdefgh\"}}"
                ));
            }
            events.push(format!("contentBlockStop\n{{\"contentBlockIndex\":{index}}}"));
        }
        events.push(format!(
            "messageStop\n{{\"stopReason\":\"{}\"}}",
            stop_reason(answer.end)
        ));
        events.push(format!(
            "metadata\n{{\"metrics\":{{\"latencyMs\":900}},\"usage\":{}}}",
            usage(&answer.usage)
        ));
        Some(Stream {
            events,
            error: super::exception(),
            content_type: super::FRAMES,
        })
    }

    fn framing(&self) -> Option<fn(&str) -> Vec<u8>> {
        Some(frame)
    }
}

/// A content block: what begins it in a stream (only of tools that is told), what is added to it, and what it is in the end.
struct Block {
    start: Option<String>,
    deltas: Vec<String>,
    whole: String,
}

fn blocks(answer: &mut Answer) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(thought) = answer.thought.take() {
        let delta = |piece: &&str| format!(r#"{{"reasoningContent":{{"text":{}}}}}"#, quoted(piece));
        let mut deltas: Vec<_> = pieces(&thought).iter().map(delta).collect();
        deltas.push(r#"{"reasoningContent":{"signature":"c2lnbmF0dXJl"}}"#.to_owned());
        blocks.push(Block {
            start: None,
            deltas,
            whole: format!(
                r#"{{"reasoningContent":{{"reasoningText":{{"text":{},"signature":"c2lnbmF0dXJl"}}}}}}"#,
                quoted(&thought)
            ),
        });
    }
    if let Some(said) = answer.text.take().or_else(|| answer.commentary.take()) {
        let block = |piece: &&str| format!(r#"{{"text":{}}}"#, quoted(piece));
        blocks.push(Block {
            start: None,
            deltas: pieces(&said).iter().map(block).collect(),
            whole: block(&said.as_str()),
        });
    }
    for call in std::mem::take(&mut answer.calls) {
        let (id, name) = (answer.seed.id("tooluse_", 22), quoted(&call.name));
        let delta = |piece: &String| format!(r#"{{"toolUse":{{"input":{}}}}}"#, quoted(piece));
        blocks.push(Block {
            start: Some(format!(r#"{{"toolUse":{{"name":{name},"toolUseId":"{id}"}}}}"#)),
            deltas: fragments(&call.arguments).iter().map(delta).collect(),
            whole: format!(
                r#"{{"toolUse":{{"input":{},"name":{name},"toolUseId":"{id}"}}}}"#,
                call.arguments
            ),
        });
    }
    blocks
}

fn usage(usage: &Usage) -> String {
    let written = usage.cache_write_5m + usage.cache_write_1h;
    format!(
        r#"{{"cacheDetails":[{{"inputTokens":{},"ttl":"5m"}},{{"inputTokens":{},"ttl":"1h"}}],"cacheReadInputTokens":{},"cacheWriteInputTokens":{written},"inputTokens":{},"outputTokens":{},"totalTokens":{}}}"#,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_read,
        usage.input,
        usage.output,
        usage.all_input() + usage.output,
    )
}

fn stop_reason(end: End) -> &'static str {
    match end {
        End::Stop => "end_turn",
        End::ToolCalls => "tool_use",
        End::Length => "max_tokens",
        End::Refusal => "content_filtered",
    }
}
