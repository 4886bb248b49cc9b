//! A client that leaves: after each event of a stream, of every API. What the provider still says is still read, for the record, so
//! that the usage is final where it comes, and marked as an estimate where it does not.

use crate::PROGRAM;
use bytes::Bytes;
use lychgate_scripted::{Endpoint, Gate, Script, Step};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::http::post;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A stream of one API, and what its usage is known to be as it goes by.
struct Stream {
    endpoint: Endpoint,
    events: Vec<String>,
    /// The event that the client does not get to see.
    hidden: Option<usize>,
    /// The usage (input, output) that is known from so many events on, and whether it is final.
    known: &'static [(usize, i64, i64, bool)],
}

/// What follows at the provider when the client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// The rest of the stream.
    Comes,
    /// Nothing: the connection closes.
    IsCut,
    /// More than the gateway reads for a client that is gone, and then the rest.
    IsTooMuch,
}

const ID: &str = "answer-1";

fn streams() -> [Stream; 3] {
    let named = |events: &[&str]| -> Vec<String> {
        let event = |data: &&str| {
            let kind: Value = serde_json::from_str(data).unwrap();
            format!("event: {}\ndata: {data}\n\n", kind["type"].as_str().unwrap())
        };
        events.iter().map(event).collect()
    };
    let messages = [
        r#"{"type":"message_start","message":{"id":"answer-1","content":[],"usage":{"input_tokens":25,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße 🏮"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call-1","name":"now","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":15}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let chat = [
        r#"{"id":"answer-1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"id":"answer-1","choices":[{"index":0,"delta":{"content":"Grüße 🏮"}}]}"#,
        r#"{"id":"answer-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call-1","type":"function","function":{"name":"now","arguments":"{\"a\":"}}]}}]}"#,
        r#"{"id":"answer-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"1}"}}]}}]}"#,
        r#"{"id":"answer-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_use"}]}"#,
        r#"{"id":"answer-1","choices":[],"usage":{"prompt_tokens":25,"completion_tokens":15}}"#,
        "[DONE]",
    ];
    let responses = [
        r#"{"type":"response.created","response":{"id":"answer-1","status":"in_progress","usage":null}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","content":[]}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"delta":"Grüße 🏮"}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"call-1","name":"now","arguments":"{\"a\":1}"}}"#,
        r#"{"type":"response.incomplete","response":{"id":"answer-1","status":"incomplete","incomplete_details":{"reason":"tool_use"},"usage":{"input_tokens":25,"output_tokens":15}}}"#,
    ];
    [
        Stream {
            endpoint: Endpoint::Messages,
            events: named(&messages),
            hidden: None,
            known: &[(1, 25, 1, false), (9, 25, 15, true)],
        },
        Stream {
            endpoint: Endpoint::ChatCompletions,
            events: chat.iter().map(|data| format!("data: {data}\n\n")).collect(),
            hidden: Some(5),
            known: &[(6, 25, 15, true)],
        },
        Stream {
            endpoint: Endpoint::Responses,
            events: named(&responses),
            hidden: None,
            known: &[(5, 25, 15, true)],
        },
    ]
}

impl Stream {
    /// The provider sends `count` events, waits for the gate, and goes on with the rest.
    fn script(&self, count: usize, rest: Rest, gate: &Gate) -> Script {
        let send = |events: &[String]| (!events.is_empty()).then(|| Step::Send(Bytes::from(events.concat())));
        let (before, after) = self.events.split_at(count);
        let mut steps: Vec<Step> = send(before).into_iter().collect();
        steps.push(Step::Wait(gate.clone()));
        match rest {
            Rest::Comes => steps.extend(send(after)),
            Rest::IsCut => steps.push(Step::Close),
            Rest::IsTooMuch => {
                let comment = Bytes::from(format!(": {}\n\n", "-".repeat(64 << 10)));
                steps.extend(std::iter::repeat_n(Step::Send(comment), 20));
                steps.extend(send(after));
            }
        }
        Script {
            steps,
            ..Script::events([])
        }
    }

    /// What the client sees of the first `count` events.
    fn seen(&self, count: usize) -> String {
        let events = self.events[..count].iter().enumerate();
        events
            .filter(|(at, _)| Some(*at) != self.hidden)
            .map(|(_, event)| event.as_str())
            .collect()
    }

    /// What is on record, when the client left after `count` events and `read` of them were read in the end.
    fn facts(&self, count: usize, read: usize) -> Value {
        let known = self.known.iter().rev().find(|(from, ..)| *from <= read);
        let (_, input, output, is_final) = known.copied().unwrap_or((0, 0, 0, false));
        let all = read == self.events.len();
        json!({
            "outcome": if count == self.events.len() { "completed" } else { "client_aborted" },
            "upstream_status": 200,
            "error_type": null,
            "id": if read == 0 { "" } else { ID },
            "input_tokens": is_final.then_some(input),
            "output_tokens": is_final.then_some(output),
            "estimated": !is_final,
            "stop_reason": all.then_some("tool_use"),
            "tools": if all { json!([["call-1", "now", r#"{"a":1}"#]]) } else { Value::Null },
        })
    }
}

/// What the record says; tools only where the stream was read to its end.
fn facts(record: &Value, all: bool) -> Value {
    let usages = record["token_usages"].as_array().unwrap();
    assert_eq!(usages.len(), 1, "{record:#}");
    let usage = &usages[0];
    // Estimates are of the few words that went either way.
    let told = |count: &str| {
        let is_estimate = usage["estimated"] == true;
        assert!(
            !is_estimate || (0..=25).contains(&usage[count].as_i64().unwrap()),
            "{record:#}"
        );
        if is_estimate { Value::Null } else { usage[count].clone() }
    };
    let tools: Value = record["tool_usages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| json!([tool["tool_call_id"], tool["tool"], tool["input"]]))
        .collect();
    json!({
        "outcome": record["outcome"],
        "upstream_status": record["upstream_status"],
        "error_type": record["error_type"],
        "id": usage["provider_response_id"],
        "input_tokens": told("input_tokens"),
        "output_tokens": told("output_tokens"),
        "estimated": usage["estimated"],
        "stop_reason": if all { record["stop_reason"].clone() } else { Value::Null },
        "tools": if all { tools } else { Value::Null },
    })
}

/// Asks for the stream and leaves after `count` of its events. Gives the interception's id.
async fn leave(app: &App, replica: &Replica, stream: &Stream, count: usize, rest: Rest) -> String {
    let gate = Gate::default();
    app.scripted.add_script("leaving", stream.script(count, rest, &gate));
    let provider = if stream.endpoint == Endpoint::Messages {
        "anthropic"
    } else {
        "openai"
    };
    let mut open = post(format!("{}/ai/{provider}{}", replica.url, stream.endpoint.path()))
        .bearer(&app.token)
        .header("anthropic-version", "2023-06-01")
        .header("x-scripted", "leaving")
        .text(&stream.endpoint.example(true))
        .open()
        .await;
    assert_eq!(open.status, 200);
    let wanted = stream.seen(count);
    let seen = open.at_least(wanted.len()).await;
    assert_eq!(String::from_utf8_lossy(&seen), wanted);
    let id = open.headers["x-lychgate-interception-id"].to_str().unwrap().to_owned();
    open.leave().await;
    gate.open();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_each_event_of_a_stream() {
    let app = App::start(PROGRAM, None).await;
    let replica = app.replica("edge-1").await;
    let mut left = Vec::new();
    let streams = streams();
    for stream in &streams {
        for count in 0..=stream.events.len() {
            for rest in [Rest::Comes, Rest::IsCut] {
                left.push((stream, count, rest, leave(&app, &replica, stream, count, rest).await));
            }
        }
        left.push((
            stream,
            1,
            Rest::IsTooMuch,
            leave(&app, &replica, stream, 1, Rest::IsTooMuch).await,
        ));
    }
    for (stream, count, rest, id) in &left {
        let record = app.interception(id).await;
        let read = match rest {
            Rest::Comes => stream.events.len(),
            Rest::IsCut | Rest::IsTooMuch => *count,
        };
        let case = format!(
            "{}: left after {count} events, the rest {rest:?}: {record:#}",
            stream.endpoint.name()
        );
        assert_eq!(
            facts(&record, read == stream.events.len()),
            stream.facts(*count, read),
            "{case}"
        );
    }
    let mut recorded: Vec<_> = app
        .interceptions()
        .await
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    recorded.sort();
    let ids: BTreeSet<_> = left.into_iter().map(|(.., id)| id).collect();
    assert_eq!(
        recorded,
        ids.into_iter().collect::<Vec<_>>(),
        "one interception for each request"
    );
    assert!(replica.process.is_running() && !replica.process.stderr().contains("panicked"));
}
