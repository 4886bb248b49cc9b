//! OpenAI's legacy Completions: a prompt in, its continuation out, in the frame of Chat Completions.

use super::chat::ChatCompletions;
use crate::capture::{Capture, joined};
use crate::format::{ApiFormat, ResponseFormat};
use crate::json::{self, Raw, members, unique};
use crate::limits::{ITEMS, PROMPT_BYTES};
use crate::{MalformedBody, RequestFacts};

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        stream: Raw<'de> = b"stream",
        stream_options: Raw<'de> = b"stream_options",
        n: Raw<'de> = b"n",
        prompt: Raw<'de> = b"prompt",
    }
}

members! {
    struct StreamOptions<'de> { include_usage: Raw<'de> = b"include_usage", }
}

/// OpenAI Completions.
pub(crate) struct Completions;

impl ApiFormat for Completions {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        let request: Request<'_> = json::body(body)?;
        let options: StreamOptions<'_> = unique::object(request.stream_options)?;
        // One text, or several that are continued apart.
        let mut texts: Vec<_> = request.prompt.text().into_iter().collect();
        request.prompt.for_each(|text| {
            if texts.len() < ITEMS {
                texts.extend(text.text());
            }
        });
        Ok(RequestFacts {
            model: request.model.name(),
            streaming: request.stream.is_true(),
            prompt: joined(texts, PROMPT_BYTES),
            lacks_usage: request.stream.is_true() && !options.include_usage.is_true(),
            answers: request.n.answers(),
            ..RequestFacts::default()
        })
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        ChatCompletions.response(capture)
    }

    fn with_usage_requested(&self, body: &[u8]) -> Option<Vec<u8>> {
        ChatCompletions.with_usage_requested(body)
    }

    fn filler(&self, client: &str) -> Option<&'static [u8]> {
        ChatCompletions.filler(client)
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        ChatCompletions.error_event(status, message)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::read_body;
    use crate::{ask_for_usage, read_request};
    use lychgate_types::provider::Api::OpenAiCompletions as Completions;

    #[test]
    fn the_prompt_is_one_text_or_several() {
        for (prompt, wanted) in [
            (r#""Once""#, Some("Once")),
            (r#"["Once","Twice"]"#, Some("Once\nTwice")),
            ("[1,2]", None),
            ("null", None),
        ] {
            let body = format!(r#"{{"model":"m","stream":true,"prompt":{prompt}}}"#);
            let facts = read_request(Completions, None, body.as_bytes()).unwrap();
            assert_eq!((facts.model.as_str(), facts.prompt.as_deref()), ("m", wanted));
            assert!(facts.lacks_usage && ask_for_usage(Completions, body.as_bytes()).is_some());
        }
    }

    #[test]
    fn the_answer_is_read_like_a_chats() {
        let facts = read_body(
            Completions,
            200,
            r#"{"id":"cmpl-1","model":"m","choices":[{"text":"upon a time","finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        );
        let usage = facts.only_usage().unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (3, 4));
        assert_eq!((facts.stop_reason.as_deref(), facts.text_bytes), (Some("length"), 11));
    }
}
