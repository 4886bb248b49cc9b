//! What a request says that is not Anthropic's: messages as Converse and Nova have them, or a prompt by itself.

use crate::capture::joined;
use crate::json::{self, Latest, Raw, members, unique};
use crate::limits::{ITEMS, PROMPT_BYTES};
use crate::{MalformedBody, RequestFacts};

members! {
    struct Request<'de> {
        messages: Latest<'de> = b"messages",
        // Of Llama, Mistral and others.
        prompt: Raw<'de> = b"prompt",
        // Of Titan.
        input_text: Raw<'de> = b"inputText",
    }
}

members! {
    struct Message<'de> { role: Raw<'de> = b"role", content: Raw<'de> = b"content", }
}

members! {
    struct Block<'de> { text: Raw<'de> = b"text", tool_result: Raw<'de> = b"toolResult", }
}

members! {
    struct ToolResult<'de> { tool_use_id: Raw<'de> = b"toolUseId", }
}

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    let last: Message<'_> = (request.messages.newest_first())
        .map(unique::object::<Message<'_>>)
        .find(|message| message.as_ref().map_or(true, |message| message.role.is("user")))
        .transpose()?
        .unwrap_or_default();
    let alone = [last.content, request.prompt, request.input_text];
    let mut texts: Vec<_> = alone.into_iter().filter_map(Raw::text).collect();
    let mut tool_result = None;
    let mut results = Vec::new();
    unique::each(last.content, |block: Block<'_>| {
        if block.tool_result.is_some() {
            results = vec![block.tool_result];
        } else if texts.len() < ITEMS {
            texts.extend(block.text.text());
        }
    })?;
    for result in results {
        let result: ToolResult<'_> = unique::object(result)?;
        tool_result = Some(result.tool_use_id.name());
    }
    Ok(RequestFacts {
        prompt: joined(texts, PROMPT_BYTES),
        thread_parent_tool_call_id: tool_result.filter(|id| !id.is_empty()),
        ..RequestFacts::default()
    })
}
