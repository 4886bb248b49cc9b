//! What is said of reading answers.

use crate::cuts::{each_split, starts};
use crate::sse::unlike;
use crate::{bounds, json};
use lychgate_types::provider::Api;
use lychgate_wire::error::{error_type, stream_event};
use lychgate_wire::filler::{Filler, filler};
use lychgate_wire::limits::{BODY_BYTES, ITEMS, USAGE_ONLY_BODY_BYTES};
use lychgate_wire::{ReaderOptions, ResponseFacts, ResponseReader};

/// Reads the bytes as a blocking answer.
pub fn check_body(api: Api, body: &[u8]) {
    let facts = check(api, false, body);
    let limit = match api {
        Api::OpenAiEmbeddings | Api::GeminiEmbeddings => USAGE_ONLY_BODY_BYTES,
        _ => BODY_BYTES,
    };
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte));
    if api == Api::GeminiGenerateContent && first == Some(&b'[') {
        // A list is a stream, whatever it says to be.
        assert_eq!(facts, check(api, true, body));
        fillers_say_nothing(body);
    } else if body.len() <= limit {
        assert!(json::is_object(body) || !facts.complete, "complete, and no object");
        assert!(
            facts.complete || json::value(body).is_none_or(|value| !value.is_object()),
            "a whole object, and not complete"
        );
    } else if let (Some(usage), Some(members)) = (facts.usages.first(), json::members(body)) {
        // What is kept of a large answer is really there.
        let told = members
            .iter()
            .filter(|(name, _)| matches!(name.as_str(), "usage" | "usageMetadata"))
            .map(|(name, text)| format!(r#"{{"{name}":{text}}}"#));
        assert!(
            told.map(|body| read(api, false, true, &[body.as_bytes()], 200).usages)
                .any(|told| told.first() == Some(usage)),
            "usage out of nowhere"
        );
    }
}

/// What is put into a list while its provider is silent stands where it changes nothing, wherever the silence comes.
fn fillers_say_nothing(list: &[u8]) {
    let api = Api::GeminiGenerateContent;
    let mut filler = filler(api, "").and_then(Filler::in_list).expect("a filler");
    let mut kept_alive = Vec::new();
    let mut so_far = reader(api, false, true);
    for byte in list {
        filler.sent(&[*byte]);
        so_far.push(&[*byte]);
        kept_alive.push(*byte);
        kept_alive.extend_from_slice(filler.here().filter(|_| so_far.takes_filler()).unwrap_or_default());
    }
    assert_eq!(json::value(list), json::value(&kept_alive), "a filler changes the list");
    assert_eq!(
        read(api, false, true, &[list], 200),
        read(api, false, true, &[&kept_alive], 200)
    );
}

/// Reads the bytes as a stream.
pub fn check_stream(api: Api, stream: &[u8]) {
    check(api, true, stream);
    for start in starts(stream) {
        own_event_is_read(api, start);
    }
    no_event_is_missed(api, stream);
    no_event_is_missed(api, &[stream, stream].concat());
}

/// Readers pass over what is like an event that said nothing; the facts are those of a stream where no event is like another.
fn no_event_is_missed(api: Api, stream: &[u8]) {
    if let Some(unlike) = unlike(stream) {
        // Text in an event that is no JSON is an estimate's affair: it may count or not.
        let facts = |stream: &[u8]| ResponseFacts {
            text_bytes: 0,
            ..read(api, true, true, &[stream], 200)
        };
        assert_eq!(facts(stream), facts(&unlike), "an event was missed");
    }
}

/// What is said of both.
fn check(api: Api, streaming: bool, bytes: &[u8]) -> ResponseFacts {
    let whole = read(api, streaming, true, &[bytes], 200);
    bounds::response(&whole);
    each_split(bytes, |pieces| {
        assert_eq!(read(api, streaming, true, pieces, 200), whole, "the cuts matter")
    });

    let mut failed = read(api, streaming, true, &[bytes], 529);
    bounds::response(&failed);
    assert!(failed.error.is_some(), "a status that says error, and none on record");
    if whole.error.is_none() {
        failed.error = None;
    }
    assert_eq!(failed, whole, "the status changes more than the error");

    let silent = read(api, streaming, false, &[bytes], 200);
    assert!(silent.model_thoughts.is_empty() && silent.tool_usages.iter().all(|tool| tool.input.held_bytes() == 0));
    // Below the limit on items, which counts thoughts too: each item is an object.
    if bytes.iter().filter(|byte| **byte == b'{').count() < ITEMS {
        let mut counted = whole.clone();
        counted.model_thoughts.clear();
        counted.tool_usages.iter_mut().for_each(|tool| tool.input = "".into());
        assert_eq!(silent, counted, "capture changes more than content");
    }
    whole
}

/// Wherever a stream breaks, the gateway's own error event after it is an event and not the end of another one.
fn own_event_is_read(api: Api, start: &[u8]) {
    let mut reader = reader(api, true, true);
    reader.push(start);
    let was_complete = reader.is_complete();
    if reader.is_inside_event() {
        reader.push(b"\n\n");
    }
    reader.push(&stream_event(api, 504, "it fell silent"));
    assert!(!reader.is_inside_event());
    assert!(!was_complete || reader.is_complete(), "complete, and then no more");
    let error = reader.finish(200).error.expect("an error");
    if matches!(api, Api::OpenAiEmbeddings | Api::GeminiEmbeddings) {
        return; // It has no streams, so no event of its own.
    }
    assert_eq!(
        (error.error_type.as_str(), error.message.as_str()),
        (error_type(api.wire_family(), 504), "it fell silent")
    );
}

fn read(api: Api, streaming: bool, capture_content: bool, pieces: &[&[u8]], status: u16) -> ResponseFacts {
    let mut reader = reader(api, streaming, capture_content);
    pieces.iter().for_each(|piece| reader.push(piece));
    let ended = reader.is_complete();
    let facts = reader.finish(status);
    assert!(!ended || facts.complete);
    facts
}

fn reader(api: Api, streaming: bool, capture_content: bool) -> ResponseReader {
    ResponseReader::new(api, streaming, ReaderOptions { capture_content })
}
