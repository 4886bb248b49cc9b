//! Gemini's embeddings, one or many: vectors and, of newer models, a token count. There are no streams, tools or prompts to record.

use super::{error, error_event, usage};
use crate::capture::Capture;
use crate::format::{ApiFormat, ResponseFormat};
use crate::json::counters::Counters;
use crate::json::{self, Raw, members};
use crate::limits::USAGE_ONLY_BODY_BYTES;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};

members! {
    struct Request<'de> { model: Raw<'de> = b"model", }
}

members! {
    struct Answer<'de> { usage: Raw<'de> = b"usageMetadata", error: Raw<'de> = b"error", }
}

/// `embedContent` and `batchEmbedContents`.
pub(crate) struct Embeddings;

impl ApiFormat for Embeddings {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        let request: Request<'_> = json::body(body)?;
        Ok(RequestFacts {
            model: request.model.name(),
            ..RequestFacts::default()
        })
    }

    fn response(&self, _: Capture) -> Box<dyn ResponseFormat> {
        Box::new(Reader::default())
    }

    fn body_limit(&self) -> usize {
        USAGE_ONLY_BODY_BYTES
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        error_event(status, message).into_bytes()
    }
}

/// Reads an answer.
#[derive(Debug, Default)]
struct Reader {
    usage: Option<Counters>,
    error: Option<ErrorFacts>,
}

impl ResponseFormat for Reader {
    fn event(&mut self, event: &Event<'_>) -> Option<Ignored> {
        // The API has no streams; what a server sends as one is read all the same, for its usage.
        self.body(&event.data).then_some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(answer) = json::object::<Answer<'_>>(body) else {
            return false;
        };
        self.usage = usage::read(answer.usage).or(self.usage.take());
        self.error = error::member(answer.error).or(self.error.take());
        true
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        let usage = self.usage.map(|counters| usage::row(counters, false));
        ResponseFacts {
            usages: usage.into_iter().collect(),
            error: self.error,
            ..ResponseFacts::default()
        }
    }
}
