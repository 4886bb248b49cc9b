//! The blocks of an answer of Converse: tools that the model calls, and its reasoning.

use crate::ResponseFacts;
use crate::capture::{Capture, Captured};
use crate::json::{Raw, members};
use crate::limits::ITEMS;
use lychgate_types::interception::{ModelThought, ThoughtSource, ToolUsage};

members! {
    /// A whole block, what one begins with, or a piece of one.
    pub(super) struct Block<'de> {
        text: Raw<'de> = b"text",
        tool_use: Raw<'de> = b"toolUse",
        reasoning: Raw<'de> = b"reasoningContent",
    }
}

members! {
    struct ToolUse<'de> { id: Raw<'de> = b"toolUseId", name: Raw<'de> = b"name", input: Raw<'de> = b"input", }
}

members! {
    /// The text stands alone in a stream, and one level deeper in a whole block.
    struct Reasoning<'de> { text: Raw<'de> = b"text", whole: Raw<'de> = b"reasoningText", }
}

/// The blocks worth keeping, with the index that the stream calls them by.
#[derive(Debug)]
pub(super) struct Blocks {
    capture: Capture,
    kept: Vec<(Option<i64>, Kept)>,
    text_bytes: u64,
}

#[derive(Debug)]
enum Kept {
    Tool { id: String, name: String, input: Captured },
    Thought(Captured),
}

impl Blocks {
    pub(super) fn new(capture: Capture) -> Self {
        Self {
            capture,
            kept: Vec::new(),
            text_bytes: 0,
        }
    }

    /// A block as a whole, or as far as the stream begins it with.
    pub(super) fn begin(&mut self, index: Option<i64>, block: &Block<'_>) {
        if let Some(tool) = block.tool_use.object::<ToolUse<'_>>() {
            // A stream brings the input in pieces.
            let input = self.capture.take(&tool.input.text_or_json());
            let (id, name) = (tool.id.name(), tool.name.name());
            self.keep(index, Kept::Tool { id, name, input });
        }
        self.reasoning(index, block.reasoning);
    }

    /// A piece of the block that was begun under this index; only of tools is the beginning told.
    pub(super) fn piece(&mut self, index: Option<i64>, piece: &Block<'_>) {
        self.text_bytes += piece.text.length();
        if let Some(tool) = piece.tool_use.object::<ToolUse<'_>>() {
            self.text_bytes += tool.input.length();
            let of = self.kept.iter_mut().rfind(|(kept, _)| *kept == index);
            if let Some((_, Kept::Tool { input, .. })) = of {
                self.capture.append(input, &tool.input.text().unwrap_or_default());
            }
        }
        self.reasoning(index, piece.reasoning);
    }

    fn reasoning(&mut self, index: Option<i64>, reasoning: Raw<'_>) {
        let Some(reasoning) = reasoning.object::<Reasoning<'_>>() else {
            return;
        };
        let inside = reasoning.whole.object::<Reasoning<'_>>().unwrap_or_default();
        let text = if reasoning.text.is_some() {
            reasoning.text
        } else {
            inside.text
        };
        self.text_bytes += text.length();
        let (Some(text), true) = (text.text(), self.capture.is_on()) else {
            return;
        };
        let before = self
            .kept
            .iter_mut()
            .rfind(|(kept, _)| index.is_some() && *kept == index);
        match before {
            Some((_, Kept::Thought(thought))) => self.capture.append(thought, &text),
            _ => {
                let thought = self.capture.take(&text);
                self.keep(index, Kept::Thought(thought));
            }
        }
    }

    fn keep(&mut self, index: Option<i64>, kept: Kept) {
        if self.kept.len() < ITEMS {
            self.kept.push((index, kept));
        }
    }

    /// Bytes of what came in pieces.
    pub(super) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Puts what was kept where it is recorded.
    pub(super) fn into_facts(self, facts: &mut ResponseFacts) {
        for (_, kept) in self.kept {
            match kept {
                Kept::Tool { id, name, input } => facts.tool_usages.push(ToolUsage {
                    provider_response_id: String::new(),
                    tool_call_id: id,
                    tool: name,
                    input: input.into_string().into(),
                }),
                Kept::Thought(text) if !text.is_empty() => facts.model_thoughts.push(ModelThought {
                    content: text.into_string().into(),
                    source: ThoughtSource::Thinking,
                }),
                Kept::Thought(_) => {}
            }
        }
    }
}
