//! Server-sent events, split at any byte.
//!
//! [`Boundary`] finds where an event ends, [`parse`] reads one whole event, [`Splitter`] joins the two with a buffer for the
//! event that a read cut in two. Events that lie whole in one read are not copied.

use crate::limits::EVENT_BYTES;
use memchr::memchr2;
use std::borrow::Cow;

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
/// A blank line ended by CR ends the event at once. Where the bytes stop there and LF follows later, that LF is the first
/// byte of the next event, which [`parse`] passes over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boundary {
    line_is_blank: bool,
    after_cr: bool,
}

impl Default for Boundary {
    fn default() -> Self {
        Self {
            line_is_blank: true,
            after_cr: false,
        }
    }
}

impl Boundary {
    /// Length of the start of `bytes` that completes the event; `None` when it goes on after them.
    pub(crate) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            at = usize::from(bytes[0] == b'\n');
        }
        while at < bytes.len() {
            let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.line_is_blank = false;
                return None;
            };
            let blank = self.line_is_blank && length == 0;
            let end = at + length;
            self.line_is_blank = true;
            at = end + 1;
            if bytes[end] == b'\r' {
                match bytes.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if blank {
                return Some(at);
            }
        }
        None
    }

    /// Whether the last event ended in CR, so that a LF which comes next still belongs to it.
    pub(crate) fn expects_lf(&self) -> bool {
        self.after_cr
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
            without_bom(event)
        };
        if let Some(event) = parse(event) {
            on_event(&event);
        }
    }
}

/// A stream's first event without its byte order mark.
pub(crate) fn without_bom(event: &[u8]) -> &[u8] {
    event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event)
}
