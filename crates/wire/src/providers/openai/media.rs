//! OpenAI's images and audio: pictures and speech made of text, text made of speech. What goes in is JSON or a form with files,
//! what comes out is anything: JSON, events, plain text, sound. Of all of it the usage is read, where it is told.
//!
//! Not here: what a picture or a second costs.

use super::COMMENT;
use super::error::{ErrorBody, done_event};
use crate::capture::{Capture, clipped, name};
use crate::form::{self, Boundary};
use crate::format::{ApiFormat, ResponseFormat};
use crate::json::counters::{Counters, openai_usage};
use crate::json::{self, Raw, members};
use crate::limits::{PROMPT_BYTES, USAGE_ONLY_BODY_BYTES};
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        stream: Raw<'de> = b"stream",
        stream_format: Raw<'de> = b"stream_format",
        prompt: Raw<'de> = b"prompt",
        input: Raw<'de> = b"input",
    }
}

members! {
    /// A whole answer, or any event of a stream.
    struct Answer<'de> { kind: Raw<'de> = b"type", usage: Raw<'de> = b"usage", }
}

/// OpenAI Images and OpenAI Audio.
pub(crate) struct Media;

impl ApiFormat for Media {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        let request: Request<'_> = json::body(body)?;
        let prompt = request.prompt.text().or_else(|| request.input.text());
        Ok(RequestFacts {
            model: request.model.name(),
            streaming: request.stream.is_true() || request.stream_format.is("sse"),
            prompt: prompt.map(|text| clipped(text, PROMPT_BYTES)),
            ..RequestFacts::default()
        })
    }

    fn read_form(&self, body: &[u8], boundary: Boundary<'_>) -> Option<Result<RequestFacts, MalformedBody>> {
        let fields = form::fields(body, boundary, ["model", "prompt", "stream"]);
        Some(fields.map(|[model, prompt, stream]| RequestFacts {
            model: model.map(|model| name(model.into())).unwrap_or_default(),
            streaming: stream == Some("true"),
            prompt: prompt.map(|text| clipped(text.into(), PROMPT_BYTES)),
            ..RequestFacts::default()
        }))
    }

    fn response(&self, _: Capture) -> Box<dyn ResponseFormat> {
        Box::new(Reader::default())
    }

    fn body_limit(&self) -> usize {
        USAGE_ONLY_BODY_BYTES
    }

    fn filler(&self, _client: &str) -> Option<&'static [u8]> {
        Some(COMMENT)
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        done_event(status, message).into_bytes()
    }
}

/// Reads an answer.
#[derive(Debug, Default)]
struct Reader {
    usage: Option<Counters>,
    error: Option<ErrorFacts>,
    has_events: bool,
    ended: bool,
}

impl Reader {
    fn answer(&mut self, json: &[u8]) -> Option<bool> {
        let answer = json::object::<Answer<'_>>(json)?;
        if let Some(usage) = Counters::read(answer.usage) {
            match &mut self.usage {
                Some(known) => known.merge(usage),
                None => self.usage = Some(usage),
            }
        }
        self.error = ErrorBody::read(json).or(self.error.take());
        let kind = answer.kind.text().unwrap_or_default();
        Some(kind.ends_with(".completed") || kind.ends_with(".done"))
    }
}

impl ResponseFormat for Reader {
    fn event(&mut self, event: &Event<'_>) -> Option<Ignored> {
        let is_last = self.answer(&event.data)?;
        self.has_events = true;
        self.ended |= is_last;
        Some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        // Sound, or plain text, is whole when it ends.
        self.answer(body).is_some() || !body.starts_with(b"{")
    }

    fn may_be_anything(&self) -> bool {
        !self.has_events
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

    fn facts(self: Box<Self>) -> ResponseFacts {
        let usage = self.usage.map(|counters| openai_usage(counters, false));
        ResponseFacts {
            usages: usage.into_iter().collect(),
            error: self.error,
            ..ResponseFacts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::read_body;
    use crate::{ReaderOptions, ResponseFacts, ResponseReader, read_request};
    use lychgate_types::provider::Api::{OpenAiAudio as Audio, OpenAiImages as Images};

    fn stream(text: &str) -> ResponseFacts {
        let mut reader = ResponseReader::new(Images, true, ReaderOptions { capture_content: true });
        reader.push(text.as_bytes());
        reader.finish(200)
    }

    #[test]
    fn requests_are_json_or_forms() {
        let json = br#"{"model":"gpt-image-1","prompt":"A cat","stream":true}"#;
        let form = "--x-1\r\ncontent-disposition: form-data; filename=\"model\"; name=\"image\"\r\ncontent-type: image/png\r\n\r\n\r\n--x\r\n\0\r\n--x-1\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ngpt-image-1\r\n--x-1\r\nContent-Disposition: form-data; name=prompt\r\n\r\nA cat\r\n--x-1\r\ncontent-disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--x-1--\r\n";
        let form_type = Some(&b"multipart/form-data; boundary=x-1"[..]);
        for (content_type, body) in [
            (None, &json[..]),
            (Some(&b"application/json"[..]), json),
            (form_type, form.as_bytes()),
        ] {
            let facts = read_request(Images, content_type, body).unwrap();
            assert_eq!(
                (facts.model.as_str(), facts.prompt.as_deref(), facts.streaming),
                ("gpt-image-1", Some("A cat"), true)
            );
        }
        assert!(read_request(Images, None, form.as_bytes()).is_err());
        assert!(read_request(Images, form_type, json).is_err());
        let speech = read_request(
            Audio,
            None,
            br#"{"model":"tts-1","input":"Hello","stream_format":"sse"}"#,
        )
        .unwrap();
        assert_eq!((speech.prompt.as_deref(), speech.streaming), (Some("Hello"), true));
    }

    #[test]
    fn usage_is_read_where_it_is_told() {
        let told = r#""usage":{"input_tokens":50,"output_tokens":4160,"total_tokens":4210,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}"#;
        let facts = read_body(
            Images,
            200,
            &format!(r#"{{"created":1,"data":[{{"b64_json":"AA"}}],{told}}}"#),
        );
        let usage = facts.only_usage().unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, facts.complete),
            (50, 4160, true)
        );
        assert_eq!(usage.extra["input_tokens_details.image_tokens"], 40);
        let event = |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
        let partial = event("image_generation.partial_image", "");
        let facts = stream(
            &[
                partial.clone(),
                event("image_generation.completed", &format!(",{told}")),
            ]
            .concat(),
        );
        assert_eq!(
            (facts.only_usage().unwrap().output_tokens, facts.complete),
            (4160, true)
        );
        assert!(!stream(&partial).complete);
        let facts = read_body(Audio, 200, r#"{"text":"Hi","usage":{"type":"duration","seconds":4}}"#);
        assert_eq!(facts.only_usage().unwrap().extra["seconds"], 4);
    }

    #[test]
    fn sound_and_plain_text_are_whole_answers_and_half_an_object_is_none() {
        for body in [
            "RIFF\0\u{1}",
            "everyone said: no",
            "data",
            "1\n00:00 --> 00:01\nHi\n",
            "[]",
        ] {
            let facts = read_body(Audio, 200, body);
            assert!(facts.complete && facts.usages.is_empty(), "{body}");
        }
        assert!(!read_body(Audio, 200, r#"{"text":"H"#).complete);
        assert_eq!(
            read_body(Audio, 400, r#"{"error":{"message":"m","type":"t"}}"#)
                .error
                .unwrap()
                .message,
            "m"
        );
    }
}
