//! OpenAI Embeddings: a model in, a vector and a token count out. There are no streams, tools or prompts to record.

use super::error::{ErrorBody, done_event};
use crate::capture::Capture;
use crate::format::{ApiFormat, ResponseFormat};
use crate::json::counters::{Counters, openai_usage};
use crate::json::{self, Raw, members};
use crate::limits::USAGE_ONLY_BODY_BYTES;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};

members! {
    struct Request<'de> { model: Raw<'de> = b"model", }
}

members! {
    struct Answer<'de> { id: Raw<'de> = b"id", model: Raw<'de> = b"model", usage: Raw<'de> = b"usage", }
}

/// OpenAI Embeddings.
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
        done_event(status, message).into_bytes()
    }
}

/// Reads an answer.
#[derive(Debug, Default)]
struct Reader {
    id: String,
    model: String,
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
        self.id = answer.id.name();
        self.model = answer.model.name();
        if let Some(usage) = Counters::read(answer.usage) {
            self.usage = Some(usage);
        }
        self.error = ErrorBody::read(body).or(self.error.take());
        true
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        ResponseFacts {
            provider_response_id: self.id,
            served_model: self.model,
            usages: self
                .usage
                .map(|counters| openai_usage(counters, false))
                .into_iter()
                .collect(),
            error: self.error,
            ..ResponseFacts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{assert_error, read_body};
    use lychgate_types::provider::Api::OpenAiEmbeddings as Embeddings;

    #[test]
    fn model_and_tokens_are_read() {
        let facts =
            crate::read_request(Embeddings, None, br#"{"model":"text-embedding-3-small","input":["a"]}"#).unwrap();
        assert_eq!(
            (facts.model.as_str(), facts.streaming, facts.prompt),
            ("text-embedding-3-small", false, None)
        );
        let facts = read_body(
            Embeddings,
            200,
            r#"{"object":"list","data":[{"embedding":[0.1]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        );
        let usage = facts.only_usage().unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.extra.len()), (8, 0, 0));
        assert!(facts.complete);
    }

    #[test]
    fn large_answers_are_read_to_their_end() {
        let numbers = "0.12345,".repeat(crate::limits::ABRIDGED_BYTES / 8);
        let whole =
            format!(r#"{{"data":[{{"embedding":[{numbers}0]}}],"usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#);
        let facts = read_body(Embeddings, 200, &whole);
        assert_eq!((facts.only_usage().unwrap().input_tokens, facts.complete), (8, true));
        let facts = read_body(Embeddings, 200, &whole[..whole.len() - 1]);
        assert_eq!((facts.only_usage(), facts.complete), (None, false));
    }

    #[test]
    fn errors_are_openais() {
        let error = r#"{"error":{"message":"m","type":"invalid_request_error","code":null}}"#;
        assert_error(&read_body(Embeddings, 400, error), "invalid_request_error", "m");
    }
}
