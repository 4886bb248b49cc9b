//! The wire families, one folder each, and the entries by which the rest of the crate finds them.
//!
//! It does not read crate `wire`'s descriptions: what the gateway does by those is measured against this.

mod anthropic;
mod bedrock;
mod gemini;
mod openai;

use crate::answer::Answer;
use crate::ask::{Ask, Said};
use crate::scenario::Scenario;
use crate::script::Script;
use http::request::Parts;
use http::{HeaderMap, Method};
use serde_json::Value;
use time::OffsetDateTime;

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
    /// `POST /v1beta/models/{model}:generateContent` and `…:streamGenerateContent`
    GenerateContent,
    /// `POST /v1beta/models/{model}:embedContent` and `…:batchEmbedContents`
    GeminiEmbeddings,
    /// `POST /model/{model}/invoke` and `/invoke-with-response-stream`
    BedrockInvoke,
    /// `POST /model/{model}/converse` and `/converse-stream`
    BedrockConverse,
}

/// Every family.
const FAMILIES: [&dyn Family; 4] = [
    &anthropic::Anthropic,
    &gemini::Gemini,
    &openai::OpenAi,
    &bedrock::Bedrock,
];

impl Endpoint {
    /// Every API.
    pub const ALL: [Self; 8] = [
        Self::Messages,
        Self::ChatCompletions,
        Self::Responses,
        Self::Embeddings,
        Self::GenerateContent,
        Self::GeminiEmbeddings,
        Self::BedrockInvoke,
        Self::BedrockConverse,
    ];

    pub(crate) fn api(self) -> &'static dyn Api {
        match self {
            Self::Messages => &anthropic::Messages,
            Self::ChatCompletions => &openai::ChatCompletions,
            Self::Responses => &openai::Responses,
            Self::Embeddings => &openai::Embeddings,
            Self::GenerateContent => &gemini::GenerateContent,
            Self::GeminiEmbeddings => &gemini::Embeddings,
            Self::BedrockInvoke => &bedrock::Invoke,
            Self::BedrockConverse => &bedrock::Converse,
        }
    }

    /// The API of a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.api().is_at(path))
    }

    /// Its name, as in `/__scripted/scripts/{name}/…`.
    pub fn name(self) -> &'static str {
        self.api().name()
    }

    /// Its path; an example of it, where it names the model.
    pub fn path(self) -> &'static str {
        self.api().path()
    }

    /// The request whose answer `/__scripted/scripts` shows where none is given.
    pub fn example(self, stream: bool) -> String {
        self.api().example(stream)
    }
}

/// The family that answers a request: its API's, else the one that it shows a sign of, else OpenAI.
pub(crate) fn family(endpoint: Option<Endpoint>, headers: &HeaderMap) -> &'static dyn Family {
    match endpoint {
        Some(endpoint) => endpoint.api().family(),
        None => {
            let mut families = FAMILIES.into_iter();
            families
                .find(|family| family.is_meant(headers))
                .unwrap_or(&openai::OpenAi)
        }
    }
}

/// Whether a header of this name may hold a credential.
pub(crate) fn is_credential(name: &str) -> bool {
    // Azure's, in every family.
    name == "api-key"
        || FAMILIES
            .iter()
            .any(|family| family.credential_headers().contains(&name))
}

/// One API.
pub(crate) trait Api: Sync {
    fn name(&self) -> &'static str;
    fn path(&self) -> &'static str;
    /// Whether it answers at this path.
    fn is_at(&self, path: &str) -> bool {
        self.path() == path
    }
    /// What path and query tell of a request, as the members of a body that would tell it.
    fn told_by(&self, _path: &str, _query: &str) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
    fn family(&self) -> &'static dyn Family;
    fn example(&self, stream: bool) -> String;

    /// The member of a request that holds its turns.
    fn turns(&self) -> &'static str;
    /// The member without which a request says nothing.
    fn required(&self) -> &'static str {
        self.turns()
    }
    /// What the last turn says.
    fn said(&self, body: &Value, last: &Value) -> Said;
    fn wants_thinking(&self, body: &Value) -> bool;
    /// Whether a part of the prompt is marked for the cache.
    fn marks_cache(&self, _body: &Value) -> bool {
        false
    }
    /// Tokens that [`Scenario::Cached`] reads from the cache, and those that it writes for five minutes and for one hour.
    fn cached_tokens(&self) -> (usize, usize, usize) {
        (2048, 0, 0)
    }

    /// The blocking answer.
    fn whole(&self, ask: &Ask, scenario: Scenario) -> String;
    /// The events of a stream, and an error event to break it off with; `None` where the API has no streams.
    fn stream(&self, ask: &Ask, scenario: Scenario) -> Option<Stream>;
    /// What puts an event into a frame, where streams are framed and their events no server-sent ones.
    fn framing(&self) -> Option<fn(&str) -> Vec<u8>> {
        None
    }
    /// What the bench's fast path sends.
    fn bench(&self) -> Option<Bench> {
        None
    }
}

/// A stream of events.
pub(crate) struct Stream {
    pub(crate) events: Vec<String>,
    pub(crate) error: String,
    pub(crate) content_type: &'static str,
}

/// What streams of events are called.
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// Fixed answers, about as long as the provider's own.
pub(crate) struct Bench {
    pub(crate) whole: &'static [u8],
    /// A stream's beginning, the event that is repeated, and the end.
    pub(crate) stream: (&'static [u8], &'static [u8], &'static [u8]),
}

/// An error to be told.
#[derive(Clone, Copy, Default)]
pub(crate) struct Detail<'a> {
    pub(crate) param: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
}

/// What the APIs of one family share.
pub(crate) trait Family: Sync {
    /// Whether a request with these headers is meant for this family.
    fn is_meant(&self, _headers: &HeaderMap) -> bool {
        false
    }
    /// The headers that a credential may be in.
    fn credential_headers(&self) -> &'static [&'static str];
    /// Refuses a request without the credential that the family wants.
    fn check_credential(&self, headers: &HeaderMap) -> Result<(), Script>;
    /// Refuses a request that is signed, but not as the family wants it.
    fn check_signature(&self, _parts: &Parts, _body: &[u8], _now: OffsetDateTime) -> Result<(), Script> {
        Ok(())
    }
    /// Refuses a request to one of the APIs without a header that the family wants.
    fn check_headers(&self, _headers: &HeaderMap) -> Result<(), Script> {
        Ok(())
    }

    /// Refuses a body that the family does not take, before anything of the path is in it.
    fn check_body(&self, _endpoint: Endpoint, _body: &Value) -> Result<(), Script> {
        Ok(())
    }

    /// The error type that the family gives to a status.
    fn error_type(&self, status: u16) -> &'static str;
    /// An error's body.
    fn error_body(&self, error_type: &str, message: &str, detail: Detail<'_>) -> String;
    fn missing(&self, param: &str) -> Script;
    fn wrong(&self, param: &str, wanted: &str) -> Script;
    fn not_json(&self) -> Script;
    fn bad_key(&self) -> Script;
    fn no_model(&self, model: &str) -> Script;

    /// An error with the type that the family gives to this status.
    fn error(&self, status: u16, message: &str) -> Script {
        self.detailed(status, message, Detail::default())
    }

    /// The same with more to tell.
    fn detailed(&self, status: u16, message: &str, detail: Detail<'_>) -> Script {
        let body = self.error_body(self.error_type(status), message, detail);
        let script = Script::json(status, body);
        match status {
            429 => script.header("retry-after", "1").header("x-should-retry", "true"),
            500..=599 => script.header("x-should-retry", "true"),
            _ => script.header("x-should-retry", "false"),
        }
    }

    /// What lies beside the APIs; `None` where there is nothing.
    fn elsewhere(&self, method: &Method, path: &str, body: &[u8]) -> Option<Script>;
    /// Adds the headers that the family sends with every answer.
    fn with_headers(&self, script: Script, body: &str) -> Script;
}

/// Whether the request has a bearer token.
pub(crate) fn has_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.len() > "Bearer ".len() && value.starts_with("Bearer "))
}

/// The input tokens of a request that nothing else is asked of.
fn input_tokens(ask: &Ask) -> usize {
    Answer::new(ask, Scenario::Text).usage.input
}
