//! OpenAI Chat Completions: an answer as a completion or as chunks.

use crate::answer::{Answer, Call, End, Usage, fragments, pieces};
use crate::ask::{Ask, Said, words};
use crate::families::openai::CREATED;
use crate::families::{Api, Bench, EVENTS, Family, Stream};
use crate::host::Host;
use crate::json::{quoted, quoted_or_null, text};
use crate::scenario::Scenario;
use crate::seed::Seed;
use serde_json::Value;

/// OpenAI Chat Completions.
pub(crate) struct ChatCompletions;

impl Api for ChatCompletions {
    fn name(&self) -> &'static str {
        "openai_chat_completions"
    }

    fn path(&self) -> &'static str {
        "/v1/chat/completions"
    }

    fn family(&self) -> &'static dyn Family {
        &super::OpenAi
    }

    fn example(&self, stream: bool) -> String {
        format!(r#"{{"model":"gpt-5.4-mini","stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#)
    }

    fn turns(&self) -> &'static str {
        "messages"
    }

    fn said(&self, _: &Value, last: &Value) -> Said {
        Said {
            text: words(&last["content"]),
            by_tool: text(last, "role") == "tool",
        }
    }

    fn wants_thinking(&self, body: &Value) -> bool {
        let effort = body.get("reasoning_effort");
        effort.is_some_and(|effort| !effort.is_null() && effort != "none")
    }

    fn whole(&self, ask: &Ask, scenario: Scenario) -> String {
        completion(ask, scenario)
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
            whole: br#"{"id":"chatcmpl-BenchBenchBenchBenchBenchBench0","object":"chat.completion","created":1764000000,"model":"gpt-5.4-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}"#,
            stream: (
                b"data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"finish_reason\":null}]}\n\n",
                b"data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" and so on\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"dn7\"}\n\n",
                b"data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":300,\"total_tokens\":310}}\n\ndata: [DONE]\n\n",
            ),
        })
    }
}

/// The completion, as the blocking API sends it: indented.
fn completion(ask: &Ask, scenario: Scenario) -> String {
    let mut answer = Answer::new(ask, scenario);
    let id = answer.seed.id("chatcmpl-", 29);
    let calls: Vec<String> = calls(&mut answer)
        .iter()
        .map(|(id, call)| whole_call(id, call))
        .collect();
    let mut message = format!(
        "\"role\": \"assistant\",\n        \"content\": {}",
        quoted_or_null(content(&answer)),
    );
    if let Some(thought) = &answer.thought {
        message += &format!(",\n        \"reasoning_content\": {}", quoted(thought));
    }
    if !calls.is_empty() {
        message += &format!(",\n        \"tool_calls\": [{}]", calls.join(", "));
    }
    let refusal = (answer.end == End::Refusal).then_some(answer.text.as_deref()).flatten();
    message += &format!(
        ",\n        \"refusal\": {},\n        \"annotations\": []",
        quoted_or_null(refusal)
    );
    format!(
        r#"{{
  "id": "{id}",
  "object": "chat.completion",
  "created": {CREATED},
  "model": {},
  "choices": [
    {{
      "index": 0,
      "message": {{
        {message}
      }},
      "logprobs": null,
      "finish_reason": "{}"
    }}
  ],
  "usage": {},
  "service_tier": "default",
  "system_fingerprint": "fp_5d91f4e7a2"
}}
"#,
        quoted(&ask.model),
        finish_reason(answer.end),
        usage(ask, &answer.usage, answer.usage.output),
    )
}

/// The same as chunks, with `data: [DONE]` last.
fn events(ask: &Ask, scenario: Scenario) -> Vec<String> {
    let mut answer = Answer::new(ask, scenario);
    let id = answer.seed.id("chatcmpl-", 29);
    let mut padding = Seed::new(&[&id, "obfuscation"]);
    let everywhere = scenario == Scenario::UsageEverywhere;
    let asked = ask.include_usage;
    let deltas = deltas(&mut answer);
    let head = format!(
        r#"{{"id":"{id}","object":"chat.completion.chunk","created":{CREATED},"model":{},"service_tier":"default","system_fingerprint":"fp_5d91f4e7a2""#,
        quoted(&ask.model),
    );
    let mut events: Vec<String> = ask.host.first_event().map(str::to_owned).into_iter().collect();
    let mut chunk = |delta: &str, finish: &str, usage: &str| {
        let length = usize::try_from(padding.draw() % 12).unwrap_or(0);
        let noise = padding.id("", length);
        events.push(format!(
            "data: {head},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]{usage},\"obfuscation\":\"{noise}\"}}\n\n"
        ));
    };
    let count = deltas.len().max(1);
    for (at, delta) in deltas.iter().enumerate() {
        let so_far = answer.usage.output * at / count;
        let usage_member = if everywhere {
            format!(",\"usage\":{}", usage(ask, &answer.usage, so_far))
        } else if asked {
            ",\"usage\":null".to_owned()
        } else {
            String::new()
        };
        chunk(delta, "null", &usage_member);
    }
    let whole = usage(ask, &answer.usage, answer.usage.output);
    let last = if everywhere || scenario == Scenario::UsageLast {
        format!(",\"usage\":{whole}")
    } else if asked {
        ",\"usage\":null".to_owned()
    } else {
        String::new()
    };
    chunk("{}", &format!("\"{}\"", finish_reason(answer.end)), &last);
    if ask.host == Host::OpenRouter {
        chunk(
            r#"{"role":"assistant","content":""}"#,
            "null",
            &format!(",\"usage\":{whole}"),
        );
    } else if asked && !everywhere && scenario != Scenario::UsageLast {
        events.push(format!(
            "data: {head},\"choices\":[],\"usage\":{whole},\"obfuscation\":\"\"}}\n\n"
        ));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// The provider's error event.
fn error_event() -> String {
    "data: {\"error\":{\"message\":\"The server had an error while processing your request. Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n".to_owned()
}

fn deltas(answer: &mut Answer) -> Vec<String> {
    let mut deltas = Vec::new();
    let calls = calls(answer);
    let first = if calls.is_empty() { "\"\"" } else { "null" };
    deltas.push(format!(r#"{{"role":"assistant","content":{first},"refusal":null}}"#));
    for piece in pieces(answer.thought.as_deref().unwrap_or_default()) {
        deltas.push(format!(r#"{{"reasoning_content":{}}}"#, quoted(piece)));
    }
    let member = if answer.end == End::Refusal {
        "refusal"
    } else {
        "content"
    };
    for piece in pieces(answer.text.as_deref().unwrap_or_default()) {
        deltas.push(format!(r#"{{"{member}":{}}}"#, quoted(piece)));
    }
    for (index, (id, call)) in calls.iter().enumerate() {
        let (kind, inner, input) = spelling(call);
        let name = quoted(&call.name);
        deltas.push(format!(
            r#"{{"tool_calls":[{{"index":{index},"id":"{id}","type":"{kind}","{inner}":{{"name":{name},"{input}":""}}}}]}}"#
        ));
        for fragment in fragments(&call.arguments) {
            let fragment = quoted(&fragment);
            deltas.push(format!(
                r#"{{"tool_calls":[{{"index":{index},"{inner}":{{"{input}":{fragment}}}}}]}}"#
            ));
        }
    }
    deltas
}

fn content(answer: &Answer) -> Option<&str> {
    if answer.end == End::Refusal {
        None
    } else {
        answer.text.as_deref()
    }
}

fn calls(answer: &mut Answer) -> Vec<(String, Call)> {
    std::mem::take(&mut answer.calls)
        .into_iter()
        .map(|call| (answer.seed.id("call_", 24), call))
        .collect()
}

fn whole_call(id: &str, call: &Call) -> String {
    let (kind, inner, input) = spelling(call);
    let (name, arguments) = (quoted(&call.name), quoted(&call.arguments));
    format!(r#"{{"id": "{id}", "type": "{kind}", "{inner}": {{"name": {name}, "{input}": {arguments}}}}}"#)
}

/// Type, member and input's name of a call.
fn spelling(call: &Call) -> (&'static str, &'static str, &'static str) {
    if call.custom {
        ("custom", "custom", "input")
    } else {
        ("function", "function", "arguments")
    }
}

fn finish_reason(end: End) -> &'static str {
    match end {
        End::Stop => "stop",
        End::ToolCalls => "tool_calls",
        End::Length => "length",
        End::Refusal => "content_filter",
    }
}

fn usage(ask: &Ask, usage: &Usage, output: usize) -> String {
    let (input, cached, reasoning) = (usage.all_input(), usage.cache_read, usage.reasoning.min(output));
    let (total, more) = (input + output, ask.host.more_usage());
    format!(
        r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{reasoning},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}{more}}}"#
    )
}
