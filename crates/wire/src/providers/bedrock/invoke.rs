//! `InvokeModel` and `InvokeModelWithResponseStream`: a body of the model's own. Claude's is Anthropic's, Nova's is that of Converse,
//! that of many others is Chat Completions'; of the rest the prompt, the counts and the stop reason are read.

use super::usage::Counts;
use super::{converse, error, request};
use crate::capture::{Capture, name};
use crate::format::{ApiFormat, ResponseFormat};
use crate::frames::{self, Frame};
use crate::json::{self, Raw, members};
use crate::providers::anthropic::Messages;
use crate::providers::openai::chat::ChatCompletions;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::sync::LazyLock;

members! {
    /// The payload of a frame.
    struct Chunk<'de> { bytes: Raw<'de> = b"bytes", }
}

members! {
    /// What is in a frame, or a whole answer.
    struct Answer<'de> {
        kind: Raw<'de> = b"type",
        metrics: Raw<'de> = b"amazon-bedrock-invocationMetrics",
        // Nova: the events of Converse, by their names.
        block_start: Raw<'de> = b"contentBlockStart",
        block_delta: Raw<'de> = b"contentBlockDelta",
        message_stop: Raw<'de> = b"messageStop",
        metadata: Raw<'de> = b"metadata",
        output: Raw<'de> = b"output",
        // Chat Completions.
        choices: Raw<'de> = b"choices",
        // Others.
        generation: Raw<'de> = b"generation",
        output_text: Raw<'de> = b"outputText",
        text: Raw<'de> = b"text",
        completion: Raw<'de> = b"completion",
        outputs: Raw<'de> = b"outputs",
        generations: Raw<'de> = b"generations",
        stop_reason: Raw<'de> = b"stop_reason",
        completion_reason: Raw<'de> = b"completionReason",
        input_text_token_count: Raw<'de> = b"inputTextTokenCount",
        prompt_token_count: Raw<'de> = b"prompt_token_count",
        generation_token_count: Raw<'de> = b"generation_token_count",
        total_output_text_token_count: Raw<'de> = b"totalOutputTextTokenCount",
        usage: Raw<'de> = b"usage",
    }
}

members! {
    /// One of several answers.
    struct OneOf<'de> { text: Raw<'de> = b"text", }
}

/// How an event of Claude's that brings a piece of the answer begins.
const DELTA: &[u8] = br#"{"type":"content_block_delta","#;

/// What Anthropic sends in a silent stream, as it would come from Bedrock.
static PING: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let bytes = STANDARD.encode(r#"{"type": "ping"}"#);
    frames::event("chunk", format!(r#"{{"bytes":"{bytes}"}}"#))
});

/// Bedrock InvokeModel.
pub(crate) struct Invoke;

impl ApiFormat for Invoke {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        let facts = Messages.read_request(body)?;
        if facts.prompt.is_some() || facts.thread_parent_tool_call_id.is_some() {
            return Ok(facts);
        }
        request::read(body)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        Box::new(Reader {
            language: Language::Other(None),
            capture_content: capture.is_on(),
            counts: Counts::default(),
            error_type: None,
            error: None,
            in_frames: false,
            has_ended: false,
            text_bytes: 0,
        })
    }

    /// A frame without a type in it is taken for a part of the answer by some clients, for its end by others. One with a type is
    /// Claude's, whose clients pass over a ping.
    fn filler(&self, _client: &str) -> Option<&'static [u8]> {
        Some(&PING)
    }

    fn is_framed(&self) -> bool {
        true
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        error::exception(status, message, "modelTimeoutException")
    }
}

/// Reads an answer.
#[derive(Debug)]
struct Reader {
    language: Language,
    capture_content: bool,
    /// Of the head, or of the metrics.
    counts: Counts,
    error_type: Option<String>,
    error: Option<ErrorFacts>,
    in_frames: bool,
    /// The metrics came, which are in the last chunk.
    has_ended: bool,
    /// Bytes of text in Claude's events of which the rest was ignored, and of models that no other reader is for.
    text_bytes: u64,
}

/// Whose words the answer is in.
#[derive(Debug)]
enum Language {
    Claude(Box<dyn ResponseFormat>),
    Nova(Box<converse::Reader>),
    Chat(Box<dyn ResponseFormat>),
    /// Any other's, of which a few members are read; or nothing came that tells. The stop reason.
    Other(Option<String>),
}

impl Reader {
    fn capture(&self) -> Capture {
        Capture::new(self.capture_content)
    }

    /// Only the first answer decides whose words they are.
    fn is_undecided(&self) -> bool {
        matches!(self.language, Language::Other(None))
    }

    fn claude(&mut self) -> Option<&mut Box<dyn ResponseFormat>> {
        if self.is_undecided() {
            self.language = Language::Claude(Messages.response(self.capture()));
        }
        match &mut self.language {
            Language::Claude(reader) => Some(reader),
            _ => None,
        }
    }

    fn nova(&mut self) -> Option<&mut converse::Reader> {
        if self.is_undecided() {
            self.language = Language::Nova(Box::new(converse::Reader::new(self.capture())));
        }
        match &mut self.language {
            Language::Nova(reader) => Some(reader),
            _ => None,
        }
    }

    fn chat(&mut self) -> Option<&mut Box<dyn ResponseFormat>> {
        if self.is_undecided() {
            self.language = Language::Chat(ChatCompletions.response(self.capture()));
        }
        match &mut self.language {
            Language::Chat(reader) => Some(reader),
            _ => None,
        }
    }

    fn other(&mut self, answer: &Answer<'_>) {
        for text in [answer.generation, answer.output_text, answer.text, answer.completion] {
            self.text_bytes += text.length();
        }
        for list in [answer.outputs, answer.generations] {
            list.for_each(|one| self.text_bytes += one.object::<OneOf<'_>>().map_or(0, |one| one.text.length()));
        }
        let reason = answer.stop_reason.text().or_else(|| answer.completion_reason.text());
        if let (Language::Other(stop_reason), Some(reason)) = (&mut self.language, reason) {
            *stop_reason = Some(name(reason));
        }
    }

    /// An event of Claude's.
    fn event_of_claude(&mut self, event: &[u8], json: &[u8]) {
        let Some(reader) = self.claude() else { return };
        let event = Event {
            name: event,
            data: Cow::Borrowed(json),
        };
        // No stencil passes over events here, so that the text of each is counted here.
        let ignored = reader.event(&event).unwrap_or(Ignored::Nothing);
        self.text_bytes += ignored.text_bytes(json);
    }

    /// What is inside one frame.
    fn chunk(&mut self, json: &[u8]) {
        self.in_frames = true;
        // Most of a stream is this; one look is enough.
        if json.starts_with(DELTA) {
            return self.event_of_claude(b"content_block_delta", json);
        }
        let Some(answer) = json::object::<Answer<'_>>(json) else {
            return;
        };
        let metrics = Counts::of_metrics(answer.metrics);
        if let Some(kind) = answer.kind.text() {
            if answer.metrics.is_some() {
                // As if Claude had told them, so that they are merged with what it did tell.
                let report = format!(r#"{{"type":"message_delta","usage":{}}}"#, metrics.as_anthropic());
                self.event_of_claude(b"message_delta", report.as_bytes());
            }
            self.event_of_claude(kind.as_bytes(), json);
        } else if let Some((event, payload)) = answer.event_of_converse() {
            if let Some(reader) = self.nova() {
                reader.named(event, payload.json().as_bytes());
            }
        } else if answer.choices.is_some() {
            self.chunk_of_chat(json);
        } else {
            self.other(&answer);
        }
        self.has_ended |= answer.metrics.is_some();
        self.counts = metrics.or(answer.own_counts()).or(self.counts);
    }

    fn chunk_of_chat(&mut self, json: &[u8]) {
        let Some(reader) = self.chat() else { return };
        let event = Event {
            name: b"",
            data: Cow::Borrowed(json),
        };
        let ignored = reader.event(&event).unwrap_or(Ignored::Nothing);
        self.text_bytes += ignored.text_bytes(json);
    }
}

impl ResponseFormat for Reader {
    fn head(&mut self, header: &dyn Fn(&str) -> Option<String>) {
        self.error_type = header(error::TYPE_HEADER).map(|header| error::type_in(&header));
        self.counts = Counts::of_head(header);
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        if let Some(error) = error::frame(frame) {
            self.error = Some(error);
        }
        if let Frame::Event { name: "chunk", payload } = *frame
            && let Some(chunk) = json::object::<Chunk<'_>>(payload)
            && let Some(Ok(json)) = chunk.bytes.text().map(|bytes| STANDARD.decode(bytes.as_bytes()))
        {
            self.chunk(&json);
        }
    }

    fn event(&mut self, _: &Event<'_>) -> Option<Ignored> {
        Some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(answer) = json::object::<Answer<'_>>(body) else {
            return false;
        };
        let told = if answer.kind.is("message") {
            self.claude().is_some_and(|reader| reader.body(body))
        } else if answer.output.is_some() {
            self.nova().is_some_and(|reader| reader.body(body))
        } else if answer.choices.is_some() {
            self.chat().is_some_and(|reader| reader.body(body))
        } else {
            self.other(&answer);
            self.error = error::body(body, self.error_type.take());
            true
        };
        self.counts = self.counts.or(answer.own_counts()).or(Counts::of_usage(answer.usage));
        told
    }

    fn is_complete(&self) -> bool {
        match &self.language {
            Language::Claude(reader) => reader.is_complete(),
            Language::Nova(_) | Language::Chat(_) | Language::Other(_) => self.has_ended,
        }
    }

    fn has_finished(&self) -> bool {
        match &self.language {
            Language::Claude(reader) => reader.has_finished(),
            Language::Nova(reader) => self.has_ended || reader.has_finished(),
            Language::Chat(reader) => self.has_ended || reader.has_finished(),
            Language::Other(stop_reason) => self.has_ended || stop_reason.is_some(),
        }
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
            || matches!(&self.language, Language::Claude(reader) | Language::Chat(reader) if reader.has_failed())
    }

    fn takes_filler(&self) -> bool {
        matches!(self.language, Language::Claude(_))
    }

    fn text_bytes(&self) -> u64 {
        let told = match &self.language {
            Language::Claude(reader) | Language::Chat(reader) => reader.text_bytes(),
            Language::Nova(reader) => reader.text_bytes(),
            Language::Other(_) => 0,
        };
        self.text_bytes + told
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        // The cache's counts come with the very last frame.
        let has_ended = self.has_ended;
        let lacks_counts = self.in_frames && !self.is_complete();
        let mut facts = match self.language {
            Language::Claude(reader) => reader.facts(),
            Language::Nova(reader) => reader.facts(),
            // Here the last frame says what `[DONE]` says elsewhere.
            Language::Chat(reader) => ResponseFacts {
                complete: has_ended,
                ..reader.facts()
            },
            Language::Other(stop_reason) => ResponseFacts {
                stop_reason,
                ..ResponseFacts::default()
            },
        };
        if facts.usages.is_empty() {
            facts.usages.extend(self.counts.into_row());
        }
        for usage in &mut facts.usages {
            usage.estimated |= lacks_counts;
        }
        facts.error = self.error.or(facts.error);
        facts
    }
}

impl<'de> Answer<'de> {
    /// Counts that some models tell by themselves, in streams so far.
    fn own_counts(&self) -> Counts {
        Counts::of(
            [self.input_text_token_count, self.prompt_token_count],
            [self.generation_token_count, self.total_output_text_token_count],
        )
    }

    /// The event of Converse that it is.
    fn event_of_converse(&self) -> Option<(&'static str, Raw<'de>)> {
        let events = [
            ("contentBlockDelta", self.block_delta),
            ("contentBlockStart", self.block_start),
            ("messageStop", self.message_stop),
            ("metadata", self.metadata),
        ];
        events.into_iter().find(|(_, payload)| payload.is_some())
    }
}
