//! What a Responses answer says.

use super::items::Items;
use crate::capture::Capture;
use crate::estimate;
use crate::format::ResponseFormat;
use crate::json::counters::{Counters, openai_usage};
use crate::json::{self, Raw, members};
use crate::limits::PASSES;
use crate::providers::openai::error::ErrorBody;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, ResponseFacts};
use lychgate_types::interception::TokenUsage;

members! {
    /// Any event of a stream.
    struct EventMembers<'de> {
        kind: Raw<'de> = b"type",
        response: Raw<'de> = b"response",
        output_index: Raw<'de> = b"output_index",
        item: Raw<'de> = b"item",
        delta: Raw<'de> = b"delta",
    }
}

members! {
    /// A response, whole or so far.
    struct Response<'de> {
        id: Raw<'de> = b"id",
        model: Raw<'de> = b"model",
        service_tier: Raw<'de> = b"service_tier",
        status: Raw<'de> = b"status",
        background: Raw<'de> = b"background",
        output: Raw<'de> = b"output",
        usage: Raw<'de> = b"usage",
        error: Raw<'de> = b"error",
        incomplete_details: Raw<'de> = b"incomplete_details",
    }
}

members! {
    struct IncompleteDetails<'de> { reason: Raw<'de> = b"reason", }
}

/// Reads an answer.
#[derive(Debug)]
pub(super) struct Reader {
    id: String,
    model: String,
    service_tier: String,
    /// Of responses before the last one, where the stream has several.
    earlier: Vec<TokenUsage>,
    usage: Option<Counters>,
    stop_reason: Option<String>,
    items: Items,
    error: Option<ErrorFacts>,
    ended: bool,
    /// It is, or is to be, made in the background.
    background: bool,
    text_bytes: u64,
}

impl Reader {
    pub(crate) fn new(capture: Capture) -> Self {
        Self {
            id: String::new(),
            model: String::new(),
            service_tier: String::new(),
            earlier: Vec::new(),
            usage: None,
            stop_reason: None,
            items: Items::new(capture),
            error: None,
            ended: false,
            background: false,
            text_bytes: 0,
        }
    }

    /// Books the response so far; what comes after it is another one.
    fn next_response(&mut self) {
        let Some(mut counters) = self.usage.take() else { return };
        counters.set_attribute("service_tier", self.service_tier.clone());
        // Usage comes with the end only: what there is is final.
        let mut row = openai_usage(counters, false);
        row.provider_response_id.clone_from(&self.id);
        if self.earlier.len() < PASSES {
            self.earlier.push(row);
        }
    }

    /// A response that has ended, whatever its status.
    fn response(&mut self, response: &Response<'_>) {
        let id = response.id.name();
        if !id.is_empty() && id != self.id {
            self.next_response();
            self.id = id;
        }
        if response.model.is_some() {
            self.model = response.model.name();
        }
        if response.service_tier.is_some() {
            self.service_tier = response.service_tier.name();
        }
        if let Some(usage) = Counters::read(response.usage) {
            match &mut self.usage {
                Some(known) => known.merge(usage),
                None => self.usage = Some(usage),
            }
        }
        let details: IncompleteDetails<'_> = response.incomplete_details.object().unwrap_or_default();
        let reason = if details.reason.is_some() {
            details.reason
        } else {
            response.status
        };
        // A response that still runs in the background has not stopped.
        let runs = response.status.is("queued") || response.status.is("in_progress");
        self.background = runs && !response.usage.is_some();
        self.stop_reason = Some(reason.name()).filter(|word| !matches!(word.as_str(), "" | "queued" | "in_progress"));
        let mut place = 0;
        response.output.for_each(|item| {
            self.items.add(Some(place), item);
            place += 1;
        });
        self.error = ErrorBody::member(response.error).or(self.error.take());
    }
}

impl ResponseFormat for Reader {
    fn event(&mut self, event: &Event<'_>) -> Option<Ignored> {
        // Most of a stream is pieces of items that come whole later.
        if event.name.ends_with(b".delta") {
            return Some(Ignored::After(0, "delta"));
        }
        let found = json::object::<EventMembers<'_>>(&event.data)?;
        match found.kind.text().as_deref() {
            Some("response.output_item.done") => self.items.add(found.output_index.integer(), found.item),
            Some("response.completed" | "response.incomplete" | "response.failed" | "response.cancelled") => {
                self.response(&found.response.object().unwrap_or_default());
                self.ended = true;
            }
            // Where the events have no names of their own.
            Some(kind) if kind.ends_with(".delta") => self.text_bytes += found.delta.length(),
            Some("error") if !self.ended => self.error = ErrorBody::read(&event.data),
            _ if self.id.is_empty() && found.response.is_some() => {
                let begun: Response<'_> = found.response.object().unwrap_or_default();
                self.id = begun.id.name();
                self.background = begun.background.is_true();
            }
            // A plain `{"error": …}` without a type, from servers that only nearly speak this API.
            None => self.error = ErrorBody::read(&event.data).or(self.error.take()),
            _ => {}
        }
        Some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(response) = json::object::<Response<'_>>(body) else {
            return false;
        };
        self.response(&response);
        self.text_bytes = estimate::text_bytes(response.output.json().as_bytes());
        if self.id.is_empty() {
            self.error = ErrorBody::read(body).or(self.error.take());
        }
        true
    }

    fn is_complete(&self) -> bool {
        self.ended
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn has_finished(&self) -> bool {
        self.ended
    }

    fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        let mut this = *self;
        this.next_response();
        let in_background = this.background && !this.ended && this.error.is_none();
        ResponseFacts {
            provider_response_id: this.id,
            served_model: this.model,
            usages: this.earlier,
            stop_reason: this.stop_reason,
            item_ids: this.items.ids.into_iter().collect(),
            tool_usages: this.items.tools,
            model_thoughts: this.items.thoughts,
            error: this.error,
            complete: this.ended,
            in_background,
            ..ResponseFacts::default()
        }
    }
}
