//! What nobody can read or take is kept in `set-aside/`, sealed as it was: each file is a segment by itself, with the header of
//! the one that it comes from. Nothing reads it again but a person.

use super::reader::Place;
use super::segment::{self, HEADER};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const NAME: &str = "set-aside";
/// Bytes of pieces that are kept; what is over that is only told.
const MOST_BYTES: u64 = 64 << 20;

/// The folder.
#[derive(Debug)]
pub(super) struct Aside {
    directory: PathBuf,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Aside {
    pub(super) fn open(spool: &Path) -> io::Result<Self> {
        let directory = spool.join(NAME);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let (mut files, mut bytes) = (0, 0);
        for entry in std::fs::read_dir(&directory)? {
            files += 1;
            bytes += entry?.metadata()?.len();
        }
        Ok(Self {
            directory,
            files: AtomicU64::new(files),
            bytes: AtomicU64::new(bytes),
        })
    }

    /// Files in there.
    pub(super) fn count(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Copies a piece of a segment. False: it lies there already.
    pub(super) fn keep_piece(&self, spool: &Path, place: Place) -> io::Result<bool> {
        let sequence = place.begin.sequence;
        let name = format!("{sequence:016x}-{:x}.segment", place.begin.offset);
        let path = self.directory.join(name);
        if path.exists() {
            return Ok(false);
        }
        let length = HEADER as u64 + place.length;
        if self.bytes.load(Ordering::Relaxed).saturating_add(length) > MOST_BYTES {
            return Err(io::Error::other("the folder is full; look through it and empty it"));
        }
        let mut from = File::open(segment::path(spool, sequence))?;
        let mut to = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        io::copy(&mut (&mut from).take(HEADER as u64), &mut to)?;
        from.seek(SeekFrom::Start(place.begin.offset))?;
        io::copy(&mut from.take(place.length), &mut to)?;
        self.count_in(length);
        Ok(true)
    }

    /// Moves a whole segment.
    pub(super) fn keep_segment(&self, spool: &Path, sequence: u64) -> io::Result<()> {
        let from = segment::path(spool, sequence);
        std::fs::rename(&from, segment::path(&self.directory, sequence))?;
        // It took its room before.
        self.count_in(0);
        Ok(())
    }

    fn count_in(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
