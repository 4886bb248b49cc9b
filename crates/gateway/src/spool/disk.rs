//! What the spool asks of a disk when it writes: an interface, so that tests can fill it up, break it, and see the order of
//! operations. Reads bypass it.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// A place for segments.
pub trait Disk: Send + Sync + Debug {
    /// Whether reading, writing and syncing may block, so that none of it may run on the runtime's threads.
    fn is_slow(&self) -> bool {
        true
    }

    /// Creates a file that only its owner may read.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>>;

    /// Opens a file that an earlier run has created.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn Log>>;

    /// Makes the names of files survive a loss of power.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file that grows.
pub trait Log: Send + Sync + Debug {
    /// Writes at this offset; may accept only a part.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Truncates the file to this length.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes what has been written survive a loss of power.
    fn sync(&self) -> io::Result<()>;
}

/// The machine's own disk.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        let mut options = OpenOptions::new();
        Ok(Arc::new(options.write(true).create_new(true).mode(0o600).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        Ok(Arc::new(OpenOptions::new().write(true).open(path)?))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl Log for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Writes all of it.
pub(super) fn write_all_at(log: &dyn Log, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match log.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
