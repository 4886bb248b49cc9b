//! Doors for the fuzz targets (folder `fuzz`) into what is otherwise private. Only builds by cargo-fuzz have them.

use crate::frames;
use crate::limits::{EVENT_BYTES, FRAME_HEADERS_BYTES, FRAME_PAYLOAD_BYTES};
use crate::sse::{Event, Ignored, Splitter};

/// The events that a stream's pieces give, as pairs of name and data.
///
/// # Panics
/// Where more of the stream is held than one event may have: that is a bug.
pub fn events(pieces: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut keep = |event: &Event<'_>| {
        found.push((event.name.to_vec(), event.data.to_vec()));
        Ignored::Nothing
    };
    let mut splitter = Splitter::default();
    for piece in pieces {
        splitter.push(piece, &mut keep);
        assert!(splitter.held() <= EVENT_BYTES);
    }
    splitter.finish(keep);
    found
}

/// The frames that a stream's pieces give, as text, and whether the stream was read to its end.
///
/// # Panics
/// Where more of the stream is held than one frame may have.
pub fn frames(pieces: &[&[u8]]) -> (Vec<String>, bool) {
    let (mut splitter, mut found) = (frames::Splitter::default(), Vec::new());
    for piece in pieces {
        splitter.push(piece, |frame| found.push(format!("{frame:?}")));
        assert!(splitter.held() <= FRAME_HEADERS_BYTES + FRAME_PAYLOAD_BYTES + 16);
    }
    (found, splitter.finish().is_none())
}
