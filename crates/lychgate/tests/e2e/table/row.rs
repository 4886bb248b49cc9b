//! One row: what the client asks, what the provider answers, what must be on record.

use super::spelling::Spelling;
use bytes::Bytes;
use lychgate_scripted::{Endpoint, Script};
use serde_json::{Value, json};

/// A row of the table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) endpoint: Endpoint,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) request: Value,
    answer: Answer,
    /// The event that the client does not get to see.
    hidden: Option<usize>,
    /// What the record says where that is not the usual.
    wanted: Value,
    once: bool,
}

enum Answer {
    Whole(Script),
    /// In the plain spelling.
    Events(Vec<String>),
}

impl Row {
    /// A blocking answer.
    pub(super) fn blocking(endpoint: Endpoint, name: &'static str, body: &str) -> Self {
        Self::new(endpoint, name, false, Answer::Whole(Script::json(200, body.to_owned())))
    }

    /// A stream of events, each given by its data.
    pub(super) fn stream(endpoint: Endpoint, name: &'static str, events: &[&str]) -> Self {
        let named = endpoint != Endpoint::ChatCompletions;
        let event = |data: &&str| {
            let kind = serde_json::from_str::<Value>(data)
                .ok()
                .and_then(|data| Some(data["type"].as_str()?.to_owned()));
            match kind.filter(|_| named) {
                Some(kind) => format!("event: {kind}\ndata: {data}\n\n"),
                None => format!("data: {data}\n\n"),
            }
        };
        Self::new(endpoint, name, true, Answer::Events(events.iter().map(event).collect()))
    }

    /// An answer that is not a success.
    pub(super) fn error(endpoint: Endpoint, name: &'static str, stream: bool, script: Script) -> Self {
        Self::new(endpoint, name, stream, Answer::Whole(script)).records(json!({"outcome": "failed", "usage": null}))
    }

    fn new(endpoint: Endpoint, name: &'static str, stream: bool, answer: Answer) -> Self {
        let headers = match endpoint {
            Endpoint::Messages => vec![("anthropic-version", "2023-06-01")],
            _ => Vec::new(),
        };
        Self {
            name,
            endpoint,
            headers,
            request: serde_json::from_str(&endpoint.example(stream)).unwrap(),
            answer,
            hidden: None,
            wanted: json!({}),
            once: false,
        }
    }

    /// Sets members of the request.
    pub(super) fn asks(mut self, members: Value) -> Self {
        merge(&mut self.request, members);
        self
    }

    /// Adds a request header.
    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What the record says where that is not the usual.
    pub(super) fn records(mut self, members: Value) -> Self {
        merge(&mut self.wanted, members);
        self
    }

    /// The event that the gateway asked for and the client did not.
    pub(super) fn hides(mut self, event: usize) -> Self {
        self.hidden = Some(event);
        self
    }

    /// Not in other spellings: others of its kind are, and it names another row.
    pub(super) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    pub(super) fn has(&self, spelling: Spelling) -> bool {
        spelling == Spelling::Plain || (!self.once && matches!(self.answer, Answer::Events(_)))
    }

    /// What the provider sends, and what the client is to get of it.
    pub(super) fn script(&self, spelling: Spelling) -> (Script, Vec<u8>) {
        let events = match &self.answer {
            Answer::Whole(script) => return (script.clone(), script.bytes()),
            Answer::Events(events) => spelling.spell(events),
        };
        let seen: Vec<Bytes> = events
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != self.hidden)
            .map(|(_, event)| event.clone())
            .collect();
        let seen = spelling.frames(&seen).concat();
        (Script::events(spelling.frames(&events)), seen)
    }

    pub(super) fn provider(&self) -> &'static str {
        if self.endpoint == Endpoint::Messages {
            "anthropic"
        } else {
            "openai"
        }
    }

    fn streaming(&self) -> bool {
        self.request["stream"] == true
    }

    /// Whether the gateway asks for usage where the client did not.
    pub(super) fn asks_for_usage(&self) -> bool {
        self.endpoint == Endpoint::ChatCompletions
            && self.streaming()
            && self.request["stream_options"]["include_usage"] != true
    }

    /// All that the record says.
    pub(super) fn facts(&self) -> Value {
        let mut facts = json!({
            "provider": self.provider(),
            "api": self.endpoint.name(),
            "model": self.request["model"],
            "streaming": self.streaming(),
            "client": "Unknown",
            "client_session_id": null,
            "outcome": "completed",
            "upstream_status": 200,
            "error_type": null,
            "error_message": null,
            "stop_reason": null,
            "attempts": 1,
            "credential_kind": "centralized",
            "usage": {},
            "prompt": if self.endpoint == Endpoint::Embeddings { Value::Null } else { "Hello".into() },
            "tools": [],
            "thoughts": [],
            "session": "its own",
            "parent": null,
            "root": null,
        });
        merge(&mut facts, self.wanted.clone());
        facts
    }
}

/// Sets the members, whole.
fn merge(base: &mut Value, members: Value) {
    let Value::Object(members) = members else {
        panic!("members are needed, not {members}");
    };
    for (name, value) in members {
        base[name.as_str()] = value;
    }
}
