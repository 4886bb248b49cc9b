//! `Converse` and `ConverseStream`: one form for all models.

use super::blocks::{Block, Blocks};
use super::usage::Counts;
use super::{error, request};
use crate::capture::{Capture, name};
use crate::estimate;
use crate::format::{ApiFormat, ResponseFormat};
use crate::frames::Frame;
use crate::json::{self, Object, Raw, members};
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};

members! {
    /// Any event of a stream, or a whole answer.
    struct Members<'de> {
        output: Object<Output<'de>> = b"output",
        start: Object<Block<'de>> = b"start",
        delta: Object<Block<'de>> = b"delta",
        index: Raw<'de> = b"contentBlockIndex",
        stop_reason: Raw<'de> = b"stopReason",
        usage: Raw<'de> = b"usage",
        trace: Object<Trace<'de>> = b"trace",
        service_tier: Object<Tier<'de>> = b"serviceTier",
        performance: Object<Performance<'de>> = b"performanceConfig",
    }
}

members! {
    struct Output<'de> { message: Object<Message<'de>> = b"message", }
}

members! {
    struct Message<'de> { content: Raw<'de> = b"content", }
}

members! {
    struct Trace<'de> { router: Object<Router<'de>> = b"promptRouter", }
}

members! {
    struct Router<'de> { model: Raw<'de> = b"invokedModelId", }
}

members! {
    struct Tier<'de> { kind: Raw<'de> = b"type", }
}

members! {
    struct Performance<'de> { latency: Raw<'de> = b"latency", }
}

/// Bedrock Converse.
pub(crate) struct Converse;

impl ApiFormat for Converse {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        request::read(body)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        Box::new(Reader::new(capture))
    }

    fn is_framed(&self) -> bool {
        true
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        error::exception(status, message, "modelStreamErrorException")
    }
}

/// Reads an answer.
#[derive(Debug)]
pub(super) struct Reader {
    blocks: Blocks,
    model: String,
    stop_reason: Option<String>,
    counts: Counts,
    service_tier: Option<String>,
    latency: Option<String>,
    error_type: Option<String>,
    error: Option<ErrorFacts>,
    /// The last event was seen, which tells the usage.
    has_ended: bool,
    text_bytes: u64,
}

impl Reader {
    pub(super) fn new(capture: Capture) -> Self {
        Self {
            blocks: Blocks::new(capture),
            model: String::new(),
            stop_reason: None,
            counts: Counts::default(),
            service_tier: None,
            latency: None,
            error_type: None,
            error: None,
            has_ended: false,
            text_bytes: 0,
        }
    }

    /// An event of this name.
    pub(super) fn named(&mut self, event: &str, payload: &[u8]) {
        let Some(members) = json::object::<Members<'_>>(payload) else {
            return;
        };
        let index = members.index.integer();
        match event {
            "contentBlockStart" => self.blocks.begin(index, &members.start.0.unwrap_or_default()),
            "contentBlockDelta" => self.blocks.piece(index, &members.delta.0.unwrap_or_default()),
            "messageStop" => self.stopping(members.stop_reason),
            "metadata" => {
                self.has_ended = true;
                self.about(&members);
            }
            _ => {}
        }
    }

    fn stopping(&mut self, reason: Raw<'_>) {
        if let Some(reason) = reason.text() {
            self.stop_reason = Some(name(reason));
        }
    }

    /// What decides the price.
    fn about(&mut self, members: &Members<'_>) {
        self.counts = Counts::of_usage(members.usage);
        let router = members.trace.0.as_ref().and_then(|trace| trace.router.0.as_ref());
        self.model = router.map(|router| router.model.name()).unwrap_or_default();
        let tier = members.service_tier.0.as_ref().and_then(|tier| tier.kind.text());
        self.service_tier = tier.map(name);
        let performance = members.performance.0.as_ref();
        self.latency = performance.and_then(|performance| performance.latency.text()).map(name);
    }
}

impl ResponseFormat for Reader {
    fn head(&mut self, header: &dyn Fn(&str) -> Option<String>) {
        self.error_type = header(error::TYPE_HEADER).map(|header| error::type_in(&header));
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        match error::frame(frame) {
            Some(error) => self.error = Some(error),
            None => {
                if let Frame::Event { name, payload } = *frame {
                    self.named(name, payload);
                }
            }
        }
    }

    fn event(&mut self, _: &Event<'_>) -> Option<Ignored> {
        Some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(members) = json::object::<Members<'_>>(body) else {
            return false;
        };
        if members.output.0.is_none() {
            self.error = error::body(body, self.error_type.take());
        }
        self.stopping(members.stop_reason);
        self.about(&members);
        let message = members.output.0.and_then(|output| output.message.0).unwrap_or_default();
        self.text_bytes = estimate::text_bytes(message.content.json().as_bytes());
        message.content.for_each(|block| {
            if let Some(block) = block.object() {
                self.blocks.begin(None, &block);
            }
        });
        true
    }

    fn is_complete(&self) -> bool {
        self.has_ended
    }

    fn has_finished(&self) -> bool {
        self.has_ended || self.stop_reason.is_some()
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn text_bytes(&self) -> u64 {
        self.text_bytes + self.blocks.text_bytes()
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        let mut facts = ResponseFacts {
            served_model: self.model,
            stop_reason: self.stop_reason,
            error: self.error,
            complete: self.has_ended,
            ..ResponseFacts::default()
        };
        facts.usages.extend(self.counts.into_row());
        let attributes = [("service_tier", self.service_tier), ("speed", self.latency)];
        for usage in &mut facts.usages {
            for (name, value) in &attributes {
                let value = value.as_ref().map(|value| ((*name).to_owned(), value.clone()));
                usage.attributes.extend(value);
            }
        }
        self.blocks.into_facts(&mut facts);
        facts
    }
}
