//! A Chat Completions chunk or answer, as far as it is recorded.

use super::tools::Calls;
use crate::json::{List, Object, Raw, members};

members! {
    /// A chunk of a stream, or a whole answer.
    pub(super) struct Chunk<'de> {
        id: Raw<'de> = b"id",
        choices: List<Object<Choice<'de>>> = b"choices",
        usage: Raw<'de> = b"usage",
        error: Raw<'de> = b"error",
    }
}

members! {
    pub(super) struct Choice<'de> {
        index: Raw<'de> = b"index",
        delta: Object<Message<'de>> = b"delta",
        message: Object<Message<'de>> = b"message",
        finish_reason: Raw<'de> = b"finish_reason",
        usage: Raw<'de> = b"usage",
    }
}

members! {
    pub(super) struct Message<'de> {
        tool_calls: Calls<'de> = b"tool_calls",
        reasoning_content: Raw<'de> = b"reasoning_content",
    }
}

/// Members that are never recorded and different in each chunk.
pub(super) const TEXTS: &[&str] = &["content", "obfuscation"];

impl Chunk<'_> {
    /// Whether there is nothing in it to record, whatever its [`TEXTS`], but for its id, which is news only once.
    pub(super) fn is_plain_text(&self) -> bool {
        let choices = &self.choices.0;
        !self.usage.is_some()
            && !self.error.is_some()
            && !choices.is_empty()
            && choices.iter().flat_map(|choice| &choice.0).all(Choice::is_plain_text)
    }
}

impl Choice<'_> {
    fn is_plain_text(&self) -> bool {
        !self.usage.is_some()
            && !self.finish_reason.is_some()
            && self.message.0.is_none()
            && self.delta.0.as_ref().is_none_or(Message::is_plain_text)
    }
}

impl Message<'_> {
    fn is_plain_text(&self) -> bool {
        self.tool_calls.0.is_empty() && self.reasoning_content.text().is_none_or(|thought| thought.is_empty())
    }
}
