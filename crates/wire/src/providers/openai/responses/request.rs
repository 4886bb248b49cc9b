//! What a Responses request says.

use crate::capture::{clipped, joined, name};
use crate::json::{self, Raw, members};
use crate::limits::{ITEMS, PROMPT_BYTES};
use crate::{MalformedBody, RequestFacts};

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
    let is_output = last.kind.text().is_some_and(|kind| kind.ends_with("_output"));
    Ok(RequestFacts {
        model: request.model.name(),
        streaming: request.stream.is_true(),
        prompt: request
            .input
            .text()
            .filter(|text| !text.is_empty())
            .map(|text| clipped(text, PROMPT_BYTES))
            .or_else(|| prompt(&last)),
        thread_parent_tool_call_id: last.call_id.text().filter(|_| is_output).map(name),
        ..RequestFacts::default()
    })
}

fn prompt(last: &Item<'_>) -> Option<String> {
    // A message may leave its type out.
    if !last.role.is("user") || (last.kind.is_some() && !last.kind.is("message")) {
        return None;
    }
    let mut texts: Vec<_> = last.content.text().into_iter().collect();
    last.content.for_each(|part| {
        let part: Part<'_> = part.object().unwrap_or_default();
        if (part.kind.is("input_text") || part.kind.is("text")) && texts.len() < ITEMS {
            texts.extend(part.text.text());
        }
    });
    joined(texts, PROMPT_BYTES)
}
