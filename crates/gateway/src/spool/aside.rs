//! What can't be read or is not accepted is kept in `set-aside/`, still sealed: each file is a segment of its own, with the header
//! of the one that it comes from. Nothing reads it again; it is for people.

use super::reader::Place;
use super::segment::{self, HEADER};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const NAME: &str = "set-aside";
/// Most bytes of pieces that are kept; what exceeds that is only logged.
const MAX_BYTES: u64 = 64 << 20;

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

    /// Number of files.
    pub(super) fn count(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Copies a piece of a segment; false if it is there already.
    pub(super) fn keep_piece(&self, spool: &Path, place: Place) -> io::Result<bool> {
        let sequence = place.begin.sequence;
        let name = format!("{sequence:016x}-{:x}.segment", place.begin.offset);
        let path = self.directory.join(name);
        if path.exists() {
            return Ok(false);
        }
        let length = HEADER as u64 + place.length;
        if self.bytes.load(Ordering::Relaxed).saturating_add(length) > MAX_BYTES {
            return Err(io::Error::other("the folder is full; review and empty it"));
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
        // Moving it takes no more room on the disk.
        self.count_in(0);
        Ok(())
    }

    /// Moves another file of the spool.
    pub(super) fn keep_file(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        // Every process begins to number its files anew.
        for number in 0..u32::MAX {
            let kept = self.directory.join(format!("{number}-{name}"));
            match std::fs::hard_link(path, kept) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        std::fs::remove_file(path)?;
        self.count_in(0);
        Ok(())
    }

    fn count_in(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
