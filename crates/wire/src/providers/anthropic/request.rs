//! What a Messages request says.

use crate::capture::{joined, name};
use crate::json::{self, Latest, Raw, members, unique};
use crate::limits::{ITEMS, PROMPT_BYTES};
use crate::{MalformedBody, RequestFacts};
use std::borrow::Cow;

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        stream: Raw<'de> = b"stream",
        messages: Latest<'de> = b"messages",
        metadata: Raw<'de> = b"metadata",
    }
}

members! {
    struct Metadata<'de> { user_id: Raw<'de> = b"user_id", }
}

members! {
    struct UserId<'de> { session_id: Raw<'de> = b"session_id", }
}

members! {
    struct Message<'de> { role: Raw<'de> = b"role", content: Raw<'de> = b"content", }
}

members! {
    struct Block<'de> {
        kind: Raw<'de> = b"type",
        text: Raw<'de> = b"text",
        tool_use_id: Raw<'de> = b"tool_use_id",
    }
}

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    // Clients put messages of the system behind the user's, and the beginning of an answer.
    let last: Message<'_> = (request.messages.newest_first())
        .map(unique::object::<Message<'_>>)
        .find(|message| message.as_ref().map_or(true, |message| message.role.is("user")))
        .transpose()?
        .unwrap_or_default();
    let metadata: Metadata<'_> = unique::object(request.metadata)?;
    let mut texts: Vec<_> = last.content.text().into_iter().collect();
    let mut tool_result = None;
    unique::each(last.content, |block: Block<'_>| {
        if block.kind.is("tool_result") {
            tool_result = Some(block.tool_use_id.name());
        } else if block.kind.is("text") && texts.len() < ITEMS {
            texts.extend(block.text.text().filter(|text| !is_reminder(text)));
        }
    })?;
    Ok(RequestFacts {
        model: request.model.name(),
        streaming: request.stream.is_true(),
        prompt: joined(texts, PROMPT_BYTES),
        thread_parent_tool_call_id: tool_result.filter(|id| !id.is_empty()),
        body_session_id: metadata.user_id.text().and_then(|user_id| session_id(&user_id)),
        ..RequestFacts::default()
    })
}

/// What Claude Code itself adds to the user's words.
fn is_reminder(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("<system-reminder>") && text.ends_with("</system-reminder>")
}

/// The session in Claude Code's user id: `{"session_id": "…"}`, else what follows `_session_`.
fn session_id(user_id: &str) -> Option<String> {
    if user_id.trim_start().starts_with('{') {
        return json::object::<UserId<'_>>(user_id.as_bytes())?
            .session_id
            .text()
            .map(name);
    }
    let (_, session) = user_id.split_once("_session_")?;
    (!session.is_empty()).then(|| name(Cow::Borrowed(session)))
}
