//! Server-sent events, split at any byte.
//!
//! [`Boundary`] finds where an event ends, [`parse`] reads one whole event, [`Splitter`] joins the two with a buffer for the
//! event that a read cut in two. Events that lie whole in one read are not copied. Those like one that said nothing are not
//! even parsed: [`Stencil`].

mod boundary;
mod large;
mod splitter;
mod stencil;
#[cfg(test)]
mod tests;

use memchr::memchr2;
use std::borrow::Cow;

pub(crate) use boundary::Boundary;
pub(crate) use large::LargeEvent;
pub(crate) use splitter::Splitter;
pub(crate) use stencil::{Ignored, Stencil};

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

/// Reads what stands in the place of an event and has no data: an object, from the line that it begins. Servers end streams with an
/// error like that.
pub(crate) fn bare_json(mut event: &[u8]) -> Option<Event<'_>> {
    while !event.starts_with(b"{") {
        let end = memchr2(b'\n', b'\r', event)?;
        event = &event[end + 1..];
    }
    Some(Event {
        name: b"",
        data: event.trim_ascii_end().into(),
    })
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// A stream's first event without its byte order mark.
pub(crate) fn without_mark(event: &[u8]) -> &[u8] {
    event.strip_prefix(MARK).unwrap_or(event)
}
