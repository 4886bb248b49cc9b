//! Server-sent events, split at any byte.
//!
//! [`Boundary`] finds where an event ends, [`parse`] reads one whole event, [`Splitter`] joins the two with a buffer for the
//! event that a read cut in two. Events that lie whole in one read are not copied.

use crate::limits::EVENT_BYTES;
use memchr::memchr2;
use std::borrow::Cow;

/// The byte order mark that a stream may begin with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// The `event` field; empty where there is none.
    pub(crate) name: &'a [u8],
    /// The `data` lines, joined by newlines; never empty.
    pub(crate) data: Cow<'a, [u8]>,
}

/// Finds the blank lines between events, for lines that end in LF, CRLF or CR.
///
/// A blank line ended by CR ends the event at once. An LF that follows belongs to neither that event nor the next, so that
/// their lengths do not depend on the cuts: [`Self::takes_lf`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boundary {
    /// Bytes of the stream's byte order mark seen so far; all of them once it is known that there is none.
    mark: usize,
    line_is_blank: bool,
    after_cr: bool,
    owes_lf: bool,
}

impl Default for Boundary {
    fn default() -> Self {
        Self {
            mark: 0,
            line_is_blank: true,
            after_cr: false,
            owes_lf: false,
        }
    }
}

impl Boundary {
    /// Length of the start of `bytes` that completes the event; `None` when it goes on after them.
    pub(crate) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while self.mark < MARK.len() && at < bytes.len() {
            if bytes[at] == MARK[self.mark] {
                self.mark += 1;
                at += 1;
            } else {
                self.line_is_blank = self.mark == 0;
                self.mark = MARK.len();
            }
        }
        while at < bytes.len() {
            if std::mem::take(&mut self.after_cr) && bytes[at] == b'\n' {
                at += 1;
                continue;
            }
            let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.line_is_blank = false;
                return None;
            };
            let blank = self.line_is_blank && length == 0;
            let ends_in_cr = bytes[at + length] == b'\r';
            self.line_is_blank = true;
            at += length + 1;
            if blank {
                self.owes_lf = ends_in_cr;
                return Some(at);
            }
            self.after_cr = ends_in_cr;
        }
        None
    }

    /// Whether `bytes`, which come next and are not empty, begin with the LF of the last event's CRLF.
    pub(crate) fn takes_lf(&mut self, bytes: &[u8]) -> bool {
        std::mem::take(&mut self.owes_lf) && bytes.starts_with(b"\n")
    }
}

/// Reads one event; `None` when it has no data (comments, pings, extra blank lines).
pub(crate) fn parse(mut event: &[u8]) -> Option<Event<'_>> {
    let mut name: &[u8] = b"";
    let mut data: Option<Cow<'_, [u8]>> = None;
    while !event.is_empty() {
        let end = memchr2(b'\n', b'\r', event).unwrap_or(event.len());
        let line = &event[..end];
        event = event.get(end + 1..).unwrap_or_default();
        // CRLF leaves its LF behind; it reads as a blank line, and blank lines say nothing here.
        if let Some(value) = field(line, b"data") {
            match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(lines) => {
                    let lines = lines.to_mut();
                    lines.push(b'\n');
                    lines.extend_from_slice(value);
                }
            }
        } else if let Some(value) = field(line, b"event") {
            name = value;
        }
    }
    data.filter(|data| !data.is_empty()).map(|data| Event { name, data })
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Gives a stream's events, however its bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    boundary: Boundary,
    carry: Vec<u8>,
    /// The event under way is over the limit: its bytes are passed over until it ends.
    skipping: bool,
    started: bool,
}

impl Splitter {
    /// Takes the next bytes and hands on every event that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut on_event: impl FnMut(&Event<'_>)) {
        while !bytes.is_empty() {
            if self.boundary.takes_lf(bytes) {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = self.boundary.find_end(bytes) else {
                self.keep(bytes);
                return;
            };
            let (head, rest) = bytes.split_at(end);
            bytes = rest;
            if self.carry.is_empty() && !self.skipping && head.len() <= EVENT_BYTES {
                self.emit(head, &mut on_event);
            } else {
                self.keep(head);
                self.emit_carry(&mut on_event);
            }
        }
    }

    /// Hands on the last event where its blank line is missing.
    pub(crate) fn finish(&mut self, mut on_event: impl FnMut(&Event<'_>)) {
        self.emit_carry(&mut on_event);
    }

    /// Whether the bytes so far end inside an event.
    pub(crate) fn is_inside_event(&self) -> bool {
        self.skipping || self.carry.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// Bytes held of the event under way.
    #[cfg(fuzzing)]
    pub(crate) fn held(&self) -> usize {
        self.carry.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping {
            return;
        }
        if self.carry.len() + bytes.len() > EVENT_BYTES {
            self.skipping = true;
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(bytes);
        }
    }

    fn emit_carry(&mut self, on_event: &mut impl FnMut(&Event<'_>)) {
        if std::mem::take(&mut self.skipping) {
            self.started = true;
            return;
        }
        let mut carry = std::mem::take(&mut self.carry);
        self.emit(&carry, on_event);
        // One large event must not cost its memory for the rest of the stream.
        if carry.capacity() <= 64 * 1024 {
            carry.clear();
            self.carry = carry;
        }
    }

    fn emit(&mut self, event: &[u8], on_event: &mut impl FnMut(&Event<'_>)) {
        let event = if std::mem::replace(&mut self.started, true) {
            event
        } else {
            without_mark(event)
        };
        if let Some(event) = parse(event) {
            on_event(&event);
        }
    }
}

/// A stream's first event without its byte order mark.
pub(crate) fn without_mark(event: &[u8]) -> &[u8] {
    event.strip_prefix(MARK).unwrap_or(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut splitter = Splitter::default();
        for piece in pieces {
            splitter.push(piece, |event| found.push((text(event.name), text(&event.data))));
        }
        splitter.finish(|event| found.push((text(event.name), text(&event.data))));
        found
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
            .collect()
    }

    #[test]
    fn events_are_the_same_for_every_line_end_and_every_cut() {
        let stream = "\u{feff}event: a\ndata: 1\n\n: ping\n\n\ndata:2\ndata:  3\ndata\nid: 9\nretry: 1\n\nevent: none\n\ndata: é\n\n";
        let wanted = pairs(&[("a", "1"), ("", "2\n 3\n"), ("", "é")]);
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end).into_bytes();
            for cut in 0..=stream.len() {
                let (head, tail) = stream.split_at(cut);
                assert_eq!(events(&[head, tail]), wanted, "{end:?} cut at {cut}");
            }
            assert_eq!(
                events(&stream.chunks(1).collect::<Vec<_>>()),
                wanted,
                "{end:?} byte by byte"
            );
        }
    }

    #[test]
    fn an_event_without_its_blank_line_comes_at_the_end() {
        assert_eq!(events(&[b"data: 1\n\ndata: 2"]), pairs(&[("", "1"), ("", "2")]));
        assert_eq!(events(&[b"data: 1\r", b"\n\r"]), pairs(&[("", "1")]));
    }

    #[test]
    fn fields_of_other_names_are_passed_over() {
        assert_eq!(
            events(&[b"datax: 1\ndata : 2\n data: 3\ndata: 4\n\n"]),
            pairs(&[("", "4")])
        );
        assert_eq!(
            events(&[b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n"]),
            pairs(&[("", "1")]),
            "a mark inside the stream"
        );
    }

    #[test]
    fn half_a_byte_order_mark_is_a_line_like_any_other() {
        assert_eq!(Boundary::default().find_end(b"\xef\n\n"), Some(3));
        assert_eq!(Boundary::default().find_end(b"\xef\xbb\xbf\n\n"), Some(4));
        let mut boundary = Boundary::default();
        assert_eq!(
            (boundary.find_end(b"\xef\xbb"), boundary.find_end(b"\n\n")),
            (None, Some(2))
        );
    }

    #[test]
    fn an_event_over_the_limit_is_skipped_and_not_held() {
        let large = [b"data: ".as_slice(), &vec![b'x'; EVENT_BYTES], b"\n\n"].concat();
        let next = b"data: next\n\n";
        let wanted = pairs(&[("", "next")]);
        assert_eq!(events(&[&large, next]), wanted);
        assert_eq!(events(&[&[large.as_slice(), next].concat()]), wanted);
        let mut splitter = Splitter::default();
        for piece in large.chunks(1 << 20) {
            splitter.push(piece, |_| panic!("the event is too large"));
            assert!(splitter.carry.len() <= EVENT_BYTES);
        }
        assert_eq!(splitter.carry.capacity(), 0);
        assert_eq!(
            events(&large.chunks(1 << 20).chain([next.as_slice()]).collect::<Vec<_>>()),
            wanted
        );
    }

    #[test]
    fn the_limit_is_the_same_for_every_cut() {
        let data = "x".repeat(EVENT_BYTES - "data: \r\n\r".len());
        let stream = format!("data: {data}\r\n\r\ndata: {data}x\r\n\r\ndata: next\r\n\r\n");
        let wanted = pairs(&[("", &data), ("", "next")]);
        let end = EVENT_BYTES + 1;
        for cut in [0, end - 1, end, 2 * end] {
            let (head, tail) = stream.as_bytes().split_at(cut);
            assert!(events(&[head, tail]) == wanted, "cut at {cut}");
        }
    }

    #[test]
    fn it_is_known_whether_the_stream_stands_inside_an_event() {
        let mut splitter = Splitter::default();
        for (bytes, inside) in [
            ("", false),
            ("data: 1", true),
            ("\n", true),
            ("\r", false),
            ("\n", false),
            (":", true),
        ] {
            splitter.push(bytes.as_bytes(), |_| {});
            assert_eq!(splitter.is_inside_event(), inside, "after {bytes:?}");
        }
    }
}
