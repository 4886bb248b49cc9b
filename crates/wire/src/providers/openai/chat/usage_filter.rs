//! Takes the usage chunk that the client did not ask for out of a Chat Completions stream.

use crate::json::{Raw, members};
use crate::limits::HELD_BYTES;
use crate::sse::{self, Boundary, Event, Ignored, Stencil};
use bytes::{Bytes, BytesMut};
use memchr::{memchr_iter, memmem};
use std::ops::Range;

/// Members whose text is different in each chunk.
const TEXTS: &[&str] = &["content", "reasoning_content", "arguments", "obfuscation"];

/// Passes a stream on without the chunk that has `"choices":[]`, a usage, and nothing that would have come anyway. What turns
/// out to be no stream but a JSON body goes on as it is.
///
/// Every other byte goes on as it came. Held back is only an event that has begun and not ended, without the comments before
/// it, and of that no more than [`HELD_BYTES`]: a larger one is no usage chunk.
#[derive(Debug, Default)]
pub struct UsageChunkFilter {
    boundary: Boundary,
    /// Whether it is a JSON body, as its first byte tells.
    is_body: Option<bool>,
    held: BytesMut,
    /// The event under way is too large to be the usage chunk.
    passing: bool,
    started: bool,
    /// The last event was taken out, and with it goes the LF that may still be due.
    last_is_out: bool,
    /// Of the last event whose like is never a usage chunk.
    stencil: Option<Stencil>,
}

impl UsageChunkFilter {
    /// A filter at a stream's beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives those that may go on now; they may be none.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        let mut out = Out::new(bytes);
        if self.is_body.is_none() {
            let first = sse::without_mark(&out.source).trim_ascii_start().first();
            self.is_body = first.map(|first| matches!(first, b'{' | b'['));
        }
        if self.is_body == Some(true) {
            out.add_held(&std::mem::take(&mut self.held));
            out.add(0..out.source.len());
            return out.into_bytes();
        }
        let mut at = 0;
        while at < out.source.len() {
            if self.boundary.takes_lf(&out.source[at..]) {
                if !self.last_is_out {
                    out.add(at..at + 1);
                }
                at += 1;
                continue;
            }
            if self.held.is_empty()
                && !self.passing
                && let Some(length) = self
                    .stencil
                    .as_ref()
                    .and_then(|stencil| stencil.fits(&out.source[at..]))
            {
                out.add(at..at + length);
                at += length;
                continue;
            }
            let end = self.boundary.find_end(&out.source[at..]).map(|length| at + length);
            match end {
                Some(end) => self.finished(at..end, &mut out),
                None => self.unfinished(at..out.source.len(), &mut out),
            }
            at = end.unwrap_or(out.source.len());
        }
        out.into_bytes()
    }

    /// What is still held when the stream has ended.
    pub fn finish(self) -> Bytes {
        self.held.freeze()
    }

    fn finished(&mut self, mut end: Range<usize>, out: &mut Out) {
        let is_first = !std::mem::replace(&mut self.started, true);
        let length = self.held.len() + end.len();
        let is_out = if std::mem::take(&mut self.passing) || length > HELD_BYTES {
            false
        } else {
            let raw: &[u8] = if self.held.is_empty() {
                &out.source[end.clone()]
            } else {
                self.held.extend_from_slice(&out.source[end.clone()]);
                end.start = end.end;
                &self.held
            };
            let raw = if is_first { sse::without_mark(raw) } else { raw };
            sse::parse(raw).is_some_and(|event| {
                self.stencil = no_usage_chunk(raw, &event).or(self.stencil.take());
                is_usage_chunk(&event.data)
            })
        };
        if !is_out {
            out.add_held(&self.held);
            out.add(end);
        }
        // One large event must not cost its memory for the rest of the stream.
        self.held = BytesMut::new();
        self.last_is_out = is_out;
    }

    fn unfinished(&mut self, bytes: Range<usize>, out: &mut Out) {
        if self.passing || self.held.len() + bytes.len() > HELD_BYTES {
            self.passing = true;
            out.add_held(&std::mem::take(&mut self.held));
            out.add(bytes);
        } else if self.held.is_empty() {
            let start = bytes.start + comments(&out.source[bytes.clone()]);
            out.add(bytes.start..start);
            self.held.extend_from_slice(&out.source[start..bytes.end]);
        } else {
            self.held.extend_from_slice(&out.source[bytes]);
            let comments = self.held.split_to(comments(&self.held));
            out.add_held(&comments);
        }
    }
}

/// Length of the whole lines of comment at the start of an event. They keep connections alive, so they must not wait.
fn comments(event: &[u8]) -> usize {
    let lines = event.split_inclusive(|byte| *byte == b'\n');
    lines
        .take_while(|line| line.starts_with(b":") && line.ends_with(b"\n"))
        .map(<[u8]>::len)
        .sum()
}

/// What goes on of one read. While that is one stretch of it, as it is as long as nothing is taken out, nothing is copied.
struct Out {
    source: Bytes,
    stretch: Range<usize>,
    joined: BytesMut,
}

impl Out {
    fn new(source: Bytes) -> Self {
        Self {
            source,
            stretch: 0..0,
            joined: BytesMut::new(),
        }
    }

    fn add(&mut self, piece: Range<usize>) {
        if self.stretch.is_empty() {
            self.stretch = piece;
        } else if self.stretch.end == piece.start {
            self.stretch.end = piece.end;
        } else if !piece.is_empty() {
            self.joined.extend_from_slice(&self.source[self.stretch.clone()]);
            self.stretch = piece;
        }
    }

    /// Adds what was held from earlier reads, which comes before anything of this one.
    fn add_held(&mut self, held: &[u8]) {
        self.joined.extend_from_slice(held);
    }

    fn into_bytes(mut self) -> Bytes {
        if self.joined.is_empty() {
            return self.source.slice(self.stretch);
        }
        self.joined.extend_from_slice(&self.source[self.stretch]);
        self.joined.freeze()
    }
}

members! {
    struct Usage<'de> { cost: Raw<'de> = b"cost", }
}

/// What a chunk may have beside its usage and be of no use to a client that did not ask for that. With anything else it would
/// have come anyway: citations, say.
const FRAME: &[&[u8]] = &[
    b"id",
    b"object",
    b"created",
    b"model",
    b"choices",
    b"usage",
    b"service_tier",
    b"system_fingerprint",
    b"obfuscation",
    b"provider",
    b"timings",
    b"x_groq",
    b"nvext",
    b"prompt_logprobs",
    b"prompt_token_ids",
    b"kv_transfer_params",
];

fn is_usage_chunk(data: &[u8]) -> bool {
    // Most events fail here, before their JSON is parsed: they have no usage, or no empty array for choices.
    memmem::find(data, b"usage").is_some() && has_empty_array(data) && serde_json::from_slice(data).is_ok_and(is_usage)
}

/// A stencil that no usage chunk fits: with no empty array around its texts, there is none for choices.
fn no_usage_chunk(raw: &[u8], event: &Event<'_>) -> Option<Stencil> {
    Stencil::new(raw, event, Ignored::Texts(TEXTS)).filter(|stencil| !stencil.pieces().any(has_empty_array))
}

fn has_empty_array(json: &[u8]) -> bool {
    memchr_iter(b'[', json).any(|at| json[at + 1..].trim_ascii_start().first() == Some(&b']'))
}

fn is_usage(chunk: Raw<'_>) -> bool {
    let (mut no_choices, mut usage, mut nothing_else) = (false, Raw::default(), true);
    chunk.for_each_member(|name, value| match name {
        b"choices" => no_choices = value.json().strip_prefix('[').map(str::trim_ascii_start) == Some("]"),
        b"usage" => usage = value,
        _ => nothing_else &= !value.is_some() || FRAME.contains(&name),
    });
    // OpenRouter tells everybody what was used, with its cost.
    let usage = usage.object::<Usage<'_>>();
    no_choices && nothing_else && usage.is_some_and(|usage| !usage.cost.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n";
    const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    /// What goes on of the stream, given in pieces of every size.
    fn filtered(stream: &str) -> String {
        let mut results = (1..=stream.len().max(1)).map(|size| {
            let mut filter = UsageChunkFilter::new();
            let mut out: Vec<u8> = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                out.extend_from_slice(&filter.push(Bytes::copy_from_slice(piece)));
            }
            out.extend_from_slice(&filter.finish());
            String::from_utf8(out).unwrap()
        });
        let first = results.next().unwrap();
        assert!(results.all(|other| other == first), "the cuts matter for {stream:?}");
        first
    }

    #[test]
    fn exactly_the_usage_chunk_is_taken_out() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = |events: &[&str]| events.concat().replace('\n', end);
            let all = stream(&[": hello\n\n", TEXT, USAGE, DONE]);
            assert_eq!(filtered(&all), stream(&[": hello\n\n", TEXT, DONE]), "{end:?}");
            assert_eq!(filtered(&stream(&["\u{feff}", USAGE, TEXT, USAGE])), stream(&[TEXT]));
            assert_eq!(
                filtered(&stream(&["\u{feff}\n", USAGE, TEXT])),
                stream(&["\u{feff}\n", TEXT])
            );
            assert_eq!(filtered(&stream(&[TEXT, DONE])), stream(&[TEXT, DONE]));
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for event in [
            "data: {\"choices\":[],\"usage\":null}\n\n",
            "data: {\"choices\":[],\"prompt_filter_results\":[{\"usage\":1}]}\n\n",
            "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: {\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: {\"x\":{\"choices\":[],\"usage\":{\"n\":1}}}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}\n\n",
            "data: \"choices\":[],\"usage\":{}\n\n",
            ": {\"choices\":[],\"usage\":{\"n\":1}}\n\n",
            "data: {\"choices\":[],\"usage\":{\"n\":1}}\n",
            "\n\r\n\r",
        ] {
            assert_eq!(filtered(event), event);
        }
    }

    #[test]
    fn white_space_and_several_lines_do_not_hide_it() {
        let event = "event: x\ndata: {\"choices\" : [ ],\ndata:\"usage\": {\"n\": 1} }\nid: 7\n\n";
        assert_eq!(filtered(&format!("{TEXT}{event}{DONE}")), format!("{TEXT}{DONE}"));
    }

    #[test]
    fn whole_events_pass_without_a_copy() {
        let read = Bytes::from([TEXT, TEXT, "data: {\"cho"].concat());
        let out = UsageChunkFilter::new().push(read.clone());
        assert_eq!(out, [TEXT, TEXT].concat());
        assert_eq!(out.as_ptr(), read.as_ptr());
    }

    #[test]
    fn the_limit_is_the_same_for_every_cut() {
        let start = "data: {\"choices\":[],\"usage\":{\"n\":1},\"obfuscation\":\"";
        let chunk = |length: usize| {
            let fill = "x".repeat(length - start.len() - "\"}\r\n\r".len());
            format!("{start}{fill}\"}}\r\n\r\n")
        };
        let kept = chunk(HELD_BYTES + 1);
        let stream = [chunk(HELD_BYTES), kept.clone()].concat();
        let end = HELD_BYTES + 1;
        for cut in [0, end - 2, end - 1, end, 2 * end - 1, 2 * end, 2 * end + 1] {
            let mut filter = UsageChunkFilter::new();
            let (head, tail) = stream.as_bytes().split_at(cut);
            let mut out = filter.push(Bytes::copy_from_slice(head)).to_vec();
            out.extend_from_slice(&filter.push(Bytes::copy_from_slice(tail)));
            out.extend_from_slice(&filter.finish());
            assert!(out == kept.as_bytes(), "cut at {cut}");
        }
    }

    #[test]
    fn what_would_have_come_anyway_stays() {
        let kept = [
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1},\"citations\":[\"https://example.org\"]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"cost\":0.0042}}\n\n",
        ];
        for chunk in kept {
            let stream = [TEXT, chunk, DONE].concat();
            assert_eq!(filtered(&stream), stream);
        }
        let known = "data: {\"id\":\"c\",\"system_fingerprint\":\"f\",\"error\":null,\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
        assert_eq!(filtered(&[TEXT, known, DONE].concat()), [TEXT, DONE].concat());
    }

    #[test]
    fn comments_go_on_at_once_and_a_body_as_it_is() {
        let mut filter = UsageChunkFilter::new();
        for comment in [": keep-alive\n", ": keep-alive\n: and\n"] {
            assert_eq!(filter.push(Bytes::from_static(comment.as_bytes())), comment);
        }
        assert_eq!(filter.push(Bytes::from_static(b": ke")), "");
        assert_eq!(filter.push(Bytes::from_static(b"ep\ndata: {")), ": keep\n");
        assert_eq!(filter.finish(), "data: {");
        let mut filter = UsageChunkFilter::new();
        assert_eq!(
            filter.push(Bytes::from_static(b" {\"choices\":[],")),
            " {\"choices\":[],"
        );
        assert_eq!(
            filter.push(Bytes::from_static(b"\n\n\"usage\":{}}")),
            "\n\n\"usage\":{}}"
        );
    }

    #[test]
    fn an_endless_event_is_not_held() {
        let mut filter = UsageChunkFilter::new();
        let piece = Bytes::from(vec![b'x'; HELD_BYTES / 2]);
        let mut released = 0;
        for sent in 1..20 {
            released += filter.push(piece.clone()).len();
            assert!(sent * piece.len() - released <= HELD_BYTES);
        }
        released += filter.push(Bytes::from_static(b"\n\n")).len();
        assert_eq!(released, 19 * piece.len() + 2);
        assert_eq!(
            filter.push(Bytes::from(USAGE)),
            Bytes::new(),
            "the next event is looked at again"
        );
        assert_eq!(filter.finish(), Bytes::new());
    }
}
