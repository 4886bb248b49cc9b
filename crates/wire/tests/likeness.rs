//! Events like earlier ones are passed over unread; the facts are the same as if each had been read.
//!
//! The other opinion is the same stream with a comment after each line, no two alike: that changes nothing of what it says,
//! and no event of it is like another.

use bytes::Bytes;
use lychgate_types::provider::Api;
use lychgate_wire::{ReaderOptions, ResponseFacts, ResponseReader, UsageChunkFilter};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Events with `@` where text goes that is seldom the same twice, and `#` where a digit goes that often is. The first one
/// says something and has no text; it is in every stream, as what is lost when an event is passed over that is not its like.
const ANTHROPIC: &[&str] = &[
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"s#\"},\"usage\":{\"output_tokens\":#}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":#,\"delta\":{\"type\":\"text_delta\",\"text\":\"@\"}   }\n\n",
    "event: content_block_delta\ndata: {\"delta\":{\"text\":\"@\",\"type\":\"text_delta\"},\"type\":\"message_stop\"}\n\n",
    "event: content_block_delta\ndata: {\"type\": \"content_block_delta\", \"delta\": {\"type\": \"text_delta\", \"text\": \"@\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":#,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"@\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":#,\"delta\":{\"text\":\"@\",\"type\":\"input_json_delta\",\"partial_json\":\"p#\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":\"thinking\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\",\"text\":\"@\"}\n\n",
    "event: content_block_delta\n",
    "data: {\n",
];

const CHAT: &[&str] = &[
    "data: {\"choices\":[{\"finish_reason\":\"g#\"}],\"error\":\"e#\",\"usage\":{\"completion_tokens\":#}}\n\n",
    "data: {\"id\":\"c#\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"@\"},\"finish_reason\":null}],\"obfuscation\":\"@\"}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":#,\"delta\":{\"content\":\"@\"},\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"@\"}\n\n",
    "event: x\ndata:{\"choices\":[{\"delta\":{\"content\" : \"@\"}}]}\nid: @\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\",\"content\":\"@\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\"}},{\"delta\":{\"content\":\"@\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\"}}],\ndata: \"content\":\"@\"}\n\n",
    "data: {\"x\\\"content\":\"@\",\"choices\":[{\"delta\":{\"content\":\"@\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\"}}],\"usage\":{\"prompt_tokens\":#}}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\"},\"usage\":{\"prompt_tokens\":#}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\"},\"finish_reason\":\"f#\"}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\",\"reasoning_content\":\"r#\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\",\"tool_calls\":[{\"index\":#,\"function\":{\"name\":\"n\",\"arguments\":\"a#\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"message\":{\"content\":\"@\",\"reasoning_content\":\"r#\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"@\"}}],\"error\":{\"message\":\"m#\"}}\n\n",
    "data: {\"content\":\"@\",\"detail\":\"d#\",\"choices\":[]}\n\n",
    "data: {\"content\":\"@\",\"choices\":[],\"usage\":{\"prompt_tokens\":#}}\n\n",
    "data: {\"content\":\"@\",\"cho\\u0069ces\":[ ],\"us\\u0061ge\":{\"prompt_tokens\":#}}\n\n",
    "data: [DONE]\n\n",
    "data: {\n",
];

const RESPONSES: &[&str] = &[
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r#\",\"status\":\"s#\",\"usage\":{\"input_tokens\":#}}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":#,\"delta\":\"@\"}\n\n",
    "event: response.output_text.delta\ndata:{\"type\":\"response.completed\",\"delta\":\"@\"}\nid: #\n\n",
    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"s#\"}}\nevent: response.delta\n\n",
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"@\",\"response\":{\"id\":\"r#\"}}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":#,\"item\":{\"type\":\"function_call\",\"name\":\"n\",\"arguments\":\"@\"}}\n\n",
    "event: response.output_text.delta\n",
    "data: {\n",
];

/// Text as it stands in JSON strings.
const PLAIN: &[&[u8]] = &[
    b"",
    b"a",
    b" and so on",
    b"\xc3\xa9\xe2\x80\xa6",
    b"[] usage",
    br#"\"content\":\""#,
    br#"\\"#,
    br"\n\ud83d\u00e9",
];

/// Text as it stands in none.
const ODD: &[&[u8]] = &[
    br#"","finish_reason":"x"#,
    br#"\"#,
    br"\q",
    b"\xff",
    b"\x00",
    b"\r",
    b"\\\n",
    b"\n\ndata: [DONE]\n\n",
    b"\r\rdata: [DONE]\r\r",
    b"\n\ndata: {\"type\":\"message_stop\"}\n\n",
    b"\"}\r\n\r\ndata: {\"id\":\"",
];

/// A stream in pieces: a few kinds of events, again and again, each time with other texts in it; now and then with one byte
/// changed.
fn streams(events: &'static [&'static str]) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let text = prop_oneof![3 => select(PLAIN), 1 => select(ODD)];
    let event = (any::<Index>(), vec(text, 1..3), 0..2u8);
    let change = (
        any::<Index>(),
        any::<Index>(),
        select(b"\"\\\n\r{}[]:, @a\xff".to_vec()),
    );
    let parts = (vec(select(events), 1..4), vec(event, 1..20), weighted(0.2, change));
    parts.prop_map(move |(mut kinds, pieces, change)| {
        kinds.push(events[0]);
        let filled = |(kind, texts, digit): &(Index, Vec<&[u8]>, u8)| {
            let kind = kinds[kind.index(kinds.len())];
            filled(kind, texts, *digit)
        };
        let mut pieces: Vec<Vec<u8>> = pieces.iter().map(filled).collect();
        if let Some((piece, at, byte)) = change {
            let piece = piece.index(pieces.len());
            let at = at.index(pieces[piece].len());
            pieces[piece][at] = byte;
        }
        pieces
    })
}

fn filled(event: &str, texts: &[&[u8]], digit: u8) -> Vec<u8> {
    let mut texts = texts.iter().cycle();
    let mut out = Vec::new();
    for byte in event.bytes() {
        match byte {
            b'@' => out.extend_from_slice(texts.next().copied().unwrap_or_default()),
            b'#' => out.push(b'0' + digit),
            other => out.push(other),
        }
    }
    out
}

/// A comment behind each line, but for JSON that stands in the place of an event: there it would be part of it.
fn with_comments(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut is_bare = false;
    for (number, line) in stream.split_inclusive(|byte| *byte == b'\n').enumerate() {
        is_bare = line.starts_with(b"{") || (is_bare && !line.trim_ascii().is_empty());
        out.extend_from_slice(line);
        if line.ends_with(b"\n") && !is_bare {
            out.extend_from_slice(format!(":~{number}\n").as_bytes());
        }
    }
    out
}

fn without_comments(stream: &[u8]) -> Vec<u8> {
    let lines = stream.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.starts_with(b":~"))
        .flatten()
        .copied()
        .collect()
}

fn facts<'a>(api: Api, capture_content: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> ResponseFacts {
    let mut reader = ResponseReader::new(api, true, ReaderOptions { capture_content });
    pieces.into_iter().for_each(|piece| reader.push(piece));
    // Text in an event that is no JSON is an estimate's affair: it may count or not.
    ResponseFacts {
        text_bytes: 0,
        ..reader.finish(200)
    }
}

fn filtered<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut filter = UsageChunkFilter::new();
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&filter.push(Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&filter.finish());
    out
}

/// Compares what is read of the stream in one piece, in its own pieces, and in those between the cuts.
fn check(api: Api, capture_content: bool, pieces: &[Vec<u8>], cuts: &[Index]) -> Result<(), TestCaseError> {
    let stream = pieces.concat();
    let commented = with_comments(&stream);
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    let cut: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
    let own: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();

    let wanted = facts(api, capture_content, [commented.as_slice()]);
    for pieces in [vec![stream.as_slice()], own.clone(), cut.clone()] {
        prop_assert_eq!(&facts(api, capture_content, pieces), &wanted);
    }
    let wanted = without_comments(&filtered([commented.as_slice()]));
    for pieces in [vec![stream.as_slice()], own, cut] {
        prop_assert_eq!(&without_comments(&filtered(pieces)), &wanted);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn anthropic_facts_are_those_of_reading_each_event(
        pieces in streams(ANTHROPIC), cuts in vec(any::<Index>(), 0..6), capture_content in any::<bool>(),
    ) {
        check(Api::AnthropicMessages, capture_content, &pieces, &cuts)?;
    }

    #[test]
    fn chat_facts_are_those_of_reading_each_event(
        pieces in streams(CHAT), cuts in vec(any::<Index>(), 0..6), capture_content in any::<bool>(),
    ) {
        check(Api::OpenAiChatCompletions, capture_content, &pieces, &cuts)?;
    }

    #[test]
    fn responses_facts_are_those_of_reading_each_event(
        pieces in streams(RESPONSES), cuts in vec(any::<Index>(), 0..6), capture_content in any::<bool>(),
    ) {
        check(Api::OpenAiResponses, capture_content, &pieces, &cuts)?;
    }
}
