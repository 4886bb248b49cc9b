//! What a request says, before it goes upstream.

use crate::estimate::Text;
use crate::form::Boundary;
use crate::json::{self, Members};
use crate::limits::REFERENCES;
use crate::verdict::names_usage;
use crate::{named, providers};
use lychgate_types::provider::{Api, WireFamily};
use memchr::memmem;
use serde::de::MapAccess;

/// What is recorded of a request's body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The model asked for; empty where none is named.
    pub model: String,
    /// The model is named by the request's path alone. Nothing of a body tells.
    pub model_is_in_path: bool,
    /// `"stream": true` was asked for. How the answer came is for its content type to say.
    pub streaming: bool,
    /// The user's own words, at most [`crate::limits::PROMPT_BYTES`].
    pub prompt: Option<String>,
    /// Id of the tool call whose result the last message brings back.
    pub thread_parent_tool_call_id: Option<String>,
    /// Id of the response that this one goes on from: names the interception before it in the thread.
    pub previous_response_id: Option<String>,
    /// The provider is told not to store the answer.
    pub unstored: bool,
    /// The session id inside the body (Anthropic `metadata.user_id`), which counts for some clients only.
    pub body_session_id: Option<String>,
    /// The stream would not tell its usage unless it is asked to, which its client did not (Chat Completions).
    pub lacks_usage: bool,
    /// How many answers are asked for at once; 0 where that is not said.
    pub answers: usize,
    /// Ids of what the provider stores that the answer is to build on: a response, a conversation, items of them.
    pub objects: Vec<String>,
    /// Bytes of text that the model is given, about; a file counts as a few thousand.
    pub text_bytes: u64,
}

/// The body is not a JSON object, or not one that all servers read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedBody {
    /// It is not JSON.
    #[error("the request body is not valid JSON (line {line}, column {column})")]
    Syntax {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column of the first mistake, from 1.
        column: usize,
    },
    /// It is JSON, but not an object.
    #[error("the request body must be a JSON object")]
    NotAnObject,
    /// A member that is read is there twice, or in another spelling.
    #[error(
        "the request body has {0:?} more than once, or spelled with other letters: servers differ in which one they take, so \
         send it once and in lower case"
    )]
    Repeated(&'static str),
    /// It names more stored items than are looked up.
    #[error(
        "the request body refers to more than {} stored items: send them whole, or name their response or conversation",
        crate::limits::REFERENCES
    )]
    TooManyReferences,
    /// It is a form that not all servers read alike.
    #[error("the request body is a form that servers may read in different ways, so that it is refused: {0}")]
    Form(&'static str),
}

impl From<serde_json::Error> for MalformedBody {
    fn from(error: serde_json::Error) -> Self {
        Self::Syntax {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Reads a request's body; `content_type` is what its header says, where there is one such header. Members of the wrong type count as absent: the provider answers for them.
///
/// # Errors
/// What is neither a JSON object nor, where the API takes one, a form, and what repeats a member that is read.
pub fn read_request(api: Api, content_type: Option<&[u8]>, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let format = providers::api(api);
    let boundary = content_type.and_then(Boundary::of).transpose()?;
    let form = boundary.and_then(|boundary| Some((boundary, format.read_form(body, boundary)?)));
    let mut text = Text::default();
    let (mut facts, named) = match form {
        Some((boundary, facts)) => (facts?, named::forms::in_form(body, boundary, &mut text)?),
        None => {
            let body = behind_mark(api, body);
            (format.read_request(body)?, named::in_json(body, &mut text)?)
        }
    };
    let others: Vec<_> = named.into_iter().filter(|id| !facts.objects.contains(id)).collect();
    facts.objects.extend(others);
    if facts.objects.len() > REFERENCES {
        return Err(MalformedBody::TooManyReferences);
    }
    facts.text_bytes = text.bytes;
    Ok(facts)
}

/// The UTF-8 byte order mark that some clients on Windows begin with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The body without a byte order mark, where the servers of the API pass over one.
fn behind_mark(api: Api, body: &[u8]) -> &[u8] {
    match body.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) if api.wire_family() != WireFamily::Anthropic => rest,
        _ => body,
    }
}

/// Changes what is behind the byte order mark, where there is one.
pub(crate) fn changed_behind_mark(body: &[u8], change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    match body.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => change(rest).map(|changed| [BYTE_ORDER_MARK, &changed].concat()),
        None => change(body),
    }
}

/// The body of a streaming request, changed so that the stream tells its usage, with every other byte kept; `None` where the
/// request is to go out as it came: of an API whose streams tell their usage anyway, or a body where it isn't plain what to
/// change. For requests that stream and do not ask for usage themselves. In Chat Completions `stream_options.include_usage` is set to true.
///
/// Where this gives `Some`, the answer must go through a [`crate::UsageChunkFilter`].
pub fn ask_for_usage(api: Api, body: &[u8]) -> Option<Vec<u8>> {
    changed_behind_mark(body, |body| providers::api(api).with_usage_requested(body))
}

/// Whether what is written in a body may read as what asks for usage: [`crate::verdict::refuses_usage`] could find it in an answer that quotes the
/// body. Letters that are escaped could be any.
pub fn may_spell_usage(body: &[u8]) -> bool {
    let escapes = memmem::find_iter(body, b"\\u00");
    names_usage(body)
        || escapes
            .map(|at| body.get(at + 4))
            .any(|digit| matches!(digit, Some(b'2'..=b'7')))
}

/// The names of the members of a request's body, sorted. `None` where they are more, or longer, than those of any API.
pub fn member_names(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let Names(mut names) = json::object(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body))?;
    names.sort_unstable();
    (names.len() <= MOST_NAMES && names.iter().all(|name| name.len() <= LONGEST_NAME)).then_some(names)
}

/// Members of a body whose names are kept, and the longest of these, in bytes. One more of each tells that there are more.
const MOST_NAMES: usize = 64;
const LONGEST_NAME: usize = 64;

#[derive(Debug, Default)]
struct Names(Vec<Vec<u8>>);

impl<'de> Members<'de> for Names {
    fn read<A: MapAccess<'de>>(&mut self, key: &[u8], _: &mut A) -> Result<bool, A::Error> {
        if self.0.len() <= MOST_NAMES {
            self.0.push(key[..key.len().min(LONGEST_NAME + 1)].to_vec());
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_members_are_the_same_in_any_order_and_few() {
        let names = |body: &str| member_names(body.as_bytes());
        let known = names(r#"{"model":"m","data\u005fsources":[{"type":"x"}]}"#);
        assert_eq!(known, Some(vec![b"data_sources".to_vec(), b"model".to_vec()]));
        assert_eq!(known, names("\u{feff}{ \"data_sources\" : 1, \"model\" : null }"));
        assert_ne!(known, names(r#"{"model":"m"}"#));
        let many = |count: usize| (0..count).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",");
        assert!(names(&format!("{{{}}}", many(MOST_NAMES))).is_some());
        for body in [
            format!("{{{}}}", many(1000)),
            format!("{{\"{}\":0}}", "x".repeat(100)),
            "[]".to_owned(),
        ] {
            assert_eq!(names(&body), None);
        }
    }

    #[test]
    fn what_could_be_quoted_as_a_refusal_of_usage_is_found_anywhere() {
        let far = format!(
            r#"{{"a":"{}","b":"https://x/stream_options.png"}}"#,
            "x".repeat(100_000)
        );
        for body in [&*far, r#"{"a":"include_usage"}"#, r#"{"a":"\u0073tream_options"}"#] {
            assert!(may_spell_usage(body.as_bytes()), "{}", &body[..20]);
        }
        for body in [r#"{"a":"caf\u00e9 \u0416"}"#, r#"{"stream":true}"#, r#"{"a":"\u00"#] {
            assert!(!may_spell_usage(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_as_the_apis_servers_do() {
        let body = "\u{feff}{\"model\":\"m\",\"stream\":true}";
        let facts = read_request(Api::OpenAiChatCompletions, None, body.as_bytes()).unwrap();
        assert_eq!((facts.model.as_str(), facts.streaming), ("m", true));
        let asked = ask_for_usage(Api::OpenAiChatCompletions, body.as_bytes()).unwrap();
        assert!(asked.starts_with("\u{feff}{\"stream_options\"".as_bytes()));
        let renamed = crate::with_model(body.as_bytes(), "n").unwrap();
        assert_eq!(renamed, body.replace("\"m\"", "\"n\"").into_bytes());
        assert!(read_request(Api::AnthropicMessages, None, body.as_bytes()).is_err());
    }
}
