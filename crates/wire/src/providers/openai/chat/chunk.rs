//! A Chat Completions chunk or answer, as far as it is recorded.

use super::tools::{CallMembers, Calls, Function};
use crate::json::{List, Object, Raw, members};
use std::borrow::Cow;

members! {
    /// A chunk of a stream, or a whole answer.
    pub(super) struct Chunk<'de> {
        id: Raw<'de> = b"id",
        model: Raw<'de> = b"model",
        service_tier: Raw<'de> = b"service_tier",
        choices: List<Object<Choice<'de>>> = b"choices",
        usage: Raw<'de> = b"usage",
        error: Raw<'de> = b"error",
        x_groq: Object<Groq<'de>> = b"x_groq",
    }
}

members! {
    /// Where Groq puts the usage of a stream.
    pub(super) struct Groq<'de> { usage: Raw<'de> = b"usage", }
}

members! {
    pub(super) struct Choice<'de> {
        index: Raw<'de> = b"index",
        delta: Object<Message<'de>> = b"delta",
        message: Object<Message<'de>> = b"message",
        text: Raw<'de> = b"text",
        finish_reason: Raw<'de> = b"finish_reason",
        usage: Raw<'de> = b"usage",
        error: Raw<'de> = b"error",
    }
}

members! {
    pub(super) struct Message<'de> {
        tool_calls: Calls<'de> = b"tool_calls",
        function_call: Object<Function<'de>> = b"function_call",
        reasoning_content: Raw<'de> = b"reasoning_content",
        reasoning: Raw<'de> = b"reasoning",
        reasoning_details: Raw<'de> = b"reasoning_details",
        content: Raw<'de> = b"content",
        audio: Object<Audio<'de>> = b"audio",
    }
}

members! {
    /// An answer in sound, which is stored for an hour so that later requests can name it.
    pub(super) struct Audio<'de> { id: Raw<'de> = b"id", }
}

members! {
    /// A part of `reasoning_details`, or of a message's content.
    struct Part<'de> {
        kind: Raw<'de> = b"type",
        text: Raw<'de> = b"text",
        thinking: Raw<'de> = b"thinking",
    }
}

/// Members that are never recorded and different in each chunk.
pub(super) const TEXTS: &[&str] = &["content", "text", "obfuscation"];

impl Chunk<'_> {
    /// Bytes of what the model wrote: text, reasoning and calls.
    pub(super) fn text_bytes(&self) -> u64 {
        let choices = self.choices.0.iter().flat_map(|choice| &choice.0);
        choices.map(Choice::text_bytes).sum()
    }

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
    /// The text itself is that of Completions.
    fn text_bytes(&self) -> u64 {
        let messages = [&self.delta.0, &self.message.0].into_iter().flatten();
        self.text.length() + messages.map(Message::text_bytes).sum::<u64>()
    }

    /// Text of Completions is no such: of what is ignored, only `content` is counted.
    fn is_plain_text(&self) -> bool {
        !self.usage.is_some()
            && !self.text.is_some()
            && !self.finish_reason.is_some()
            && !self.error.is_some()
            && self.message.0.is_none()
            && self.delta.0.as_ref().is_none_or(Message::is_plain_text)
    }
}

impl<'de> Message<'de> {
    fn is_plain_text(&self) -> bool {
        self.tool_calls.0.is_empty()
            && self.function_call.0.is_none()
            && !self.content.json().starts_with('[')
            && self.audio_id().is_none()
            && self.thought().is_empty()
    }

    fn text_bytes(&self) -> u64 {
        let calls = self.tool_calls.0.iter().flat_map(|call| &call.0);
        let called: u64 = calls.map(CallMembers::text_bytes).sum();
        called + self.content.length() + self.thought().len() as u64
    }

    /// The model's reasoning, which servers put into one of four members, or into several of them alike.
    pub(super) fn thought(&self) -> Cow<'de, str> {
        let plain = [self.reasoning_content, self.reasoning].into_iter().find_map(Raw::text);
        if let Some(thought) = plain.filter(|thought| !thought.is_empty()) {
            return thought;
        }
        let mut thought = String::new();
        self.reasoning_details.for_each(|part| {
            let part: Part<'_> = part.object().unwrap_or_default();
            if part.kind.is("reasoning.text") {
                thought.push_str(&part.text.text().unwrap_or_default());
            }
        });
        // Mistral: `{"type": "thinking", "thinking": [{"type": "text", "text": …}]}`
        self.content.for_each(|part| {
            let part: Part<'_> = part.object().unwrap_or_default();
            if part.kind.is("thinking") {
                part.thinking.for_each(|piece| {
                    let piece: Part<'_> = piece.object().unwrap_or_default();
                    thought.push_str(&piece.text.text().unwrap_or_default());
                });
            }
        });
        Cow::Owned(thought)
    }

    /// The id of its sound.
    pub(super) fn audio_id(&self) -> Option<Cow<'de, str>> {
        self.audio.0.as_ref()?.id.text().filter(|id| !id.is_empty())
    }

    /// Its tool calls; a legacy `function_call` is one without index and id.
    pub(super) fn calls(self) -> Calls<'de> {
        let mut calls = self.tool_calls;
        if calls.0.is_empty()
            && let Some(function) = self.function_call.0
        {
            calls.0.push(Object(Some(CallMembers::legacy(function))));
        }
        calls
    }
}
