//! Passing over events that are as good as one that was read.
//!
//! Most of a stream is small pieces of text that differ in nothing else, and none of it is recorded. Once such an event was
//! read in full and is known to say nothing, [`Stencil`] keeps its bytes with windows where the text stood. Whatever fits the
//! stencil says as little, and one comparison finds that and the event's end.

use crate::estimate::{decoded_length, string_length};
use crate::limits::STENCIL_BYTES;
use crate::sse::Event;
use memchr::{memchr2, memmem};
use std::borrow::Cow;
use std::ops::Range;

/// What of an event that says nothing could be otherwise, and it would still say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// That is not known, or the event does say something.
    Nothing,
    /// That is not known; but so many bytes of the model's text are in it.
    Said(u64),
    /// All of its data after so many bytes; the member of this name that is there is the model's text.
    After(usize, &'static str),
    /// The text of the members with these names, wherever in its data they are: first the model's. The data is well-formed.
    Texts(&'static [&'static str]),
}

/// An event's bytes, with windows.
#[derive(Debug)]
pub(crate) struct Stencil {
    /// What must stand before, between and after the windows.
    fixed: Vec<u8>,
    /// Where in `fixed` each window opens.
    windows: Vec<(usize, Window)>,
}

#[derive(Debug, Clone, Copy)]
enum Window {
    /// The rest of a line, in which the member of this name is the model's text.
    Line(&'static str),
    /// The inside of a JSON string; whether it is the model's text.
    Text(bool),
}

impl Ignored {
    /// Bytes of the model's text in the data of the event of which this was said.
    pub(crate) fn text_bytes(self, data: &[u8]) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Said(bytes) => bytes,
            Self::After(length, member) => member_bytes(member, data.get(length..).unwrap_or_default()),
            Self::Texts(members) => members.first().map_or(0, |member| member_bytes(member, data)),
        }
    }
}

fn member_bytes(member: &str, data: &[u8]) -> u64 {
    text_of(member, data).map_or(0, |place| decoded_length(&data[place]))
}

impl Stencil {
    /// A stencil of the event that was read from the bytes `raw`; `None` where nothing else would fit it.
    pub(crate) fn new(raw: &[u8], event: &Event<'_>, ignored: Ignored) -> Option<Self> {
        // Other line ends owe the next event an LF, and data of several lines stands nowhere in one piece.
        let (true, Cow::Borrowed(data)) = (raw.ends_with(b"\n\n"), &event.data) else {
            return None;
        };
        let mut places: Vec<_> = match ignored {
            Ignored::Nothing | Ignored::Said(_) => return None,
            Ignored::After(length, member) => vec![(length..data.len(), Window::Line(member))],
            Ignored::Texts(members) => {
                let place = |(at, member): (usize, &&str)| Some((text_of(member, data)?, Window::Text(at == 0)));
                members.iter().enumerate().filter_map(place).collect()
            }
        };
        if places.is_empty() {
            return None;
        }
        places.sort_unstable_by_key(|(place, _)| place.start);
        let data_at = (data.as_ptr() as usize).checked_sub(raw.as_ptr() as usize)?;
        let mut stencil = Self {
            fixed: Vec::with_capacity(raw.len()),
            windows: Vec::with_capacity(places.len()),
        };
        let mut at = 0;
        for (place, window) in places {
            stencil.fixed.extend_from_slice(raw.get(at..data_at + place.start)?);
            stencil.windows.push((stencil.fixed.len(), window));
            at = data_at + place.end;
        }
        stencil.fixed.extend_from_slice(raw.get(at..)?);
        (stencil.fixed.len() <= STENCIL_BYTES).then_some(stencil)
    }

    /// Length of the event at the start of `bytes`, if it is whole and fits.
    pub(crate) fn fits(&self, bytes: &[u8]) -> Option<usize> {
        self.fits_with(bytes, |_, _| {})
    }

    /// The same, and how many bytes of the model's text are in it.
    pub(crate) fn fits_and_says(&self, bytes: &[u8]) -> Option<(usize, u64)> {
        let mut said = 0;
        let length = self.fits_with(bytes, |window, inside| match window {
            Window::Line(member) => said += member_bytes(member, inside),
            Window::Text(true) => said += decoded_length(inside),
            Window::Text(false) => {}
        })?;
        Some((length, said))
    }

    fn fits_with(&self, bytes: &[u8], mut inside: impl FnMut(Window, &[u8])) -> Option<usize> {
        let (mut rest, mut from) = (bytes, 0);
        for (until, window) in &self.windows {
            rest = rest.strip_prefix(&self.fixed[from..*until])?;
            let (within, behind) = rest.split_at(window.length(rest)?);
            inside(*window, within);
            (rest, from) = (behind, *until);
        }
        rest = rest.strip_prefix(&self.fixed[from..])?;
        Some(bytes.len() - rest.len())
    }

    /// The pieces between the windows.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.windows.iter().map(|(until, _)| *until).chain([self.fixed.len()]);
        ends.scan(0, |from, until| {
            Some(&self.fixed[std::mem::replace(from, until)..until])
        })
    }
}

impl Window {
    /// How much of the start of `bytes` stands in the window. Never a line end: the lines of what fits are the stencil's own.
    fn length(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Line(_) => memchr2(b'\n', b'\r', bytes),
            Self::Text(_) => {
                let length = string_length(bytes)?;
                memchr2(b'\n', b'\r', &bytes[..length]).is_none().then_some(length)
            }
        }
    }
}

/// Where the text of a member stands: the inside of the string after the first such name.
///
/// Whether the bytes up to there are the start of a JSON text or not, the string is one and the name is its own: an unescaped
/// quote before a name can only open it.
fn text_of(member: &str, data: &[u8]) -> Option<Range<usize>> {
    memmem::find_iter(data, member).find_map(|at| {
        let before = data[..at].strip_suffix(b"\"")?;
        if before.ends_with(b"\\") {
            return None;
        }
        let value = data[at + member.len()..].strip_prefix(b"\"")?.trim_ascii_start();
        let text = value.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
        let start = data.len() - text.len();
        Some(start..start + Window::Text(false).length(text)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::{Splitter, parse};

    const TEXT: Ignored = Ignored::Texts(&["t", "u"]);

    fn stencil(raw: &str, ignored: Ignored) -> Option<Stencil> {
        Stencil::new(raw.as_bytes(), &parse(raw.as_bytes()).unwrap(), ignored)
    }

    #[test]
    fn what_fits_differs_in_the_texts_only() {
        let stencil = stencil(
            "event: e\ndata: {\"u\" : \"x\",\"n\":1,\"t\":\"\\\"\"}\nid: 7\n\n",
            TEXT,
        )
        .unwrap();
        let event = |u, n, t| format!("event: e\ndata: {{\"u\" : \"{u}\",\"n\":{n},\"t\":\"{t}\"}}\nid: 7\n\n");
        for (u, t) in [("", ""), ("x", r#"\""#), (r"\\", r#"a\"b\\\n"#), ("né", "\u{0}")] {
            let fitting = event(u, 1, t);
            assert_eq!(stencil.fits(fitting.as_bytes()), Some(fitting.len()), "{fitting}");
            assert_eq!(stencil.fits((fitting.clone() + "data").as_bytes()), Some(fitting.len()));
            assert_eq!(
                stencil.fits(&fitting.as_bytes()[..fitting.len() - 1]),
                None,
                "it may go on"
            );
        }
        for other in [
            event("x", 2, "x"),
            event("x", 1, r"\"),
            event("x\"", 1, "x"),
            event("x", 1, "\n"),
            event("x", 1, "\\\r"),
            event("x", 1, "x").replace("id: 7", "id: 8"),
            event("x", 1, "x").replace("event: e", "event: f"),
            event("x", 1, "x").replace('\n', "\r\n"),
        ] {
            assert_eq!(stencil.fits(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_rest_of_a_line_may_be_anything() {
        let stencil = stencil("event: e\ndata: abc\nid: 7\n\n", Ignored::After(1, "")).unwrap();
        for (event, fits) in [
            ("event: e\ndata: a\nid: 7\n\n", true),
            ("event: e\ndata: a: \"x\nid: 7\n\n", true),
            ("event: e\ndata: \nid: 7\n\n", false),
            ("event: e\ndata: a\n\nid: 7\n\n", false),
            ("event: e\ndata: a\r\nid: 7\n\n", false),
        ] {
            assert_eq!(stencil.fits(event.as_bytes()), fits.then_some(event.len()), "{event:?}");
        }
    }

    #[test]
    fn of_some_events_there_is_none() {
        assert!(stencil("data: {\"t\":\"x\"}\n\n", TEXT).is_some());
        for (raw, ignored) in [
            ("data: {\"t\":\"x\"}\n\n", Ignored::Nothing),
            ("data: {\"t\":null}\n\n", TEXT),
            ("data: {\"v\":\"\\\"t\\\":\\\"x\\\"\"}\n\n", TEXT),
            ("data: {\"v\\\"t\":\"x\"}\n\n", TEXT),
            ("data: {\"t\":\"x\"}\r\n\r", TEXT),
            ("data: {\"t\":\"x\"}", TEXT),
            ("data: {\ndata: \"t\":\"x\"}\n\n", TEXT),
        ] {
            assert!(stencil(raw, ignored).is_none(), "{raw:?}");
        }
        let large = format!("data: {{\"t\":\"x\",\"v\":\"{}\"}}\n\n", "x".repeat(STENCIL_BYTES));
        assert!(stencil(&large, TEXT).is_none());
    }

    #[test]
    fn events_like_one_that_said_nothing_are_not_handed_on() {
        let mut seen = Vec::new();
        let mut splitter = Splitter::default();
        let stream = "\u{feff}data: {\"t\":\"a\"}\n\ndata: {\"t\":\"b\"}\n\n: c\n\ndata: {\"t\":\"d\"}\n\ndata: e\n\ndata: {\"t\":\"f\"}\n\n";
        for piece in stream.as_bytes().chunks(20) {
            splitter.push(piece, |event| {
                seen.push(String::from_utf8_lossy(&event.data).into_owned());
                TEXT
            });
        }
        assert_eq!(seen, ["{\"t\":\"a\"}", "e"]);
        assert_eq!(splitter.text_bytes(), 4, "of what was passed over, too");
    }
}
