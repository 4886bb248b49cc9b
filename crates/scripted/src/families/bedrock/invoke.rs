//! `InvokeModel` of Claude: the body is Anthropic's, the stream is Anthropic's events in frames, with counts of AWS's own in the last.

use super::frames::{chunk, frame};
use crate::answer::Answer;
use crate::ask::{Ask, Said};
use crate::families::anthropic::Messages;
use crate::families::{Api, Endpoint, Family, Stream};
use crate::scenario::Scenario;
use serde_json::Value;

/// What pads frames, so that their length tells nothing of the content.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

pub(crate) struct Invoke;

impl Api for Invoke {
    fn name(&self) -> &'static str {
        "bedrock_invoke"
    }

    fn path(&self) -> &'static str {
        "/model/us.anthropic.claude-sonnet-5-v1%3A0/invoke"
    }

    fn is_at(&self, path: &str) -> bool {
        super::target(path).is_some_and(|target| target.endpoint == Endpoint::BedrockInvoke)
    }

    fn told_by(&self, path: &str, _: &str) -> Vec<(&'static str, Value)> {
        super::told_by(path)
    }

    fn family(&self) -> &'static dyn Family {
        &super::Bedrock
    }

    fn example(&self, stream: bool) -> String {
        format!(
            r#"{{"model":"us.anthropic.claude-sonnet-5-v1:0","stream":{stream},"anthropic_version":"bedrock-2023-05-31","max_tokens":1024,"messages":[{{"role":"user","content":"Hello"}}]}}"#
        )
    }

    fn turns(&self) -> &'static str {
        Messages.turns()
    }

    fn said(&self, body: &Value, last: &Value) -> Said {
        Messages.said(body, last)
    }

    fn wants_thinking(&self, body: &Value) -> bool {
        Messages.wants_thinking(body)
    }

    fn marks_cache(&self, body: &Value) -> bool {
        Messages.marks_cache(body)
    }

    fn cached_tokens(&self) -> (usize, usize, usize) {
        (2048, 512, 0)
    }

    fn whole(&self, ask: &Ask, scenario: Scenario) -> String {
        Messages.whole(ask, scenario)
    }

    fn stream(&self, ask: &Ask, scenario: Scenario) -> Option<Stream> {
        let usage = Answer::new(ask, scenario).usage;
        let metrics = format!(
            r#""amazon-bedrock-invocationMetrics":{{"inputTokenCount":{},"outputTokenCount":{},"invocationLatency":900,"firstByteLatency":300,"cacheReadInputTokenCount":{},"cacheWriteInputTokenCount":{}}}"#,
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write_5m + usage.cache_write_1h,
        );
        let events = Messages.stream(ask, scenario)?.events;
        let data = events.iter().filter_map(|event| event.split_once("data: "));
        let data = data.map(|(_, data)| data.trim_end());
        // Bedrock sends no pings.
        let data = data.filter(|data| !data.contains(r#""type": "ping""#));
        let chunks = data.enumerate().map(|(number, json)| {
            let padding = &PADDING[..number * 7 % PADDING.len()];
            match json.strip_prefix(r#"{"type":"message_stop""#) {
                Some(_) => chunk(&format!(r#"{{"type":"message_stop",{metrics}}}"#), padding),
                None => chunk(json, padding),
            }
        });
        Some(Stream {
            events: chunks.collect(),
            error: super::exception(),
            content_type: super::FRAMES,
        })
    }

    fn framing(&self) -> Option<fn(&str) -> Vec<u8>> {
        Some(frame)
    }
}
