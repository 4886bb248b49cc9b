//! However a body's bytes are cut into reads, the facts are the same, and the filter takes out the same bytes.

use bytes::Bytes;
use lychgate_types::provider::Api;
use lychgate_wire::{ReaderOptions, ResponseFacts, ResponseReader, UsageChunkFilter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Events of all APIs, good and bad, with LF line ends. The first [`USAGE_CHUNKS`] are those that the filter takes out.
const EVENTS: &[&str] = &[
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n",
    "event: x\ndata: {\"choices\": [ ],\ndata: \"usage\":{\"prompt_tokens\":7}}\n\n",
    ": a comment\n\n",
    "\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"né\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm…\"}}]}\n\n",
    "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n",
    "data: [DONE]\n\n",
    "data: {\"choices\":[],\"usage\":{\n\n",
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":8}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}}\n\n",
    "retry: 10\nid: 1\ndata\n\n",
];
const USAGE_CHUNKS: usize = 2;

#[derive(Debug, Clone)]
struct Stream {
    bytes: Vec<u8>,
    /// The same without the usage chunks.
    kept: Vec<u8>,
}

fn streams() -> impl Strategy<Value = Stream> {
    let parts = (
        vec(0..EVENTS.len(), 0..12),
        select(vec!["\n", "\r\n", "\r"]),
        any::<bool>(),
        any::<Index>(),
    );
    parts.prop_map(|(events, line_end, mark, cut)| {
        let text = |event: usize| EVENTS[event].replace('\n', line_end).into_bytes();
        let mut stream = Stream {
            bytes: Vec::new(),
            kept: Vec::new(),
        };
        for (at, event) in events.iter().enumerate() {
            let mark: &[u8] = if mark && at == 0 { b"\xef\xbb\xbf" } else { b"" };
            stream.bytes.extend([mark, &text(*event)].concat());
            if *event >= USAGE_CHUNKS {
                stream.kept.extend([mark, &text(*event)].concat());
            }
        }
        // An event that was cut off by the end of the stream, before the line end that would make it whole.
        let last = text(0);
        let cut = cut.index(last.len() - line_end.len());
        stream.bytes.extend(&last[..cut]);
        stream.kept.extend(&last[..cut]);
        stream
    })
}

/// The pieces between the cuts, empty ones among them.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn facts(api: Api, streaming: bool, pieces: &[&[u8]]) -> ResponseFacts {
    let mut reader = ResponseReader::new(api, streaming, ReaderOptions { capture_content: true });
    pieces.iter().for_each(|piece| reader.push(piece));
    reader.finish(200)
}

/// What the filter lets through.
fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
    let mut filter = UsageChunkFilter::new();
    let mut out: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| filter.push(Bytes::copy_from_slice(piece)))
        .collect();
    out.extend_from_slice(&filter.finish());
    out
}

proptest! {
    #[test]
    fn facts_do_not_depend_on_the_cuts(stream in streams(), cuts in vec(any::<Index>(), 0..20)) {
        for api in Api::ALL {
            let whole = facts(*api, true, &[&stream.bytes]);
            prop_assert_eq!(&facts(*api, true, &pieces(&stream.bytes, &cuts)), &whole);
            prop_assert_eq!(&facts(*api, true, &stream.bytes.chunks(1).collect::<Vec<_>>()), &whole);
        }
    }

    #[test]
    fn the_filter_takes_out_the_usage_chunks_and_nothing_else(stream in streams(), cuts in vec(any::<Index>(), 0..20)) {
        prop_assert_eq!(&filtered(&[&stream.bytes]), &stream.kept);
        prop_assert_eq!(&filtered(&pieces(&stream.bytes, &cuts)), &stream.kept);
        prop_assert_eq!(&filtered(&stream.bytes.chunks(1).collect::<Vec<_>>()), &stream.kept);
    }

    #[test]
    fn noise_is_read_alike_and_passes_whole(
        noise in vec(select(b"\r\n: dataevnt{}[]\",\\\xef\xbb\xbf\xff0".to_vec()), 0..200),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let pieces = pieces(&noise, &cuts);
        for api in Api::ALL {
            for streaming in [true, false] {
                prop_assert_eq!(facts(*api, streaming, &pieces), facts(*api, streaming, &[&noise]));
            }
        }
        prop_assert_eq!(filtered(&pieces), noise);
    }

    #[test]
    fn bytes_inside_events_may_be_anything(
        at in any::<Index>(), byte in any::<u8>(), event in select(EVENTS), cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut bytes = event.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.extend_from_slice(EVENTS[9].as_bytes());
        for api in Api::ALL {
            prop_assert_eq!(facts(*api, true, &pieces(&bytes, &cuts)), facts(*api, true, &[&bytes]));
        }
        let out = filtered(&[&bytes]);
        prop_assert_eq!(filtered(&pieces(&bytes, &cuts)), out);
    }
}
