//! OpenAI's images and audio: pictures and speech made of text, text made of speech. What goes in is JSON or a form with files,
//! what comes out is anything: JSON, events, plain text, sound. Of all of it the usage is read, where it is told.
//!
//! Not here: what a picture or a second costs.

use super::error::{ErrorBody, done_event};
use crate::capture::{Capture, clipped, name};
use crate::format::{ApiFormat, ResponseFormat};
use crate::json::counters::{Counters, openai_usage};
use crate::json::{self, Raw, members};
use crate::limits::{PROMPT_BYTES, USAGE_ONLY_BODY_BYTES};
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};
use memchr::memmem;
use std::borrow::Cow;

/// Most parts of a form that are looked at.
const PARTS: usize = 64;

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
        if body.starts_with(b"--") {
            return form(body);
        }
        let request: Request<'_> = json::body(body)?;
        let prompt = request.prompt.text().or_else(|| request.input.text());
        Ok(RequestFacts {
            model: request.model.name(),
            streaming: request.stream.is_true() || request.stream_format.is("sse"),
            prompt: prompt.map(|text| clipped(text, PROMPT_BYTES)),
            ..RequestFacts::default()
        })
    }

    fn response(&self, _: Capture) -> Box<dyn ResponseFormat> {
        Box::new(Reader::default())
    }

    fn body_limit(&self) -> usize {
        USAGE_ONLY_BODY_BYTES
    }

    fn error_event(&self, status: u16, message: &str) -> String {
        done_event(status, message)
    }
}

/// The fields of a form that are read.
const FIELDS: [&str; 3] = ["model", "prompt", "stream"];

/// The `name` parameter in the head of a form's part, quoted or not; not the end of another parameter (`filename`).
fn part_name(head: &[u8]) -> Option<&[u8]> {
    let mut from = 0;
    while let Some(found) = memmem::find(&head[from..], b"name=") {
        let at = from + found;
        from = at + b"name=".len();
        if at
            .checked_sub(1)
            .is_some_and(|before| matches!(head[before], b';' | b' ' | b'\t'))
        {
            let value = &head[from..];
            return Some(match value.strip_prefix(b"\"") {
                Some(quoted) => &quoted[..memchr::memchr(b'"', quoted)?],
                None => &value[..memchr::memchr3(b';', b'\r', b' ', value).unwrap_or(value.len())],
            });
        }
    }
    None
}

/// Reads a form (`multipart/form-data`), whose first line is its boundary.
fn form(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let mut facts = RequestFacts::default();
    let mut seen: [Option<&[u8]>; 3] = [None; 3];
    let end = memmem::find(body, b"\r\n").ok_or(MalformedBody::NotAnObject)?;
    let boundary = [b"\r\n", &body[..end]].concat();
    let mut rest = &body[end..];
    for _ in 0..PARTS {
        let Some(part) = rest.strip_prefix(b"\r\n") else { break };
        let length = memmem::find(part, &boundary).ok_or(MalformedBody::NotAnObject)?;
        rest = &part[length + boundary.len()..];
        let Some(head) = memmem::find(&part[..length], b"\r\n\r\n") else {
            continue;
        };
        let value = &part[head + 4..length];
        let Some(at) =
            part_name(&part[..head]).and_then(|name| FIELDS.iter().position(|field| field.as_bytes() == name))
        else {
            continue;
        };
        if seen[at].replace(value).is_some() {
            return Err(MalformedBody::Repeated(FIELDS[at]));
        }
    }
    let [model, prompt, stream] = seen.map(|value| value.map(String::from_utf8_lossy));
    facts.model = model.map(name).unwrap_or_default();
    facts.prompt = prompt.map(|text: Cow<'_, str>| clipped(text, PROMPT_BYTES));
    facts.streaming = stream.is_some_and(|stream| stream == "true");
    Ok(facts)
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

    fn has_finished(&self) -> bool {
        self.ended
    }

    fn text_bytes(&self) -> u64 {
        0
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
        for body in [&json[..], form.as_bytes()] {
            let facts = read_request(Images, body).unwrap();
            assert_eq!(
                (facts.model.as_str(), facts.prompt.as_deref(), facts.streaming),
                ("gpt-image-1", Some("A cat"), true)
            );
        }
        let twice = form.replace("name=prompt", "name=\"model\"");
        assert!(
            read_request(Images, twice.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("\"model\"")
        );
        for cut in [
            "--x-1",
            "--x-1\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ngpt",
            "[]",
            "",
        ] {
            assert!(read_request(Images, cut.as_bytes()).is_err(), "{cut}");
        }
        let speech = read_request(Audio, br#"{"model":"tts-1","input":"Hello","stream_format":"sse"}"#).unwrap();
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
