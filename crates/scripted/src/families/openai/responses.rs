//! OpenAI Responses: an answer as a response object or as events with sequence numbers.

use super::response_items::items;
use crate::answer::{Answer, End, Usage};
use crate::ask::{Ask, Said, words};
use crate::families::openai::CREATED;
use crate::families::{Api, Bench, EVENTS, Family, Stream};
use crate::json::{quoted, text};
use crate::scenario::Scenario;
use serde_json::Value;

/// OpenAI Responses.
pub(crate) struct Responses;

impl Api for Responses {
    fn name(&self) -> &'static str {
        "openai_responses"
    }

    fn path(&self) -> &'static str {
        "/v1/responses"
    }

    fn family(&self) -> &'static dyn Family {
        &super::OpenAi
    }

    fn example(&self, stream: bool) -> String {
        format!(r#"{{"model":"gpt-5.4-mini","stream":{stream},"input":"Hello"}}"#)
    }

    fn turns(&self) -> &'static str {
        "input"
    }

    fn said(&self, body: &Value, last: &Value) -> Said {
        if let Some(input) = body["input"].as_str() {
            Said::user(input.to_owned())
        } else if text(last, "type").ends_with("_call_output") {
            Said::tool_result(words(&last["output"]))
        } else {
            Said::user(words(&last["content"]))
        }
    }

    fn wants_thinking(&self, body: &Value) -> bool {
        body["reasoning"]
            .get("summary")
            .is_some_and(|summary| !summary.is_null())
    }

    fn whole(&self, ask: &Ask, scenario: Scenario) -> String {
        response(ask, scenario)
    }

    fn stream(&self, ask: &Ask, scenario: Scenario) -> Option<Stream> {
        let events = events(ask, scenario);
        let error = error_event(ask, scenario, events.len() / 2);
        Some(Stream {
            events,
            error,
            content_type: EVENTS,
        })
    }

    fn bench(&self) -> Option<Bench> {
        Some(Bench {
            whole: br#"{"id":"resp_BenchBenchBenchBench","object":"response","created_at":1764000000,"status":"completed","model":"gpt-5.4-mini","output":[{"id":"msg_bench","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"Hello!"}]}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":13}}"#,
            stream: (
                b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_BenchBenchBenchBench\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"gpt-5.4-mini\",\"output\":[],\"usage\":null}}\n\n",
                b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_bench\",\"output_index\":0,\"content_index\":0,\"delta\":\" and so on\",\"logprobs\":[]}\n\n",
                b"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":9,\"response\":{\"id\":\"resp_BenchBenchBenchBench\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"gpt-5.4-mini\",\"output\":[],\"usage\":{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":300,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":310}}}\n\n",
            ),
        })
    }
}

/// The response, as the blocking API sends it.
fn response(ask: &Ask, scenario: Scenario) -> String {
    let mut answer = Answer::new(ask, scenario);
    let id = answer.seed.id("resp_", 48);
    let end = Ending::of(answer.end, scenario);
    let output: Vec<String> = items(&mut answer, scenario)
        .into_iter()
        .map(|item| item.whole)
        .collect();
    object(&id, ask, end, &output.join(","), Some(&answer.usage)) + "\n"
}

/// The same as events.
fn events(ask: &Ask, scenario: Scenario) -> Vec<String> {
    let mut answer = Answer::new(ask, scenario);
    let id = answer.seed.id("resp_", 48);
    let end = Ending::of(answer.end, scenario);
    let items = items(&mut answer, scenario);
    let mut events = Vec::new();
    let mut event = |name: &str, members: &str| {
        let number = events.len();
        events.push(format!(
            "event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{number},{members}}}\n\n"
        ));
    };
    let begun = object(&id, ask, Ending::InProgress, "", None);
    event("response.created", &format!("\"response\":{begun}"));
    event("response.in_progress", &format!("\"response\":{begun}"));
    for (index, item) in items.iter().enumerate() {
        event(
            "response.output_item.added",
            &format!("\"output_index\":{index},\"item\":{}", item.begin),
        );
        for (name, members) in &item.between {
            event(
                name,
                &format!("\"item_id\":\"{}\",\"output_index\":{index},{members}", item.id),
            );
        }
        event(
            "response.output_item.done",
            &format!("\"output_index\":{index},\"item\":{}", item.whole),
        );
    }
    let output: Vec<String> = items.into_iter().map(|item| item.whole).collect();
    let whole = object(&id, ask, end, &output.join(","), Some(&answer.usage));
    event(end.event(), &format!("\"response\":{whole}"));
    events
}

/// The provider's error event; for [`Scenario::Failed`] the event that says the response failed.
fn error_event(ask: &Ask, scenario: Scenario, number: usize) -> String {
    if scenario == Scenario::Failed {
        let mut answer = Answer::new(ask, scenario);
        let id = answer.seed.id("resp_", 48);
        let response = object(&id, ask, Ending::Failed, "", Some(&answer.usage));
        return format!(
            "event: response.failed\ndata: {{\"type\":\"response.failed\",\"sequence_number\":{number},\"response\":{response}}}\n\n"
        );
    }
    format!(
        "event: error\ndata: {{\"type\":\"error\",\"sequence_number\":{number},\"code\":\"server_error\",\"message\":\"The server had an error while processing your request. Sorry about that!\",\"param\":null}}\n\n"
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

impl Ending {
    fn of(end: End, scenario: Scenario) -> Self {
        match end {
            _ if scenario == Scenario::Failed => Self::Failed,
            End::Length => Self::Incomplete,
            _ => Self::Completed,
        }
    }

    fn status(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

    fn event(self) -> &'static str {
        match self {
            Self::InProgress => "response.in_progress",
            Self::Completed => "response.completed",
            Self::Incomplete => "response.incomplete",
            Self::Failed => "response.failed",
        }
    }
}

fn object(id: &str, ask: &Ask, end: Ending, output: &str, usage: Option<&Usage>) -> String {
    let echo = |key: &str, default: &str| match ask.body.get(key) {
        Some(value) if !value.is_null() => value.to_string(),
        _ => default.to_owned(),
    };
    let error = match end {
        Ending::Failed => r#"{"code":"server_error","message":"The model failed to answer."}"#,
        _ => "null",
    };
    let incomplete = if end == Ending::Incomplete {
        r#"{"reason":"max_output_tokens"}"#
    } else {
        "null"
    };
    let usage = usage.map_or_else(|| "null".to_owned(), spelled);
    format!(
        r#"{{"id":"{id}","object":"response","created_at":{CREATED},"status":"{}","background":false,"error":{error},"incomplete_details":{incomplete},"instructions":{},"max_output_tokens":{},"max_tool_calls":null,"model":{},"output":[{output}],"parallel_tool_calls":{},"previous_response_id":{},"prompt_cache_key":{},"reasoning":{},"safety_identifier":null,"service_tier":"default","store":{},"temperature":1.0,"text":{{"format":{{"type":"text"}},"verbosity":"medium"}},"tool_choice":{},"tools":{},"top_logprobs":0,"top_p":1.0,"truncation":"disabled","usage":{usage},"user":null,"metadata":{}}}"#,
        end.status(),
        echo("instructions", "null"),
        echo("max_output_tokens", "null"),
        quoted(&ask.model),
        echo("parallel_tool_calls", "true"),
        echo("previous_response_id", "null"),
        echo("prompt_cache_key", "null"),
        echo("reasoning", r#"{"effort":null,"summary":null}"#),
        echo("store", "true"),
        echo("tool_choice", r#""auto""#),
        echo("tools", "[]"),
        echo("metadata", "{}"),
    )
}

fn spelled(usage: &Usage) -> String {
    let (input, output) = (usage.all_input(), usage.output);
    let Usage {
        cache_read, reasoning, ..
    } = usage;
    let total = input + output;
    format!(
        r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":{cache_read},"cache_write_tokens":0}},"output_tokens":{output},"output_tokens_details":{{"reasoning_tokens":{reasoning}}},"total_tokens":{total}}}"#
    )
}
