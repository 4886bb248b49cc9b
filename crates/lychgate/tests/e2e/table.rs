//! What is recorded of what, row by row: each row of the data plane's tables has a request and an answer made for it, and says
//! what must then be on record. The answers are sent in every spelling that a stream of events can have, the client must get
//! them byte for byte, and the provider must get the client's own bytes.
//!
//! Not here: what the readers make of single events (tests of `wire`), and answers of the scripted provider's own scenarios
//! (`identity`, `flow`).

mod chat;
mod clients;
mod embeddings;
mod failures;
mod messages;
mod responses;
mod row;
mod spelling;

use crate::PROGRAM;
use lychgate_scripted::{Endpoint, SeenRequest};
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::http::post;
use row::Row;
use serde_json::{Map, Value, json};
use spelling::Spelling;
use std::collections::HashMap;

/// A row that has been asked for.
struct Asked<'a> {
    row: &'a Row,
    spelling: Spelling,
    interception: String,
}

/// Asks for every row in every spelling that it has, then looks all of them up.
async fn holds(rows: &[Row]) {
    let app = App::start(PROGRAM, None).await;
    // Errors reach the client at once, and one row's do not bar the next.
    for provider in ["anthropic", "openai"] {
        app.set_policy(
            provider,
            &json!({"retry": {"max_attempts": 1}, "breaker": {"failures": 0}}),
        )
        .await;
    }
    let replica = app.replica("edge-1").await;
    let mut asked = Vec::new();
    for spelling in Spelling::ALL {
        for row in rows.iter().filter(|row| row.has(spelling)) {
            let interception = relayed(&app, &replica, row, spelling).await;
            asked.push(Asked {
                row,
                spelling,
                interception,
            });
        }
    }
    recorded(&app, &asked).await;
    assert!(
        replica.process.is_running() && !replica.process.stderr().contains("panicked"),
        "{}",
        replica.process.stderr()
    );
}

/// Sends the row's request, and checks what came to the provider and to the client. Gives the interception's id.
async fn relayed(app: &App, replica: &Replica, row: &Row, spelling: Spelling) -> String {
    let (script, wanted) = row.script(spelling);
    app.scripted.add_script("row", script.clone());
    let body = row.request.to_string();
    let provider = row.provider();
    let url = format!("{}/ai/{provider}{}", replica.url, row.endpoint.path());
    let call = row
        .headers
        .iter()
        .fold(post(url), |call, (name, value)| call.header(name, value));
    let answer = call
        .bearer(&app.token)
        .header("x-scripted", "row")
        .text(&body)
        .send()
        .await;
    let name = format!("{} ({spelling:?})", row.name);
    let seen = app.scripted.requests().pop().expect("the provider was asked");
    check_request(row, &body, &seen, &name);
    assert_eq!(answer.status, script.status, "{name}: {}", answer.text());
    assert_eq!(
        String::from_utf8_lossy(&answer.body),
        String::from_utf8_lossy(&wanted),
        "{name}: the bytes"
    );
    assert!(answer.body == wanted && !answer.broken, "{name}: the bytes");
    for (header, value) in &script.headers {
        assert_eq!(answer.header(header), value, "{name}: {header}");
    }
    answer.header("x-lychgate-interception-id").to_owned()
}

/// The provider gets the client's bytes; only where usage must be asked for, that and nothing else is put in.
fn check_request(row: &Row, sent: &str, seen: &SeenRequest, name: &str) {
    if row.asks_for_usage() {
        let mut wanted = row.request.clone();
        wanted["stream_options"]["include_usage"] = true.into();
        assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), wanted, "{name}");
    } else {
        assert_eq!(String::from_utf8_lossy(&seen.body), sent, "{name}: the request");
    }
}

/// Compares every interception with what its row says, and sees to it that there are no others.
async fn recorded(app: &App, asked: &[Asked<'_>]) {
    let mut sessions: HashMap<String, &str> = HashMap::new();
    let mut names: HashMap<String, &str> = HashMap::new();
    let mut wrong = String::new();
    for Asked {
        row,
        spelling,
        interception,
    } in asked
    {
        let record = app.interception(interception).await;
        let (found, wanted) = (facts(&record, &names, &sessions), row.facts());
        if found != wanted {
            wrong += &format!("── {} ({spelling:?})\n{}", row.name, difference(&found, &wanted));
        }
        if *spelling == Spelling::Plain {
            names.insert(record["id"].as_str().unwrap().to_owned(), row.name);
            sessions
                .entry(record["session_id"].as_str().unwrap().to_owned())
                .or_insert(row.name);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(
        app.interceptions().await.len(),
        asked.len(),
        "one interception for each request"
    );
}

/// What a record says, as rows put it: with nothing that is zero, and other interceptions by the names of their rows.
fn facts(record: &Value, names: &HashMap<String, &str>, sessions: &HashMap<String, &str>) -> Value {
    let list = |member: &str, fields: &[&str]| -> Value {
        let entry = |entry: &Value| fields.iter().map(|field| entry[*field].clone()).collect::<Value>();
        record[member].as_array().unwrap().iter().map(entry).collect()
    };
    let usages = record["token_usages"].as_array().unwrap();
    assert!(usages.len() <= 1, "one row per answer: {record:#}");
    let usage = usages.first().map_or(Value::Null, |usage| {
        let said = |value: &Value| ![json!(0), json!(false), json!({}), Value::Null].contains(value);
        let usage = usage.as_object().unwrap().iter().filter(|(_, value)| said(value));
        usage
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>()
            .into()
    });
    let prompts = record["prompts"].as_array().unwrap();
    assert!(prompts.len() <= 1, "{record:#}");
    let text = |member: &str| record[member].as_str().unwrap_or_default();
    let session = match text("session_id") {
        own if own == text("id") => "its own",
        other => sessions.get(other).copied().unwrap_or("a new one"),
    };
    let thread = |member: &str| {
        record[member]
            .as_str()
            .map(|id| names.get(id).copied().unwrap_or("a stranger"))
    };
    let mut facts = json!({
        "usage": usage,
        "prompt": prompts.first().map(|prompt| prompt["prompt"].clone()),
        "tools": list("tool_usages", &["tool_call_id", "tool", "input"]),
        "thoughts": list("model_thoughts", &["source", "content"]),
        "session": session,
        "parent": thread("thread_parent_id"),
        "root": thread("thread_root_id"),
    });
    for member in [
        "provider",
        "api",
        "model",
        "streaming",
        "client",
        "client_session_id",
        "outcome",
        "upstream_status",
        "error_type",
        "error_message",
        "stop_reason",
        "attempts",
        "credential_kind",
    ] {
        facts[member] = record[member].clone();
    }
    facts
}

fn difference(found: &Value, wanted: &Value) -> String {
    let different = |(name, found): (&String, &Value)| {
        let wanted = &wanted[name.as_str()];
        (found != wanted).then(|| format!("{name}\n   found:  {found}\n   wanted: {wanted}\n"))
    };
    found.as_object().unwrap().iter().filter_map(different).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_messages() {
    holds(&messages::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_chat_completions() {
    holds(&chat::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_responses() {
    holds(&responses::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_clients_embeddings_and_errors() {
    let mut rows = clients::rows();
    rows.extend(embeddings::rows());
    for endpoint in [
        Endpoint::Messages,
        Endpoint::ChatCompletions,
        Endpoint::Responses,
        Endpoint::Embeddings,
    ] {
        rows.extend(failures::errors(endpoint));
    }
    holds(&rows).await;
}
