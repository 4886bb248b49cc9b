//! What is said of the filter that takes usage chunks out of a Chat stream.

use crate::assert_same;
use crate::cuts::{each_split, starts};
use crate::json;
use crate::sse::{Span, spans};
use bytes::Bytes;
use lychgate_types::provider::Api;
use lychgate_wire::error::stream_event;
use lychgate_wire::limits::HELD_BYTES;
use lychgate_wire::{ReaderOptions, ResponseReader, UsageChunkFilter};

/// Sends a stream through the filter.
pub fn check(stream: &[u8]) {
    let whole = filtered(&[stream]);
    each_split(stream, |pieces| {
        assert_same(&filtered(pieces), &whole, "the cuts matter")
    });
    let spans = spans(stream);
    let verdicts: Option<Vec<bool>> = spans.iter().map(is_usage_chunk).collect();
    if let Some(verdicts) = verdicts {
        let kept = spans
            .iter()
            .zip(verdicts)
            .filter(|(_, is_out)| !is_out)
            .map(|(span, _)| span.bytes);
        assert_same(
            &whole,
            &kept.collect::<Vec<_>>().concat(),
            "not the usage chunks, or not only they",
        );
    }
    for start in starts(stream) {
        own_event_is_seen(start);
    }
}

/// Whether a span is to be taken out; `None` where a plain reader can't tell.
fn is_usage_chunk(span: &Span<'_>) -> Option<bool> {
    if !span.whole || span.length() > HELD_BYTES {
        return Some(false);
    }
    let Some((_, data)) = span.event() else {
        return Some(false);
    };
    match json::value(&data) {
        Some(value) => Some(value["choices"].as_array().is_some_and(Vec::is_empty) && !value["usage"].is_null()),
        None if !json::is_json(&data) => Some(false),
        None => None,
    }
}

/// Where a filtered stream breaks, what the client gets (what went through, what was held, a gap, our own events) ends with
/// our own events.
fn own_event_is_seen(start: &[u8]) {
    let api = Api::OpenAiChatCompletions;
    let mut reader = ResponseReader::new(api, true, ReaderOptions { capture_content: false });
    reader.push(start);
    let mut seen = filtered(&[start]);
    if reader.is_inside_event() {
        seen.extend_from_slice(b"\n\n");
    }
    let own = stream_event(api, 504, "it fell silent");
    seen.extend_from_slice(&own);
    let events: Vec<_> = spans(&seen).iter().filter_map(Span::event).collect();
    let own: Vec<_> = spans(&own).iter().filter_map(Span::event).collect();
    assert!(events.ends_with(&own), "our own event was lost");
}

fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
    let mut filter = UsageChunkFilter::new();
    let (mut sent, mut out) = (0, Vec::new());
    for piece in pieces {
        sent += piece.len();
        out.extend_from_slice(&filter.push(Bytes::copy_from_slice(piece)));
        assert!(out.len() <= sent);
    }
    out.extend_from_slice(&filter.finish());
    out
}
