//! Sealing records on disk: AES-256-GCM. The spool key comes with the configuration and stays the same for years, and for all
//! replicas with one gateway key. So nothing is sealed with the key itself: each run of the process draws a salt, and the run's
//! key is derived from both (HKDF-SHA256). Within a run the nonce is a counter, so none is used twice.

use super::frame::{self, HEAD};
use crate::key_derivation;
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::error::Unspecified;
use lychgate_types::secret::SpoolKey;
use std::ops::Range;

/// The salt of one run of the process.
pub(super) type RunSalt = [u8; 32];
/// Tells spool keys apart.
pub(super) type KeyId = key_derivation::SecretId;

const RUN_KEY: &[u8] = b"lychgate spool run v1";
const KEY_ID: &[u8] = b"lychgate spool key id v1";

/// What seals and opens the frames of one run under one spool key.
pub(super) struct Sealer {
    id: KeyId,
    cipher: LessSafeKey,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    pub(super) fn new(key: &SpoolKey, salt: &RunSalt) -> Result<Self, Unspecified> {
        Ok(Self {
            id: key_derivation::id(key.expose(), KEY_ID)?,
            cipher: key_derivation::cipher(key.expose(), salt, RUN_KEY)?,
        })
    }

    /// The id of the spool key.
    pub(super) const fn id(&self) -> KeyId {
        self.id
    }

    /// Seals in place what follows the head of a frame, and completes the frame.
    pub(super) fn seal(&self, number: u64, frame: &mut Vec<u8>) -> Result<(), SealError> {
        let tag = self
            .cipher
            .seal_in_place_separate_tag(nonce(number), Aad::empty(), &mut frame[HEAD..])
            .map_err(|Unspecified| SealError::Cipher)?;
        frame.extend_from_slice(tag.as_ref());
        frame::finish(frame, number).map_err(SealError::Frame)
    }

    /// Opens a whole frame in place; returns the range of the record. `None` if it was sealed with another key.
    pub(super) fn open(&self, frame: &mut [u8]) -> Option<Range<usize>> {
        let nonce = nonce(frame::number(frame));
        let from = frame::sealed_from(frame);
        let sealed = frame.get_mut(from..)?;
        let plain = self.cipher.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        Some(from..from + plain.len())
    }
}

/// Why a record could not be sealed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    #[error(transparent)]
    Frame(frame::TooLong),
    #[error("the cipher failed")]
    Cipher,
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(key: u8, salt: u8) -> Sealer {
        Sealer::new(&SpoolKey::from_bytes([key; 32]), &[salt; 32]).unwrap()
    }

    fn sealed(sealer: &Sealer, number: u64, text: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame::begin(&mut frame, lychgate_types::Holder::default());
        frame.extend_from_slice(text);
        sealer.seal(number, &mut frame).unwrap();
        frame
    }

    #[test]
    fn only_the_same_key_and_run_open_it() {
        let mut frame = sealed(&sealer(1, 1), 5, b"a plan");
        assert!(!frame.windows(4).any(|bytes| bytes == b"plan"));
        for other in [sealer(2, 1), sealer(1, 2)] {
            assert_eq!(other.open(&mut frame.clone()), None);
        }
        let place = sealer(1, 1).open(&mut frame).unwrap();
        assert_eq!(&frame[place], b"a plan");
    }

    #[test]
    fn a_frame_under_another_number_does_not_open() {
        let sealer = sealer(1, 1);
        let mut frame = sealed(&sealer, 5, b"a plan");
        frame::finish(&mut frame, 6).unwrap();
        assert_eq!(sealer.open(&mut frame), None);
        assert_ne!(sealed(&sealer, 1, b"same")[HEAD..], sealed(&sealer, 2, b"same")[HEAD..]);
    }

    #[test]
    fn ids_tell_keys_apart_without_revealing_them() {
        assert_ne!(sealer(1, 1).id(), sealer(2, 1).id());
        assert_eq!(sealer(1, 1).id(), sealer(1, 2).id());
        assert_eq!(format!("{:?}", sealer(1, 1)), "Sealer");
    }
}
