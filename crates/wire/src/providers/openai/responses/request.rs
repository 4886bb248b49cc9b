//! What a Responses request says.

use crate::capture::{clipped, joined, name};
use crate::json::{self, Latest, Raw, members, unique};
use crate::limits::{ITEMS, PROMPT_BYTES, REFERENCES};
use crate::{MalformedBody, RequestFacts};

use std::collections::BTreeSet;

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        stream: Raw<'de> = b"stream",
        input: Raw<'de> = b"input",
        previous_response_id: Raw<'de> = b"previous_response_id",
        conversation: Raw<'de> = b"conversation",
        store: Raw<'de> = b"store",
    }
}

members! {
    struct Named<'de> { id: Raw<'de> = b"id", }
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
    struct Reference<'de> {
        kind: Raw<'de> = b"type",
        role: Raw<'de> = b"role",
        id: Raw<'de> = b"id",
        result: Raw<'de> = b"result",
        encrypted: Raw<'de> = b"encrypted_content",
    }
}

members! {
    struct Part<'de> { kind: Raw<'de> = b"type", text: Raw<'de> = b"text", }
}

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    let items: Latest<'_> = request.input.latest();
    // Clients put messages of the system and the developer behind the user's.
    let last: Item<'_> = (items.newest_first())
        .map(unique::object::<Item<'_>>)
        .find(|item| item.as_ref().map_or(true, |item| item.is_users() || item.is_output()))
        .transpose()?
        .unwrap_or_default();
    let text = request.input.text().filter(|text| !text.is_empty());
    let conversation = match request.conversation.text() {
        Some(id) => Some(id),
        None => unique::object::<Named<'_>>(request.conversation)?.id.text(),
    };
    let previous = request.previous_response_id.text().filter(|id| !id.is_empty());
    let mut objects: Vec<String> = [previous.clone(), conversation]
        .into_iter()
        .flatten()
        .map(Into::into)
        .filter(|id: &String| !id.is_empty())
        .collect();
    objects.extend(references(request.input)?);
    // Whatever came behind it: it is of the same thread.
    let output = (items.newest_first())
        .map(unique::object::<Item<'_>>)
        .find(|item| item.as_ref().map_or(true, Item::is_output))
        .transpose()?
        .unwrap_or_default();
    Ok(RequestFacts {
        objects,
        previous_response_id: previous.map(Into::into),
        unstored: request.store.json() == "false",
        model: request.model.name(),
        streaming: request.stream.is_true(),
        prompt: match text {
            Some(text) => Some(clipped(text, PROMPT_BYTES)),
            None => prompt(&last)?,
        },
        thread_parent_tool_call_id: output.call_id.text().map(name),
        ..RequestFacts::default()
    })
}

/// The ids of stored items that a list of items refers to. A reference may leave its type out, a picture itself, and reasoning what
/// it says: without that, the provider takes what it has stored under the id.
pub(crate) fn references(items: Raw<'_>) -> Result<BTreeSet<String>, MalformedBody> {
    let mut found = BTreeSet::new();
    unique::each(items, |item: Reference<'_>| {
        if let Some(id) = item.id.text().filter(|id| item.is_reference() && !id.is_empty()) {
            found.insert(id.into_owned());
        }
    })?;
    if found.len() > REFERENCES {
        return Err(MalformedBody::TooManyReferences);
    }
    Ok(found)
}

impl Reference<'_> {
    fn is_reference(&self) -> bool {
        let lacks = |content: Raw<'_>| content.text().is_none_or(|text| text.is_empty());
        match self.kind.text().as_deref() {
            Some("image_generation_call") => lacks(self.result),
            Some("reasoning") => lacks(self.encrypted) && self.id.text().is_some_and(|id| id.starts_with("rs_")),
            Some(kind) => kind == "item_reference",
            None => !(self.kind.is_some() || self.role.is_some()),
        }
    }
}

impl Item<'_> {
    /// A message of the user's, which may leave its type out.
    fn is_users(&self) -> bool {
        self.role.is("user") && (!self.kind.is_some() || self.kind.is("message"))
    }

    /// What a tool answered.
    fn is_output(&self) -> bool {
        self.kind.text().is_some_and(|kind| kind.ends_with("_output"))
    }
}

fn prompt(last: &Item<'_>) -> Result<Option<String>, MalformedBody> {
    if !last.is_users() {
        return Ok(None);
    }
    let mut texts: Vec<_> = last.content.text().into_iter().collect();
    unique::each(last.content, |part: Part<'_>| {
        if (part.kind.is("input_text") || part.kind.is("text")) && texts.len() < ITEMS {
            texts.extend(part.text.text());
        }
    })?;
    Ok(joined(texts, PROMPT_BYTES))
}
