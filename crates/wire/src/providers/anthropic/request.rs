//! What a Messages request says.

use crate::capture::{clipped, name};
use crate::json::{self, Last, Raw, members};
use crate::limits::PROMPT_BYTES;
use crate::{MalformedBody, RequestFacts};
use std::borrow::Cow;

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        stream: Raw<'de> = b"stream",
        messages: Last<'de> = b"messages",
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
    let last: Message<'_> = request.messages.0.object().unwrap_or_default();
    let metadata: Metadata<'_> = request.metadata.object().unwrap_or_default();
    let mut text = last.content.text();
    let mut tool_result = None;
    last.content.for_each(|block| {
        let block: Block<'_> = block.object().unwrap_or_default();
        if block.kind.is("tool_result") {
            tool_result = Some(block.tool_use_id.name());
        } else if block.kind.is("text") {
            text = block.text.text().or(text.take());
        }
    });
    Ok(RequestFacts {
        model: request.model.name(),
        streaming: request.stream.is_true(),
        prompt: text
            .filter(|text| !text.is_empty() && tool_result.is_none() && last.role.is("user"))
            .map(|text| clipped(text, PROMPT_BYTES)),
        thread_parent_tool_call_id: tool_result.filter(|id| !id.is_empty()),
        body_session_id: metadata.user_id.text().and_then(|user_id| session_id(&user_id)),
        usage_requested: false,
    })
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
