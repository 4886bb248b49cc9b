//! The files of the spool: `0000000000000007.segment`, numbered upward. Each begins with a [`Header`], written twice so that one
//! damaged copy does not cost the whole segment; frames follow. A segment is written by one run only, and not after it is closed.

use super::seal::{KeyId, RunSalt};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes before the first frame.
pub(super) const HEADER: usize = 2 * COPY;

const COPY: usize = 64;
const MAGIC: [u8; 8] = *b"lgspool1";
const SUFFIX: &str = ".segment";

/// The header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The salt of the run that writes it.
    pub(super) salt: RunSalt,
    /// The spool key that it is sealed with.
    pub(super) key: KeyId,
    /// Records appended before the first one in here.
    pub(super) ordinal: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut copy = [0; COPY];
        copy[..8].copy_from_slice(&MAGIC);
        copy[8..40].copy_from_slice(&self.salt);
        copy[40..48].copy_from_slice(&self.key);
        copy[48..56].copy_from_slice(&self.ordinal.to_le_bytes());
        let sum = crc32c::crc32c(&copy[..COPY - 4]);
        copy[COPY - 4..].copy_from_slice(&sum.to_le_bytes());
        let mut both = [0; HEADER];
        both[..COPY].copy_from_slice(&copy);
        both[COPY..].copy_from_slice(&copy);
        both
    }

    /// Reads either copy from the beginning of a segment.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.chunks_exact(COPY).take(2).find_map(Self::decode_copy)
    }

    fn decode_copy(copy: &[u8]) -> Option<Self> {
        let (covered, sum) = copy.split_last_chunk()?;
        if crc32c::crc32c(covered) != u32::from_le_bytes(*sum) || covered.get(..8)? != MAGIC {
            return None;
        }
        Some(Self {
            salt: covered.get(8..40)?.try_into().ok()?,
            key: covered.get(40..48)?.try_into().ok()?,
            ordinal: u64::from_le_bytes(covered.get(48..56)?.try_into().ok()?),
        })
    }
}

/// The path of the segment with this number.
pub(super) fn path(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("{sequence:016x}{SUFFIX}"))
}

/// The numbers and lengths in bytes of the segments in a directory, oldest first.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(sequence) = entry.file_name().to_str().and_then(sequence) {
            found.push((sequence, entry.metadata()?.len()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn sequence(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_one_damaged_copy_is_readable() {
        let header = Header {
            salt: [3; 32],
            key: [4; 8],
            ordinal: 5,
        };
        let whole = header.encode();
        assert_eq!(Header::decode(&whole), Some(header.clone()));
        for at in 0..HEADER {
            let mut damaged = whole;
            damaged[at] ^= 1;
            assert_eq!(Header::decode(&damaged).as_ref(), Some(&header), "at {at}");
        }
        for cut in 0..HEADER {
            assert_eq!(Header::decode(&whole[..cut]).is_some(), cut >= COPY, "cut at {cut}");
        }
    }

    #[test]
    fn only_segments_are_listed_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "cursor",
            "0000000000000010.segment",
            "10.segment",
            "00000000000000zz.segment",
        ] {
            std::fs::write(directory.path().join(name), "abc").unwrap();
        }
        std::fs::write(path(directory.path(), 9), "").unwrap();
        assert_eq!(list(directory.path()).unwrap(), [(9, 0), (16, 3)]);
    }
}
