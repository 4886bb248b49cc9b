//! What a provider's answer says, read beside the relay.

use crate::capture::Capture;
use crate::format::ResponseFormat;
use crate::json::tail::Tail;
use crate::providers;
use crate::sse::Splitter;
use lychgate_types::interception::{ModelThought, TokenUsage, ToolUsage};
use lychgate_types::provider::Api;

/// What a [`ResponseReader`] is to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Whether tool arguments and thoughts are kept. Counts and tool names always are.
    pub capture_content: bool,
}

/// What is recorded of one upstream response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseFacts {
    /// The provider's id of the response; empty where it gave none.
    pub provider_response_id: String,
    /// The tokens, where the provider told them; `estimated` when it is not known that the counts are final.
    pub usage: Option<TokenUsage>,
    /// Why the model stopped, in the provider's word.
    pub stop_reason: Option<String>,
    /// Every tool call.
    pub tool_usages: Vec<ToolUsage>,
    /// Every thought; none with content capture off.
    pub model_thoughts: Vec<ModelThought>,
    /// The provider's error, from the body or from the stream.
    pub error: Option<ErrorFacts>,
    /// The stream's last event was seen, or the whole JSON was parsed.
    pub complete: bool,
}

/// A provider's error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// The provider's error type or code; `http_…` with the status where the body tells none.
    pub error_type: String,
    /// The provider's message, at most [`crate::limits::MESSAGE_BYTES`].
    pub message: String,
}

/// Reads one upstream response. Takes the body's bytes as they come, gives the facts at the end.
#[derive(Debug)]
pub struct ResponseReader {
    format: Box<dyn ResponseFormat>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Stream(Splitter),
    Body(Tail),
}

impl ResponseReader {
    /// A reader for one response. `streaming` is whether it came as `text/event-stream`, whatever was asked for.
    pub fn new(api: Api, streaming: bool, options: ReaderOptions) -> Self {
        let capture = Capture::new(options.capture_content);
        let format = providers::api(api);
        let source = if streaming {
            Source::Stream(Splitter::default())
        } else {
            Source::Body(Tail::new(format.body_limit()))
        };
        Self {
            format: format.response(capture),
            source,
        }
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.source {
            Source::Stream(splitter) => splitter.push(bytes, |event| self.format.event(event)),
            Source::Body(body) => body.push(bytes),
        }
    }

    /// Whether the stream's last event was seen. Always false for blocking answers, which are judged by [`Self::finish`].
    pub fn is_complete(&self) -> bool {
        self.format.is_complete()
    }

    /// Whether the bytes so far end inside an event of a stream, so that an event of our own needs a blank line before it.
    pub fn is_inside_event(&self) -> bool {
        matches!(&self.source, Source::Stream(splitter) if splitter.is_inside_event())
    }

    /// The facts, when the body has ended or was given up. `status` is the provider's HTTP status.
    pub fn finish(mut self, status: u16) -> ResponseFacts {
        let mut parsed = false;
        match self.source {
            Source::Stream(mut splitter) => splitter.finish(|event| self.format.event(event)),
            Source::Body(body) => match body.whole() {
                Ok(body) => parsed = self.format.body(&body),
                Err(tail) => {
                    if let Some(counters) = crate::json::tail::usage_at_end(&tail) {
                        parsed = true;
                        self.format.usage(counters);
                    }
                }
            },
        }
        let complete = parsed || self.format.is_complete();
        let mut facts = self.format.facts();
        facts.complete = complete;
        if status >= 400 && facts.error.is_none() {
            facts.error = Some(ErrorFacts {
                error_type: format!("http_{status}"),
                message: format!("the provider answered {status} without an error that could be read"),
            });
        }
        let id = &facts.provider_response_id;
        for usage in facts.usage.iter_mut() {
            usage.provider_response_id.clone_from(id);
        }
        for tool in &mut facts.tool_usages {
            tool.provider_response_id.clone_from(id);
        }
        facts
    }
}
