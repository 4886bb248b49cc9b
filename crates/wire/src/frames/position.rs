//! Where a stream of frames stands, without reading what is in them.

use super::splitter::{PRELUDE_BYTES, length};

/// By the bytes that were sent, however they were cut.
#[derive(Debug, Default)]
pub(crate) struct Position {
    /// As much of a frame's beginning as was sent, while its length is not known.
    prelude: [u8; PRELUDE_BYTES],
    of_prelude: usize,
    /// What is missing of the frame.
    missing: usize,
    /// Where the next frame begins will never be known.
    is_lost: bool,
}

impl Position {
    /// These bytes were sent.
    pub(crate) fn sent(&mut self, mut bytes: &[u8]) {
        while !self.is_lost && !bytes.is_empty() {
            let within = self.missing.min(bytes.len());
            self.missing -= within;
            bytes = &bytes[within..];
            let taken = bytes.len().min(PRELUDE_BYTES - self.of_prelude);
            self.prelude[self.of_prelude..][..taken].copy_from_slice(&bytes[..taken]);
            self.of_prelude += taken;
            bytes = &bytes[taken..];
            if self.of_prelude == PRELUDE_BYTES {
                self.of_prelude = 0;
                match length(&self.prelude) {
                    Ok(Some(length)) => self.missing = length.saturating_sub(PRELUDE_BYTES),
                    Ok(None) | Err(_) => self.is_lost = true,
                }
            }
        }
    }

    /// Whether every frame that began was sent whole.
    pub(crate) fn is_between_frames(&self) -> bool {
        !self.is_lost && self.missing == 0 && self.of_prelude == 0
    }
}
