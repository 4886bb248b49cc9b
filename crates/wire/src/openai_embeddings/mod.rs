//! OpenAI Embeddings: a model in, a vector and a token count out. There are no streams, tools or prompts to record.

use crate::json::counters::{Counters, OpenAiNames};
use crate::json::{self, Raw, members};
use crate::openai_chat::ErrorBody;
use crate::response::Format;
use crate::sse::Event;
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};

const NAMES: OpenAiNames = OpenAiNames {
    input: "prompt_tokens",
    cached: "prompt_tokens_details.cached_tokens",
    output: "completion_tokens",
    reasoning: "completion_tokens_details.reasoning_tokens",
};

members! {
    struct Request<'de> { model: Raw<'de> = b"model", }
}

members! {
    struct Answer<'de> { id: Raw<'de> = b"id", usage: Raw<'de> = b"usage", }
}

/// Reads a request's body.
pub(crate) fn read_request(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    Ok(RequestFacts {
        model: request.model.name(),
        ..RequestFacts::default()
    })
}

/// Reads an answer.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    id: String,
    usage: Option<Counters>,
    error: Option<ErrorFacts>,
}

impl Format for Reader {
    fn event(&mut self, event: &Event<'_>) {
        // The API has no streams; what a server sends as one is read all the same, for its usage.
        self.body(&event.data);
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(answer) = json::object::<Answer<'_>>(body) else {
            return false;
        };
        self.id = answer.id.name();
        if let Some(usage) = Counters::read(answer.usage) {
            self.usage = Some(usage);
        }
        self.error = ErrorBody::read(body).or(self.error.take());
        true
    }

    fn usage(&mut self, counters: Counters) {
        self.usage = Some(counters);
    }

    fn is_complete(&self) -> bool {
        false
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        ResponseFacts {
            provider_response_id: self.id,
            usage: self.usage.map(|counters| NAMES.usage(counters, false)),
            error: self.error,
            ..ResponseFacts::default()
        }
    }
}
