//! What the head of an answer says about the body behind it.

use crate::exchange::content_coding::Coding;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyKind {
    /// A stream of events (server-sent ones, or those in AWS's frames), into which an error event can be put.
    pub(crate) is_event_stream: bool,
    /// A stream, or what may turn out to be one under another name: an answer without a length of its own.
    pub(crate) may_be_stream: bool,
    /// How it is compressed.
    pub(crate) coding: Coding,
    /// An answer with this head has to have a body.
    pub(crate) is_due: bool,
}

impl BodyKind {
    /// Not compressed: it can be read as it is, and something can be put into it or taken out.
    pub(crate) fn is_plain(self) -> bool {
        self.coding == Coding::Plain
    }

    pub(crate) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        Self {
            is_event_stream: is_event_stream(headers),
            may_be_stream: is_event_stream(headers) || (status.is_success() && !headers.contains_key(CONTENT_LENGTH)),
            coding: Coding::of(headers),
            is_due: is_due(status, headers),
        }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const NAMES: [&[u8]; 2] = [b"text/event-stream", b"application/vnd.amazon.eventstream"];
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let begins = |name: &&[u8]| {
            value
                .as_bytes()
                .get(..name.len())
                .is_some_and(|is| is.eq_ignore_ascii_case(name))
        };
        NAMES.iter().any(begins)
    })
}

fn is_due(status: StatusCode, headers: &HeaderMap) -> bool {
    let none = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT);
    // A provider that announces an empty body may send one.
    status.is_success() && !none && headers.get(CONTENT_LENGTH).is_none_or(|length| length != "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_ENCODING;
    use http::{HeaderName, HeaderValue};

    fn kind(status: u16, pairs: &[(HeaderName, &'static str)]) -> BodyKind {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        BodyKind::of(StatusCode::from_u16(status).unwrap(), &HeaderMap::from_iter(pairs))
    }

    #[test]
    fn when_a_body_is_due() {
        for (status, headers, due) in [
            (200, vec![], true),
            (200, vec![(CONTENT_LENGTH, "5")], true),
            (200, vec![(CONTENT_LENGTH, "0")], false),
            (204, vec![], false),
            (205, vec![], false),
            (302, vec![], false),
            (500, vec![], false),
        ] {
            assert_eq!(kind(status, &headers).is_due, due, "{status} {headers:?}");
        }
    }

    #[test]
    fn which_bodies_can_be_read_and_which_are_streams() {
        for (headers, plain, stream) in [
            (vec![], true, false),
            (vec![(CONTENT_ENCODING, "Identity")], true, false),
            (vec![(CONTENT_ENCODING, " none")], true, false),
            (vec![(CONTENT_ENCODING, "gzip")], false, false),
            (
                vec![(CONTENT_ENCODING, "br"), (CONTENT_TYPE, "text/event-stream")],
                false,
                true,
            ),
            (vec![(CONTENT_TYPE, "text/event-stream")], true, true),
            (vec![(CONTENT_TYPE, "application/vnd.amazon.eventstream")], true, true),
            (vec![(CONTENT_TYPE, "Text/Event-Stream; charset=utf-8")], true, true),
            (vec![(CONTENT_TYPE, "text/event")], true, false),
        ] {
            let kind = kind(200, &headers);
            assert_eq!((kind.is_plain(), kind.is_event_stream), (plain, stream), "{headers:?}");
        }
    }
}
