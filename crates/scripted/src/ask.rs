//! What a request asks for, read from any of the APIs' bodies. Lenient where a provider is; [`crate::error`] holds what is refused.

use crate::json::{items, text};
use crate::tool::Tool;
use serde_json::Value;

/// An API that answers from scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/embeddings`
    Embeddings,
}

impl Endpoint {
    /// Every API.
    pub const ALL: [Self; 4] = [Self::Messages, Self::ChatCompletions, Self::Responses, Self::Embeddings];

    /// Its name, as in `/__scripted/scripts/{name}/…`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "anthropic_messages",
            Self::ChatCompletions => "openai_chat_completions",
            Self::Responses => "openai_responses",
            Self::Embeddings => "openai_embeddings",
        }
    }

    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Messages => "/v1/messages",
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// The request that the exact bytes are told of when no other is given.
    pub fn example(self, stream: bool) -> String {
        match self {
            Self::Messages => format!(
                r#"{{"model":"claude-sonnet-5","max_tokens":1024,"stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#
            ),
            Self::ChatCompletions => {
                format!(
                    r#"{{"model":"gpt-5.4-mini","stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#
                )
            }
            Self::Responses => format!(r#"{{"model":"gpt-5.4-mini","stream":{stream},"input":"Hello"}}"#),
            Self::Embeddings => r#"{"model":"text-embedding-3-small","input":"Hello"}"#.to_owned(),
        }
    }
}

/// The facts of a request.
#[derive(Debug)]
pub(crate) struct Ask {
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
    /// Anthropic: a part of the prompt is marked for the cache.
    pub(crate) cache_marked: bool,
    pub(crate) turns: usize,
    /// The whole body.
    pub(crate) body: Value,
}

impl Ask {
    /// Reads a body.
    pub(crate) fn read(endpoint: Endpoint, body: Value) -> Self {
        let messages = match endpoint {
            Endpoint::Responses => items(&body, "input"),
            _ => items(&body, "messages"),
        };
        let last = messages.last().unwrap_or(&Value::Null);
        let (said, tool_result) = match endpoint {
            Endpoint::Messages => anthropic_said(last),
            Endpoint::ChatCompletions => (words(&last["content"]), text(last, "role") == "tool"),
            Endpoint::Responses => responses_said(&body, last),
            Endpoint::Embeddings => (words(&body["input"]), false),
        };
        let choice = &body["tool_choice"];
        let choice_word = choice.as_str().or_else(|| choice["type"].as_str()).unwrap_or("auto");
        let thinking = match endpoint {
            Endpoint::Messages => matches!(text(&body["thinking"], "type"), "enabled" | "adaptive"),
            Endpoint::ChatCompletions => body
                .get("reasoning_effort")
                .is_some_and(|e| !e.is_null() && e != "none"),
            Endpoint::Responses => body["reasoning"].get("summary").is_some_and(|s| !s.is_null()),
            Endpoint::Embeddings => false,
        };
        Self {
            endpoint,
            model: text(&body, "model").to_owned(),
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            said,
            tool_result,
            tools: Tool::read_all(&body),
            tool_demanded: matches!(choice_word, "any" | "tool" | "required" | "function" | "custom"),
            tools_forbidden: choice_word == "none",
            thinking,
            cache_marked: endpoint == Endpoint::Messages && marked(&body),
            turns: messages.len(),
            body,
        }
    }
}

/// The text of a content that is a text, or a list of texts and parts.
fn words(content: &Value) -> String {
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

fn anthropic_said(last: &Value) -> (String, bool) {
    let result = items(last, "content")
        .iter()
        .rfind(|block| text(block, "type") == "tool_result");
    match result {
        Some(result) => (words(&result["content"]), true),
        None => (words(&last["content"]), false),
    }
}

fn responses_said(body: &Value, last: &Value) -> (String, bool) {
    if let Some(input) = body["input"].as_str() {
        return (input.to_owned(), false);
    }
    if text(last, "type").ends_with("_call_output") {
        (words(&last["output"]), true)
    } else {
        (words(&last["content"]), false)
    }
}

/// Whether `cache_control` stands anywhere in the parts that may bear it.
fn marked(body: &Value) -> bool {
    let has = |part: &Value| part.get("cache_control").is_some_and(|mark| !mark.is_null());
    let message_has = |message: &Value| items(message, "content").iter().any(has);
    has(body)
        || items(body, "system").iter().any(has)
        || items(body, "tools").iter().any(has)
        || items(body, "messages").iter().any(message_has)
}
