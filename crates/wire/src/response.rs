//! What a provider's answer says, read beside the relay.

use crate::capture::Capture;
use crate::format::ResponseFormat;
use crate::frames::{self, Damage};
use crate::json::elements::Elements;
use crate::json::{self, abridged};
use crate::providers;
use crate::sse::{Event, Ignored, Splitter};
use lychgate_types::interception::{ModelThought, TokenUsage, ToolUsage};
use lychgate_types::provider::Api;

/// What a [`ResponseReader`] is to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Whether tool arguments and thoughts are kept. Counts and tool names always are.
    pub capture_content: bool,
}

/// What is recorded of one upstream response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseFacts {
    /// The provider's id of the response; empty where it gave none.
    pub provider_response_id: String,
    /// The model that the answer names; empty where it names none.
    pub served_model: String,
    /// The tokens, where the provider told them: one row for each pass that is billed; `estimated` when it is not known that
    /// the counts are final.
    pub usages: Vec<TokenUsage>,
    /// Why the model stopped, in the provider's word.
    pub stop_reason: Option<String>,
    /// Every tool call.
    pub tool_usages: Vec<ToolUsage>,
    /// Every thought; none with content capture off.
    pub model_thoughts: Vec<ModelThought>,
    /// The provider's error, from the body or from the stream.
    pub error: Option<ErrorFacts>,
    /// The stream's last event was seen, or the whole JSON was parsed.
    pub complete: bool,
    /// The provider's ids of the items of the answer, where they can be referred to one by one.
    pub item_ids: Vec<String>,
    /// The provider goes on with it in the background: its end is for whoever asks for it later.
    pub in_background: bool,
    /// Bytes of what the model wrote, about, whatever of it is recorded.
    pub text_bytes: u64,
}

/// A provider's error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// The provider's error type or code; `http_…` with the status where the body tells none.
    pub error_type: String,
    /// The provider's message, at most [`crate::limits::MESSAGE_BYTES`].
    pub message: String,
}

/// Reads one upstream response. Takes the body's bytes as they come, gives the facts at the end.
#[derive(Debug)]
pub struct ResponseReader {
    format: Box<dyn ResponseFormat>,
    source: Source,
    /// How many answers were asked for.
    asked: usize,
}

#[derive(Debug)]
enum Source {
    /// Nothing but white space so far; what the answer is said to be.
    Unknown {
        streaming: bool,
        framed: bool,
        limit: usize,
        lists: bool,
    },
    Stream(Splitter),
    List(Elements),
    Frames(frames::Splitter),
    Body(abridged::Body),
}

impl Source {
    /// By its first byte, since servers label their answers wrongly: an object is no stream of events, and a field's name or a
    /// comment is no JSON.
    fn sniff(first: u8, streaming: bool, framed: bool, limit: usize, lists: bool) -> Self {
        match (first, streaming) {
            (b'[', _) if lists => Self::List(Elements::default()),
            (b'{' | b'[', _) => Self::Body(abridged::Body::new(limit)),
            // A frame begins with its length, which is below 2^25.
            (0 | 1, _) | (_, true) if framed => Self::Frames(frames::Splitter::default()),
            (b'd' | b'e' | b'i' | b'r' | b':', _) | (_, true) => Self::Stream(Splitter::default()),
            (_, false) => Self::Body(abridged::Body::new(limit)),
        }
    }
}

impl ResponseReader {
    /// A reader for one response. `streaming` is whether it came as a stream by its content type, which is believed only where its
    /// first bytes leave it open.
    pub fn new(api: Api, streaming: bool, options: ReaderOptions) -> Self {
        let capture = Capture::new(options.capture_content);
        let format = providers::api(api);
        Self {
            source: Source::Unknown {
                streaming,
                framed: format.is_framed(),
                limit: format.body_limit(),
                lists: format.streams_as_list(),
            },
            format: format.response(capture),
            asked: 0,
        }
    }

    /// Says how many answers were asked for at once: while some have not begun, a stream is not over though the others are.
    pub fn expect(&mut self, answers: usize) {
        self.asked = answers;
    }

    fn have_all_begun(&self) -> bool {
        self.format.answers() >= self.asked
    }

    /// Takes the answer's headers, before its body; `header` gives the value of one by its name.
    pub fn head(&mut self, header: impl Fn(&str) -> Option<String>) {
        self.format.head(&header);
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if let Source::Unknown {
            streaming,
            framed,
            limit,
            lists,
        } = self.source
        {
            let mark = b"\xef\xbb\xbf";
            let says_nothing = |byte: &u8| byte.is_ascii_whitespace() || mark.contains(byte);
            let Some(at) = bytes.iter().position(|byte| !says_nothing(byte)) else {
                return;
            };
            bytes = &bytes[at..];
            self.source = Source::sniff(bytes[0], streaming, framed, limit, lists);
        }
        match &mut self.source {
            Source::Stream(splitter) => splitter.push(bytes, |event| read_event(&mut *self.format, event)),
            Source::List(elements) => elements.push(bytes, |json| read_element(&mut *self.format, json)),
            Source::Frames(splitter) => splitter.push(bytes, |frame| self.format.frame(frame)),
            Source::Body(body) => body.push(bytes),
            Source::Unknown { .. } => {}
        }
    }

    /// Takes one event that came in a message of its own, as its JSON.
    pub fn push_event(&mut self, data: &[u8]) {
        let event = Event {
            name: b"",
            data: data.into(),
        };
        read_event(&mut *self.format, &event);
    }

    /// Whether the stream's last event was seen. Always false for blocking answers, which are judged by [`Self::finish`].
    pub fn is_complete(&self) -> bool {
        self.format.is_complete() && self.have_all_begun()
    }

    /// Whether nothing more of the stream is to come: its last event was seen, or an error in the place of it.
    pub fn is_over(&self) -> bool {
        self.is_complete() || self.format.has_failed()
    }

    /// Whether more of the stream is to come, and its clients bear the filler of this API meanwhile.
    pub fn takes_filler(&self) -> bool {
        let is_inside = matches!(&self.source, Source::List(elements) if elements.is_inside());
        !is_inside && !self.is_over() && self.format.takes_filler()
    }

    /// Whether the model is known to have stopped, though the stream's last event may be missing.
    pub fn has_finished(&self) -> bool {
        self.format.has_finished() && self.have_all_begun()
    }

    /// Whether the bytes so far end inside an event of a stream, so that an event of our own needs a gap before it.
    pub fn is_inside_event(&self) -> bool {
        match &self.source {
            Source::Stream(splitter) => splitter.is_inside_event(),
            Source::Frames(splitter) => splitter.is_inside_frame(),
            Source::Unknown { .. } | Source::List(_) | Source::Body(_) => false,
        }
    }

    /// Whether what the model says, or the end of it, has begun to come.
    pub fn has_content(&self) -> bool {
        matches!(self.source, Source::Body(_)) || self.text_bytes() > 0 || self.is_over()
    }

    /// Bytes of what the model has written so far, about, as far as it came as a stream.
    pub fn text_bytes(&self) -> u64 {
        let passed_over = match &self.source {
            Source::Stream(splitter) => splitter.text_bytes(),
            Source::Unknown { .. } | Source::List(_) | Source::Frames(_) | Source::Body(_) => 0,
        };
        passed_over + self.format.text_bytes()
    }

    /// The facts, when the body has ended or was given up. `status` is the provider's HTTP status.
    pub fn finish(mut self, status: u16) -> ResponseFacts {
        let (mut parsed, mut text_bytes, mut damage) = (false, 0, None);
        match self.source {
            Source::Unknown { .. } => {}
            Source::Stream(mut splitter) => {
                splitter.finish(|event| read_event(&mut *self.format, event));
                text_bytes = splitter.text_bytes();
                parsed = self.format.may_be_anything();
            }
            // An element that has not ended is no JSON.
            Source::List(_) => {}
            Source::Frames(splitter) => damage = splitter.finish(),
            Source::Body(body) => {
                let body = body.into_bytes();
                parsed =
                    self.format.body(&body) || json::repair(&body).is_some_and(|repaired| self.format.body(&repaired));
            }
        }
        // Behind damage there may have been anything, but for what comes after the last event.
        let complete = match damage {
            Some(_) => self.format.is_complete(),
            None => parsed || self.format.has_finished(),
        };
        text_bytes += self.format.text_bytes();
        // Fewer may come than were asked for; whether the others would have come, nobody knows.
        let lacks_some = !parsed && self.format.answers() < self.asked;
        let mut facts = self.format.facts();
        facts.usages.iter_mut().for_each(|usage| usage.estimated |= lacks_some);
        facts.text_bytes = text_bytes;
        facts.complete = complete;
        if status >= 400 && facts.error.is_none() {
            facts.error = Some(ErrorFacts {
                error_type: format!("http_{status}"),
                message: format!("the provider answered {status} without an error that could be read"),
            });
        }
        // A stream that ends within a frame is incomplete; why it ended is for the relay to say.
        if let (Some(damage), false) = (damage.filter(|damage| *damage != Damage::Cut), complete)
            && facts.error.is_none()
        {
            facts.error = Some(ErrorFacts {
                error_type: "damaged_stream".to_owned(),
                message: damage.to_string(),
            });
        }
        let id = &facts.provider_response_id;
        for usage in facts
            .usages
            .iter_mut()
            .filter(|usage| usage.provider_response_id.is_empty())
        {
            usage.provider_response_id.clone_from(id);
        }
        for tool in &mut facts.tool_usages {
            tool.provider_response_id.clone_from(id);
        }
        facts
    }
}

/// Shows one event to its reader; where its data is almost JSON, as JSON.
fn read_event(format: &mut dyn ResponseFormat, event: &Event<'_>) -> Ignored {
    if let Some(ignored) = format.event(event) {
        return ignored;
    }
    let Some(repaired) = json::repair(&event.data) else {
        return Ignored::Nothing;
    };
    let ignored = format.event(&Event {
        name: event.name,
        data: repaired.into(),
    });
    // Its like may be JSON, or no more than almost.
    Ignored::Said(ignored.map_or(0, |ignored| ignored.text_bytes(&event.data)))
}

/// The same for an element of a list.
fn read_element(format: &mut dyn ResponseFormat, json: &[u8]) {
    let data = Event {
        name: b"",
        data: json.into(),
    };
    read_event(format, &data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{BODY_BYTES, EVENT_BYTES};

    const OPTIONS: ReaderOptions = ReaderOptions { capture_content: true };

    fn facts(api: Api, streaming: bool, answer: &str) -> ResponseFacts {
        let mut reader = ResponseReader::new(api, streaming, OPTIONS);
        for piece in answer.as_bytes().chunks(60_001) {
            reader.push(piece);
        }
        reader.finish(200)
    }

    /// The members of a whole answer of each kind of API that hold the model's text, and its usage.
    const ANSWERS: &[(Api, &str, &str)] = &[
        (
            Api::AnthropicMessages,
            r#""stop_reason":"end_turn","content":[{"type":"text","text":"LARGE"},{"type":"tool_use","id":"t","name":"find","input":{"q":1}}]"#,
            r#""usage":{"input_tokens":7,"output_tokens":5}"#,
        ),
        (
            Api::OpenAiChatCompletions,
            r#""choices":[{"index":0,"message":{"content":"LARGE","tool_calls":[{"id":"t","function":{"name":"find","arguments":"{}"}}]},"logprobs":{"content":[NUMBERS]},"finish_reason":"stop"}]"#,
            r#""usage":{"prompt_tokens":7,"completion_tokens":5}"#,
        ),
        (
            Api::OpenAiResponses,
            r#""status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"LARGE"}]},{"type":"function_call","call_id":"t","name":"find","arguments":"{}"}]"#,
            r#""usage":{"input_tokens":7,"output_tokens":5}"#,
        ),
        (
            Api::OpenAiEmbeddings,
            r#""data":[{"embedding":[NUMBERS]},{"embedding":[NUMBERS]}]"#,
            r#""usage":{"prompt_tokens":7,"completion_tokens":5}"#,
        ),
    ];

    #[test]
    fn of_an_answer_over_the_limit_everything_but_its_bulk_is_read() {
        let large = "x".repeat(BODY_BYTES);
        let numbers = vec!["-0.0123"; BODY_BYTES / 8].join(",");
        for (api, text, usage) in ANSWERS {
            let text = text.replace("LARGE", &large).replace("NUMBERS", &numbers);
            for members in [[usage, text.as_str()], [text.as_str(), usage]] {
                let answer = format!(r#"{{"id":"r","model":"m",{}}}"#, members.join(","));
                let found = facts(*api, false, &answer);
                assert_eq!(
                    (
                        found.provider_response_id.as_str(),
                        found.served_model.as_str(),
                        found.complete
                    ),
                    ("r", "m", true)
                );
                let usage = found.only_usage().unwrap();
                assert_eq!(
                    (usage.input_tokens, usage.output_tokens, usage.estimated),
                    (7, 5, false),
                    "{api}"
                );
                if *api != Api::OpenAiEmbeddings {
                    assert!(found.stop_reason.is_some(), "{api}");
                    assert_eq!(
                        (found.tool_usages.len(), found.tool_usages[0].tool.as_str()),
                        (1, "find"),
                        "{api}"
                    );
                }
                assert!(!facts(*api, false, &answer[..answer.len() - 1]).complete, "a cut one");
            }
        }
    }

    #[test]
    fn of_an_event_over_the_limit_everything_but_its_bulk_is_read() {
        let large = "x".repeat(EVENT_BYTES);
        for (api, events) in [
            (
                Api::AnthropicMessages,
                "data: {\"type\":\"message_start\",\"message\":{\"id\":\"r\",\"usage\":{\"input_tokens\":7}}}\n\ndata: {\"type\":\"message_delta\",\"x\":\"LARGE\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
            ),
            (
                Api::OpenAiChatCompletions,
                "data: {\"id\":\"r\",\"choices\":[{\"delta\":{\"images\":[\"LARGE\"]},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n",
            ),
            (
                Api::OpenAiResponses,
                "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"output\":[{\"type\":\"x\",\"result\":\"LARGE\"}],\"usage\":{\"input_tokens\":7,\"output_tokens\":5}}}\n\n",
            ),
        ] {
            let found = facts(api, true, &events.replace("LARGE", &large));
            let usage = found.only_usage().unwrap();
            assert_eq!(
                (usage.input_tokens, usage.output_tokens, found.complete),
                (7, 5, true),
                "{api}"
            );
        }
    }
}
