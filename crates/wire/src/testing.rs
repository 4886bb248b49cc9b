//! What the tests of the readers share.

use crate::{ReaderOptions, ResponseFacts, ResponseReader};
use lychgate_types::interception::{ModelThought, ThoughtSource, TokenUsage, ToolUsage};
use lychgate_types::provider::Api;

const KEEP: ReaderOptions = ReaderOptions { capture_content: true };

/// A stream whose events carry a name, as those of Anthropic and Responses do: the name is the event's own type.
pub(crate) fn named_events(events: &[&str]) -> String {
    let event = |json: &&str| {
        let value: serde_json::Value = serde_json::from_str(json).expect("the test's own event is JSON");
        format!(
            "event: {}\ndata: {json}\n\n",
            value["type"].as_str().expect("and has a type")
        )
    };
    events.iter().map(event).collect()
}

/// A stream of bare data, as Chat's are.
pub(crate) fn data_events(events: &[&str]) -> String {
    events.iter().map(|data| format!("data: {data}\n\n")).collect()
}

/// The facts of a stream that came with status 200; checks that they are the same byte by byte.
pub(crate) fn read_stream(api: Api, stream: &str) -> ResponseFacts {
    let facts = read(api, true, KEEP, [stream.as_bytes()], 200);
    assert_eq!(
        facts,
        read(api, true, KEEP, stream.as_bytes().chunks(1), 200),
        "byte by byte"
    );
    facts
}

/// The facts of a stream with content capture off.
pub(crate) fn read_stream_without_content(api: Api, stream: &str) -> ResponseFacts {
    read(
        api,
        true,
        ReaderOptions { capture_content: false },
        [stream.as_bytes()],
        200,
    )
}

/// The facts of a blocking answer.
pub(crate) fn read_body(api: Api, status: u16, body: &str) -> ResponseFacts {
    read(api, false, KEEP, [body.as_bytes()], status)
}

fn read<'a>(
    api: Api,
    streaming: bool,
    options: ReaderOptions,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    status: u16,
) -> ResponseFacts {
    let mut reader = ResponseReader::new(api, streaming, options);
    for piece in pieces {
        reader.push(piece);
    }
    let ended = reader.is_complete();
    let facts = reader.finish(status);
    assert!(!ended || facts.complete);
    facts
}

impl ResponseFacts {
    /// The tokens of an answer that was one pass.
    pub(crate) fn only_usage(&self) -> Option<TokenUsage> {
        assert!(self.usages.len() <= 1, "several passes: {:?}", self.usages);
        self.usages.first().cloned()
    }
}

/// Checks the tool calls: their ids, names and arguments, all of this response.
pub(crate) fn assert_tools(facts: &ResponseFacts, wanted: &[(&str, &str, &str)]) {
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(id, tool, input)| ToolUsage {
            provider_response_id: facts.provider_response_id.clone(),
            tool_call_id: (*id).to_owned(),
            tool: (*tool).to_owned(),
            input: (*input).into(),
        })
        .collect();
    assert_eq!(facts.tool_usages, wanted);
}

/// Checks the thoughts.
pub(crate) fn assert_thoughts(facts: &ResponseFacts, wanted: &[(ThoughtSource, &str)]) {
    let thought = |(source, text): &(ThoughtSource, &str)| ModelThought {
        content: (*text).into(),
        source: *source,
    };
    assert_eq!(facts.model_thoughts, wanted.iter().map(thought).collect::<Vec<_>>());
}

/// Checks the error.
pub(crate) fn assert_error(facts: &ResponseFacts, error_type: &str, message: &str) {
    let found = facts
        .error
        .as_ref()
        .map(|error| (error.error_type.as_str(), error.message.as_str()));
    assert_eq!(found, Some((error_type, message)));
}

/// A frame of AWS's event stream, written by hand: the crate that reads them has no part in it.
pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(name.len() as u8);
        block.extend_from_slice(name.as_bytes());
        block.push(7);
        block.extend_from_slice(&(value.len() as u16).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let mut frame = ((16 + block.len() + payload.len()) as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&(block.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&block);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// An event in a frame.
pub(crate) fn event_frame(name: &str, payload: &str) -> Vec<u8> {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, payload.as_bytes())
}

/// An exception in a frame.
pub(crate) fn exception_frame(name: &str, payload: &str) -> Vec<u8> {
    let headers = [(":exception-type", name), (":message-type", "exception")];
    frame(&headers, payload.as_bytes())
}

/// The facts of a stream of frames; checks that they are the same byte by byte.
pub(crate) fn read_frames(api: Api, stream: &[u8]) -> ResponseFacts {
    let facts = read(api, true, KEEP, [stream], 200);
    assert_eq!(facts, read(api, true, KEEP, stream.chunks(1), 200), "byte by byte");
    assert_eq!(
        facts,
        read(api, false, KEEP, stream.chunks(7), 200),
        "whatever it is said to be"
    );
    facts
}
