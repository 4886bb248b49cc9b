//! What a Responses request says.

use crate::capture::{clipped, name};
use crate::json::{self, Raw, members};
use crate::limits::PROMPT_BYTES;
use crate::{MalformedBody, RequestFacts};
use std::borrow::Cow;

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        stream: Raw<'de> = b"stream",
        input: Raw<'de> = b"input",
    }
}

members! {
    struct Item<'de> {
        kind: Raw<'de> = b"type",
        role: Raw<'de> = b"role",
        content: Raw<'de> = b"content",
        call_id: Raw<'de> = b"call_id",
    }
}

members! {
    struct Part<'de> { kind: Raw<'de> = b"type", text: Raw<'de> = b"text", }
}

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    let last: Item<'_> = request.input.last().object().unwrap_or_default();
    let is_output = last.kind.is("function_call_output") || last.kind.is("custom_tool_call_output");
    Ok(RequestFacts {
        model: request.model.name(),
        streaming: request.stream.is_true(),
        prompt: request
            .input
            .text()
            .or_else(|| prompt(&last))
            .filter(|text| !text.is_empty())
            .map(|text| clipped(text, PROMPT_BYTES)),
        thread_parent_tool_call_id: last.call_id.text().filter(|_| is_output).map(name),
        ..RequestFacts::default()
    })
}

fn prompt<'de>(last: &Item<'de>) -> Option<Cow<'de, str>> {
    // A message may leave its type out.
    if !last.role.is("user") || (last.kind.is_some() && !last.kind.is("message")) {
        return None;
    }
    let mut parts: Option<String> = None;
    last.content.for_each(|part| {
        let part: Part<'_> = part.object().unwrap_or_default();
        let Some(text) = part
            .text
            .text()
            .filter(|_| part.kind.is("input_text") || part.kind.is("text"))
        else {
            return;
        };
        match &mut parts {
            None => parts = Some(text.into_owned()),
            Some(parts) => {
                parts.push('\n');
                parts.push_str(&text);
            }
        }
    });
    last.content.text().or(parts.map(Cow::Owned))
}
