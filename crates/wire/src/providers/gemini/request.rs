//! What a request to generate content says. Its path says whether it streams, and which model counts.

use super::made_id::made_id;
use crate::capture::joined;
use crate::json::{self, Latest, Raw, members, unique};
use crate::limits::{ITEMS, PROMPT_BYTES};
use crate::{MalformedBody, RequestFacts};
use std::borrow::Cow;

members! {
    /// Google's servers take either spelling.
    struct Request<'de> {
        model: Raw<'de> = b"model",
        contents: Latest<'de> = b"contents",
        settings: Raw<'de> = b"generationConfig",
        settings_too: Raw<'de> = b"generation_config",
    }
}

members! {
    struct Settings<'de> { count: Raw<'de> = b"candidateCount", count_too: Raw<'de> = b"candidate_count", }
}

members! {
    struct Content<'de> { role: Raw<'de> = b"role", parts: Raw<'de> = b"parts", }
}

members! {
    /// Google's servers take either spelling.
    struct Part<'de> {
        text: Raw<'de> = b"text",
        thought: Raw<'de> = b"thought",
        response: Raw<'de> = b"functionResponse",
        response_too: Raw<'de> = b"function_response",
        call: Raw<'de> = b"functionCall",
        call_too: Raw<'de> = b"function_call",
        signature: Raw<'de> = b"thoughtSignature",
        signature_too: Raw<'de> = b"thought_signature",
    }
}

members! {
    struct Function<'de> { id: Raw<'de> = b"id", name: Raw<'de> = b"name", }
}

impl<'de> Part<'de> {
    fn response(&self) -> Raw<'de> {
        Raw(self.response.0.or(self.response_too.0))
    }

    fn call(&self) -> Raw<'de> {
        Raw(self.call.0.or(self.call_too.0))
    }

    fn signature(&self) -> Option<Cow<'de, str>> {
        Raw(self.signature.0.or(self.signature_too.0)).text()
    }
}

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    let model = request.model.name();
    let settings: Settings<'_> = unique::object(Raw(request.settings.0.or(request.settings_too.0)))?;
    let answers = Raw(settings.count.0.or(settings.count_too.0)).answers();
    let mut newest_first = request.contents.newest_first().map(unique::object::<Content<'_>>);
    let Some(last) = newest_first
        .find(|content| content.as_ref().map_or(true, |content| !content.role.is("model")))
        .transpose()?
    else {
        return Ok(RequestFacts {
            model,
            answers,
            ..RequestFacts::default()
        });
    };
    let (mut texts, mut result) = (Vec::new(), None);
    unique::each(last.parts, |part: Part<'_>| {
        if part.response().is_some() {
            let function: Function<'_> = part.response().object().unwrap_or_default();
            result = Some(function.id.name());
        } else if texts.len() < ITEMS && !part.thought.is_true() {
            texts.extend(part.text.text().filter(|text| !is_context(text)));
        }
    })?;
    let thread_parent_tool_call_id = match result {
        None => None,
        Some(id) => {
            let is_models =
                |content: &Result<Content<'_>, _>| content.as_ref().map_or(true, |content| content.role.is("model"));
            let calls = newest_first.find(is_models).transpose()?.unwrap_or_default();
            answered(id, calls.parts)?
        }
    };
    Ok(RequestFacts {
        model,
        answers,
        prompt: joined(texts, PROMPT_BYTES),
        thread_parent_tool_call_id,
        ..RequestFacts::default()
    })
}

/// What Gemini CLI itself adds to the user's words.
fn is_context(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("<session_context>") && text.ends_with("</session_context>")
}

/// Whether Gemini CLI made this id for a call of that name which came without one: `read_file_1796082194285_0`, with the time in
/// milliseconds.
fn is_clients_own(id: &str, name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    id.strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('_'))
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(time, nth)| time.len() >= 13 && is_number(time) && is_number(nth))
}

/// The id on record of the call that was answered under this id, which may be empty, or of the client's own making; `parts` are
/// those of the turn before.
fn answered(id: String, parts: Raw<'_>) -> Result<Option<String>, MalformedBody> {
    let (mut is_known, mut nth, mut signature, mut unnamed) = (false, 0, None, None);
    unique::each(parts, |part: Part<'_>| {
        if !part.call().is_some() {
            return;
        }
        let call: Function<'_> = part.call().object().unwrap_or_default();
        let call_id = Some(call.id.name())
            .filter(|id| !is_clients_own(id, &call.name.name()))
            .unwrap_or_default();
        is_known |= !call_id.is_empty() && call_id == id;
        signature = signature.take().or(part.signature());
        if call_id.is_empty() && unnamed.is_none() {
            unnamed = Some(nth);
        }
        nth += 1;
    })?;
    Ok(match (unnamed, signature) {
        (Some(nth), Some(signature)) if !is_known => Some(made_id(&signature, nth)),
        _ => Some(id).filter(|id| !id.is_empty()),
    })
}
