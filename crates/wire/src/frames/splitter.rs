//! A stream cut into its frames.

use super::{Frame, read};
use crate::limits::{FRAME_HEADERS_BYTES, FRAME_PAYLOAD_BYTES};
use aws_smithy_eventstream::frame::read_message_from;

/// Both lengths and their checksum.
pub(super) const PRELUDE_BYTES: usize = 12;
/// What is no header and no payload: the prelude, and the checksum at the end.
const AROUND_BYTES: usize = PRELUDE_BYTES + 4;

/// Why a stream can't be read on. Where the next frame begins is not known then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("the answer is no stream of frames, or the beginning of one of them is damaged")]
    Prelude,
    #[error("a frame claims to be longer than the protocol allows")]
    TooLarge,
    #[error("a frame is damaged")]
    Frame,
    #[error("the stream ended within a frame")]
    Cut,
}

/// Gives a stream's frames, however its bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// What came of the frame under way. It grows with what comes, not by what the frame claims.
    carry: Vec<u8>,
    damage: Option<Damage>,
}

impl Splitter {
    /// Takes the next bytes and hands on every frame that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut on_frame: impl FnMut(&Frame<'_>)) {
        while self.damage.is_none() && !bytes.is_empty() {
            let (length, from_carry) = match self.carry.is_empty() {
                true => (length(bytes), false),
                false => {
                    let prelude = PRELUDE_BYTES.saturating_sub(self.carry.len());
                    self.take(&mut bytes, prelude);
                    (length(&self.carry), true)
                }
            };
            let length = match length {
                Ok(Some(length)) => length,
                Ok(None) => return self.take(&mut bytes, PRELUDE_BYTES),
                Err(damage) => return self.damage = Some(damage),
            };
            let Some(missing) = length
                .checked_sub(self.carry.len())
                .filter(|missing| *missing <= bytes.len())
            else {
                return self.take(&mut bytes, length);
            };
            let (frame, rest) = bytes.split_at(missing);
            bytes = rest;
            if from_carry {
                self.carry.extend_from_slice(frame);
                let mut carry = std::mem::take(&mut self.carry);
                self.emit(&carry, &mut on_frame);
                // One large frame must not cost its memory for the rest of the stream.
                if carry.capacity() <= 64 * 1024 {
                    carry.clear();
                    self.carry = carry;
                }
            } else {
                self.emit(frame, &mut on_frame);
            }
        }
    }

    /// Why the stream could not be read to its end, which is here.
    pub(crate) fn finish(self) -> Option<Damage> {
        self.damage.or((!self.carry.is_empty()).then_some(Damage::Cut))
    }

    /// Whether the bytes so far end inside a frame, or behind damage: nothing that follows is read as what it is.
    pub(crate) fn is_inside_frame(&self) -> bool {
        self.damage.is_some() || !self.carry.is_empty()
    }

    /// Bytes held of the frame under way.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.carry.len()
    }

    /// Moves as many bytes as there are, and at most `count`, into the carry.
    fn take(&mut self, bytes: &mut &[u8], count: usize) {
        let (taken, rest) = bytes.split_at(count.min(bytes.len()));
        self.carry.extend_from_slice(taken);
        *bytes = rest;
    }

    fn emit(&mut self, frame: &[u8], on_frame: &mut impl FnMut(&Frame<'_>)) {
        match read_message_from(frame) {
            Ok(message) => read(&message).iter().for_each(on_frame),
            Err(_) => self.damage = Some(Damage::Frame),
        }
    }
}

/// Whether the beginning of a stream ends within its first frame.
pub(crate) fn is_inside_first(beginning: &[u8]) -> bool {
    match length(beginning) {
        Ok(length) => length.is_none_or(|length| beginning.len() < length),
        Err(_) => false,
    }
}

/// The frame that begins with these bytes as it would be with no payload; `None` where its headers have not come.
pub(crate) fn without_payload(beginning: &[u8]) -> Option<Vec<u8>> {
    let prelude = beginning.first_chunk::<PRELUDE_BYTES>()?;
    let headers = u32::from_be_bytes([prelude[4], prelude[5], prelude[6], prelude[7]]);
    let headers = usize::try_from(headers).ok()?;
    let headers = beginning.get(PRELUDE_BYTES..PRELUDE_BYTES.checked_add(headers)?)?;
    let length = u32::try_from(AROUND_BYTES + headers.len()).ok()?;
    let mut frame = [&length.to_be_bytes()[..], &prelude[4..8]].concat();
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    Some(frame)
}

/// The length of the frame that begins with these bytes; `None` where that has not come yet. Checked before anything is held.
pub(super) fn length(beginning: &[u8]) -> Result<Option<usize>, Damage> {
    let Some((prelude, _)) = beginning.split_first_chunk::<PRELUDE_BYTES>() else {
        return Ok(None);
    };
    let number = |at: usize| u32::from_be_bytes([prelude[at], prelude[at + 1], prelude[at + 2], prelude[at + 3]]);
    if crc32fast::hash(&prelude[..8]) != number(8) {
        return Err(Damage::Prelude);
    }
    let (length, headers) = (number(0) as usize, number(4) as usize);
    let payload = length
        .checked_sub(AROUND_BYTES)
        .and_then(|inside| inside.checked_sub(headers));
    match payload {
        None => Err(Damage::Prelude),
        Some(payload) if headers > FRAME_HEADERS_BYTES || payload > FRAME_PAYLOAD_BYTES => Err(Damage::TooLarge),
        Some(_) => Ok(Some(length)),
    }
}
