//! Takes the usage chunk that the client did not ask for out of a Chat Completions stream.

use crate::json::{self, Raw, members};
use crate::limits::HELD_BYTES;
use crate::sse::{self, Boundary};
use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// Passes a stream on without the chunk that has `"choices":[]` and a usage.
///
/// Every other byte goes on as it came. Held back is only an event that has begun and not ended, and of that no more than
/// [`HELD_BYTES`]: a larger one is no usage chunk.
#[derive(Debug, Default)]
pub struct UsageChunkFilter {
    boundary: Boundary,
    held: BytesMut,
    /// The event under way is too large to be the usage chunk.
    passing: bool,
    started: bool,
    /// The last event ended in CR at the end of its bytes: a LF that comes next is its own, taken out (true) or not.
    lf_is_out: Option<bool>,
}

impl UsageChunkFilter {
    /// A filter at a stream's beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives those that may go on now; they may be none.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        let mut out = Out::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = self.boundary.find_end(&rest);
            if let Some(is_out) = self.lf_is_out.take()
                && rest[0] == b'\n'
            {
                let lf = rest.split_to(1);
                if !is_out {
                    out.add(lf);
                }
                let Some(end) = end.map(|end| end - 1) else {
                    self.unfinished(rest, &mut out);
                    break;
                };
                self.finished(rest.split_to(end), &mut out);
            } else if let Some(end) = end {
                self.finished(rest.split_to(end), &mut out);
            } else {
                self.unfinished(rest, &mut out);
                break;
            }
        }
        out.into_bytes()
    }

    /// What is still held when the stream has ended.
    pub fn finish(self) -> Bytes {
        self.held.freeze()
    }

    fn finished(&mut self, end: Bytes, out: &mut Out) {
        let event = if self.held.is_empty() {
            end
        } else {
            self.held.extend_from_slice(&end);
            std::mem::take(&mut self.held).freeze()
        };
        let passing = std::mem::take(&mut self.passing);
        let is_first = !std::mem::replace(&mut self.started, true);
        let is_out = !passing && event.len() <= HELD_BYTES && is_usage_chunk(&event, is_first);
        if !is_out {
            out.add(event);
        }
        self.lf_is_out = self.boundary.expects_lf().then_some(is_out);
    }

    fn unfinished(&mut self, bytes: Bytes, out: &mut Out) {
        if self.passing || self.held.len() + bytes.len() > HELD_BYTES {
            self.passing = true;
            out.add(std::mem::take(&mut self.held).freeze());
            out.add(bytes);
        } else {
            self.held.extend_from_slice(&bytes);
        }
    }
}

/// What goes on. Pieces that lie side by side in one buffer, as all do while nothing is taken out, are not copied.
#[derive(Default)]
struct Out {
    whole: Bytes,
    joined: BytesMut,
}

impl Out {
    fn add(&mut self, piece: Bytes) {
        if self.joined.is_empty() && self.whole.is_empty() {
            self.whole = piece;
        } else if !piece.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.whole));
            self.joined.extend_from_slice(&piece);
        }
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() {
            self.whole
        } else {
            self.joined.freeze()
        }
    }
}

members! {
    struct Chunk<'de> { choices: Raw<'de> = b"choices", usage: Raw<'de> = b"usage", }
}

fn is_usage_chunk(event: &[u8], is_first: bool) -> bool {
    // Most events fail here, before anything is parsed.
    if memmem::find(event, b"usage").is_none() {
        return false;
    }
    let event = if is_first { sse::without_bom(event) } else { event };
    let Some(chunk) = sse::parse(event).and_then(|event| Some(is_usage(&json::object::<Chunk<'_>>(&event.data)?)))
    else {
        return false;
    };
    chunk
}

fn is_usage(chunk: &Chunk<'_>) -> bool {
    let no_choices = chunk
        .choices
        .json()
        .strip_prefix('[')
        .is_some_and(|rest| rest.trim_ascii_start() == "]");
    no_choices && chunk.usage.is_some()
}
