//! What a Messages answer says.

use super::error;
use super::usage::Usage;
use crate::capture::{Capture, Captured, name};
use crate::estimate;
use crate::format::ResponseFormat;
use crate::json::{self, Object, Raw, members};
use crate::limits::{ITEMS, PASSES};
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, ResponseFacts};
use lychgate_types::interception::{ModelThought, ThoughtSource, TokenUsage, ToolUsage};
use memchr::memmem;

members! {
    /// Any event of a stream.
    struct EventMembers<'de> {
        kind: Raw<'de> = b"type",
        message: Object<Message<'de>> = b"message",
        index: Raw<'de> = b"index",
        content_block: Object<Block<'de>> = b"content_block",
        delta: Object<Delta<'de>> = b"delta",
        usage: Raw<'de> = b"usage",
        error: Raw<'de> = b"error",
    }
}

members! {
    /// A whole answer, an error, or what a stream begins with.
    struct Message<'de> {
        id: Raw<'de> = b"id",
        model: Raw<'de> = b"model",
        content: Raw<'de> = b"content",
        stop_reason: Raw<'de> = b"stop_reason",
        usage: Raw<'de> = b"usage",
        error: Raw<'de> = b"error",
    }
}

members! {
    struct Block<'de> {
        kind: Raw<'de> = b"type",
        id: Raw<'de> = b"id",
        name: Raw<'de> = b"name",
        input: Raw<'de> = b"input",
        thinking: Raw<'de> = b"thinking",
    }
}

members! {
    struct Delta<'de> {
        kind: Raw<'de> = b"type",
        text: Raw<'de> = b"text",
        partial_json: Raw<'de> = b"partial_json",
        thinking: Raw<'de> = b"thinking",
        stop_reason: Raw<'de> = b"stop_reason",
    }
}

/// What says that a delta is text, as Anthropic spells it.
const TEXT_DELTA: &[u8] = br#""type":"text_delta""#;

/// Reads an answer.
#[derive(Debug)]
pub(super) struct Reader {
    capture: Capture,
    id: String,
    model: String,
    /// Of messages before the last one, where the stream has several.
    earlier: Vec<TokenUsage>,
    usage: Option<Usage>,
    stop_reason: Option<String>,
    /// Blocks worth keeping, with the index the stream calls them by.
    blocks: Vec<(Option<i64>, Kept)>,
    error: Option<ErrorFacts>,
    stopped: bool,
    text_bytes: u64,
}

#[derive(Debug)]
enum Kept {
    /// `initial` is the input that the block began with; it counts where no piece follows.
    Tool {
        id: String,
        name: String,
        initial: Captured,
        pieces: Captured,
    },
    Thinking(Captured),
}

impl Reader {
    pub(crate) fn new(capture: Capture) -> Self {
        Self {
            capture,
            id: String::new(),
            model: String::new(),
            earlier: Vec::new(),
            usage: None,
            stop_reason: None,
            blocks: Vec::new(),
            error: None,
            stopped: false,
            text_bytes: 0,
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        let id = message.id.name();
        if id != self.id {
            self.next_message();
        }
        self.id = id;
        self.model = message.model.name();
        match &mut self.usage {
            Some(usage) => usage.begin_again(message.usage),
            None => self.usage = Usage::read(message.usage),
        }
        self.stopping(message.stop_reason);
        message.content.for_each(|block| {
            if let Some(block) = block.object() {
                self.block(None, &block);
            }
        });
    }

    /// Books the message so far; what comes after it is another one.
    fn next_message(&mut self) {
        let Some(usage) = self.usage.take() else { return };
        let estimated = !usage.is_final();
        for mut row in usage.into_rows(estimated) {
            row.provider_response_id.clone_from(&self.id);
            if self.earlier.len() < PASSES {
                self.earlier.push(row);
            }
        }
    }

    fn block(&mut self, index: Option<i64>, block: &Block<'_>) {
        if self.blocks.len() >= ITEMS {
            return;
        }
        // The provider's own tools (`server_tool_use`, `mcp_tool_use`) are calls like the client's.
        if block.kind.text().is_some_and(|kind| kind.ends_with("tool_use")) {
            let initial = self.capture.take(&block.input.text_or_json());
            let (id, name) = (block.id.name(), block.name.name());
            self.blocks.push((
                index,
                Kept::Tool {
                    id,
                    name,
                    initial,
                    pieces: Captured::default(),
                },
            ));
        } else if block.kind.is("thinking") && self.capture.is_on() {
            let thinking = self.capture.take(&block.thinking.text().unwrap_or_default());
            self.blocks.push((index, Kept::Thinking(thinking)));
        }
    }

    fn delta(&mut self, index: Option<i64>, delta: &Delta<'_>) {
        // At most one of them is there.
        let told = [delta.text, delta.partial_json, delta.thinking];
        self.text_bytes += told.into_iter().map(Raw::length).sum::<u64>();
        let Some((_, kept)) = self.blocks.iter_mut().rfind(|(kept, _)| *kept == index) else {
            return;
        };
        match kept {
            Kept::Tool { pieces, .. } if delta.kind.is("input_json_delta") => {
                self.capture
                    .append(pieces, &delta.partial_json.text().unwrap_or_default());
            }
            Kept::Thinking(text) if delta.kind.is("thinking_delta") => {
                self.capture.append(text, &delta.thinking.text().unwrap_or_default());
            }
            _ => {}
        }
    }

    fn stopping(&mut self, reason: Raw<'_>) {
        if let Some(reason) = reason.text() {
            self.stop_reason = Some(name(reason));
        }
    }

    fn later_usage(&mut self, usage: Raw<'_>) {
        self.usage.get_or_insert_default().update(usage);
    }
}

impl ResponseFormat for Reader {
    fn event(&mut self, event: &Event<'_>) -> Option<Ignored> {
        // Most of a stream is text, which is not recorded. Inside a JSON string the quotes would be escaped.
        if event.name == b"content_block_delta"
            && let Some(at) = memmem::find(&event.data, TEXT_DELTA)
        {
            let ignored = Ignored::After(at + TEXT_DELTA.len(), "text");
            // Others spell the text before its type: it is counted below.
            if ignored.text_bytes(&event.data) > 0 {
                return Some(ignored);
            }
        }
        let event = json::object::<EventMembers<'_>>(&event.data)?;
        // What comes after the end changes nothing.
        if self.stopped {
            return Some(Ignored::Nothing);
        }
        let index = event.index.integer();
        match event.kind.text().as_deref() {
            Some("message_start") => self.message(&event.message.0.unwrap_or_default()),
            Some("content_block_start") => self.block(index, &event.content_block.0.unwrap_or_default()),
            Some("content_block_delta") => self.delta(index, &event.delta.0.unwrap_or_default()),
            Some("message_delta") => {
                self.stopping(event.delta.0.unwrap_or_default().stop_reason);
                self.later_usage(event.usage);
            }
            Some("message_stop") => self.stopped = true,
            Some("error") => self.error = error::member(event.error),
            // A plain error, labelled as a stream.
            None => self.error = error::member(event.error).or(self.error.take()),
            _ => {}
        }
        Some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(message) = json::object::<Message<'_>>(body) else {
            return false;
        };
        self.message(&message);
        self.text_bytes = estimate::text_bytes(message.content.json().as_bytes());
        self.error = error::member(message.error);
        if let Some(usage) = &mut self.usage {
            usage.finish();
        }
        true
    }

    fn is_complete(&self) -> bool {
        self.stopped
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn has_finished(&self) -> bool {
        self.stopped || self.stop_reason.is_some()
    }

    fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        let mut this = *self;
        this.next_message();
        let mut facts = ResponseFacts {
            provider_response_id: this.id,
            served_model: this.model,
            usages: this.earlier,
            stop_reason: this.stop_reason,
            error: this.error,
            complete: this.stopped,
            ..ResponseFacts::default()
        };
        for (_, kept) in this.blocks {
            match kept {
                Kept::Tool {
                    id,
                    name,
                    initial,
                    pieces,
                } => facts.tool_usages.push(ToolUsage {
                    provider_response_id: String::new(),
                    tool_call_id: id,
                    tool: name,
                    input: if pieces.is_empty() { initial } else { pieces }.into_string().into(),
                }),
                Kept::Thinking(text) if !text.is_empty() => facts.model_thoughts.push(ModelThought {
                    content: text.into_string().into(),
                    source: ThoughtSource::Thinking,
                }),
                Kept::Thinking(_) => {}
            }
        }
        facts
    }
}
