//! How far the control plane has acknowledged: one small file, overwritten after each batch. If it is lost, what is in the spool is
//! delivered again, which does no harm.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const NAME: &str = "cursor";
const MAGIC: [u8; 4] = *b"lgc1";
const LENGTH: usize = 32;

/// A position between two records. Segments are numbered upward, so later positions are greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The segment's number.
    pub(crate) sequence: u64,
    /// Bytes into the segment; 0 is before its header.
    pub(crate) offset: u64,
    /// Records appended before this position since the spool was created. A best estimate: damage makes it inexact until the
    /// next segment.
    pub(crate) ordinal: u64,
}

/// The file.
#[derive(Debug)]
pub(super) struct Cursor(File);

impl Cursor {
    /// Opens it in the directory; returns its position, if it is intact.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, Option<Position>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(directory.join(NAME))?;
        let mut bytes = [0; LENGTH];
        let position = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok((Self(file), position))
    }

    /// Overwrites it.
    pub(super) fn store(&self, position: Position) -> io::Result<()> {
        self.0.write_all_at(&encode(position), 0)
    }
}

fn encode(position: Position) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[8..16].copy_from_slice(&position.sequence.to_le_bytes());
    bytes[16..24].copy_from_slice(&position.offset.to_le_bytes());
    bytes[24..].copy_from_slice(&position.ordinal.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[8..]);
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; LENGTH]) -> Option<Position> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let position = Position {
        sequence: number(8)?,
        offset: number(16)?,
        ordinal: number(24)?,
    };
    (encode(position) == *bytes).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_was_stored_and_rejects_damage() {
        let directory = tempfile::tempdir().unwrap();
        let (cursor, before) = Cursor::open(directory.path()).unwrap();
        assert_eq!(before, None);
        for offset in [9, 7] {
            let position = Position {
                sequence: 3,
                offset,
                ordinal: 11,
            };
            cursor.store(position).unwrap();
            assert_eq!(Cursor::open(directory.path()).unwrap().1, Some(position));
        }
        let path = directory.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(Cursor::open(directory.path()).unwrap().1, None, "at {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(Cursor::open(directory.path()).unwrap().1, None, "cut at {at}");
        }
    }
}
