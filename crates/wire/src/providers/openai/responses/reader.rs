//! What a Responses answer says.

use super::items::Items;
use crate::capture::Capture;
use crate::format::ResponseFormat;
use crate::json::counters::{Counters, OpenAiNames};
use crate::json::{self, Raw, members};
use crate::providers::openai::error::ErrorBody;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, ResponseFacts};

const NAMES: OpenAiNames = OpenAiNames {
    input: "input_tokens",
    cached: "input_tokens_details.cached_tokens",
    output: "output_tokens",
    reasoning: "output_tokens_details.reasoning_tokens",
};

members! {
    /// Any event of a stream.
    struct EventMembers<'de> {
        kind: Raw<'de> = b"type",
        response: Raw<'de> = b"response",
        output_index: Raw<'de> = b"output_index",
        item: Raw<'de> = b"item",
    }
}

members! {
    /// A response, whole or so far.
    struct Response<'de> {
        id: Raw<'de> = b"id",
        status: Raw<'de> = b"status",
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
    usage: Option<Counters>,
    stop_reason: Option<String>,
    items: Items,
    error: Option<ErrorFacts>,
    ended: bool,
}

impl Reader {
    pub(crate) fn new(capture: Capture) -> Self {
        Self {
            id: String::new(),
            usage: None,
            stop_reason: None,
            items: Items::new(capture),
            error: None,
            ended: false,
        }
    }

    /// A response that has ended, whatever its status.
    fn response(&mut self, response: &Response<'_>) {
        let id = response.id.name();
        if !id.is_empty() {
            self.id = id;
        }
        self.usage = Counters::read(response.usage).or(self.usage.take());
        let details: IncompleteDetails<'_> = response.incomplete_details.object().unwrap_or_default();
        let reason = if details.reason.is_some() {
            details.reason
        } else {
            response.status
        };
        // A response that still runs in the background has not stopped.
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
    fn event(&mut self, event: &Event<'_>) -> Ignored {
        // Most of a stream is pieces of items that come whole later.
        if event.name.ends_with(b".delta") {
            return Ignored::After(0);
        }
        let Some(found) = json::object::<EventMembers<'_>>(&event.data) else {
            return Ignored::Nothing;
        };
        match found.kind.text().as_deref() {
            Some("response.output_item.done") => self.items.add(found.output_index.integer(), found.item),
            Some("response.completed" | "response.incomplete" | "response.failed" | "response.cancelled") => {
                self.response(&found.response.object().unwrap_or_default());
                self.ended = true;
            }
            Some("error") => self.error = ErrorBody::read(&event.data),
            _ if self.id.is_empty() && found.response.is_some() => {
                self.id = found.response.object::<Response<'_>>().unwrap_or_default().id.name();
            }
            // A plain `{"error": …}` without a type, from servers that only nearly speak this API.
            None => self.error = ErrorBody::read(&event.data).or(self.error.take()),
            _ => {}
        }
        Ignored::Nothing
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(response) = json::object::<Response<'_>>(body) else {
            return false;
        };
        self.response(&response);
        if self.id.is_empty() {
            self.error = ErrorBody::read(body).or(self.error.take());
        }
        true
    }

    fn usage(&mut self, counters: Counters) {
        self.usage = Some(counters);
    }

    fn is_complete(&self) -> bool {
        self.ended
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        ResponseFacts {
            provider_response_id: self.id,
            // Usage comes with the end only: what there is is final.
            usage: self.usage.map(|counters| NAMES.usage(counters, false)),
            stop_reason: self.stop_reason,
            tool_usages: self.items.tools,
            model_thoughts: self.items.thoughts,
            error: self.error,
            complete: self.ended,
        }
    }
}
