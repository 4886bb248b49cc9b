//! What a request asks for, read from any of the APIs' bodies. Lenient where a provider is; [`crate::error`] holds what is refused.

use crate::families::Endpoint;
use crate::host::Host;
use crate::json::{items, text};
use crate::tool::Tool;
use serde_json::Value;

/// What the last turn of a request says.
pub(crate) struct Said {
    pub(crate) text: String,
    /// It brings a tool's result.
    pub(crate) by_tool: bool,
}

impl Said {
    pub(crate) fn user(text: String) -> Self {
        Self { text, by_tool: false }
    }

    pub(crate) fn tool_result(text: String) -> Self {
        Self { text, by_tool: true }
    }
}

/// The facts of a request.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Who is asked.
    pub(crate) host: Host,
    pub(crate) endpoint: Endpoint,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// Chat Completions: a usage chunk is asked for.
    pub(crate) include_usage: bool,
    /// What the user said last; for a tool's result, that.
    pub(crate) said: String,
    /// The last message brings a tool's result.
    pub(crate) tool_result: bool,
    pub(crate) tools: Vec<Tool>,
    /// A tool call is demanded, not only allowed.
    pub(crate) tool_demanded: bool,
    pub(crate) tools_forbidden: bool,
    pub(crate) thinking: bool,
    /// A part of the prompt is marked for the cache.
    pub(crate) cache_marked: bool,
    pub(crate) turns: usize,
    /// The whole body.
    pub(crate) body: Value,
}

impl Ask {
    /// Reads a body.
    pub(crate) fn read(endpoint: Endpoint, body: Value) -> Self {
        let api = endpoint.api();
        let turns = items(&body, api.turns());
        let said = api.said(&body, turns.last().unwrap_or(&Value::Null));
        let choice = &body["tool_choice"];
        let choice_word = choice.as_str().or_else(|| choice["type"].as_str()).unwrap_or("auto");
        Self {
            host: Host::default(),
            endpoint,
            model: text(&body, "model").to_owned(),
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            said: said.text,
            tool_result: said.by_tool,
            tools: Tool::read_all(&body),
            tool_demanded: matches!(choice_word, "any" | "tool" | "required" | "function" | "custom"),
            tools_forbidden: choice_word == "none",
            thinking: api.wants_thinking(&body),
            cache_marked: api.marks_cache(&body),
            turns: turns.len(),
            body,
        }
    }
}

/// The text of a content that is a text, or a list of texts and parts.
pub(crate) fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
