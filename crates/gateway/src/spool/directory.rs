//! The spool's directory: private, and one process's at a time.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The system refuses.
    #[error("the spool directory {} can't be used; choose another with --spool-dir", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// Two processes in one directory would write over each other.
    #[error(
        "another lychgate uses the spool directory {}: stop that one, or choose another directory with --spool-dir",
        path.display()
    )]
    InUse {
        /// Which.
        path: PathBuf,
    },
}

/// Makes the directory where it is missing, and takes it until the file is dropped or this process ends, however it ends.
pub(super) fn take(path: &Path) -> Result<File, SpoolError> {
    let failed = |source| SpoolError::Directory {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    // It may be somebody else's, as a mounted volume is; the files in it are private all the same.
    if mode & 0o077 != 0 && std::fs::set_permissions(path, Permissions::from_mode(0o700)).is_err() {
        tracing::warn!(path = %path.display(), "the spool directory is open to others, and that can't be changed");
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(path.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_one_at_a_time() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a/spool");
        let held = take(&path).unwrap();
        let told = take(&path).unwrap_err().to_string();
        assert!(
            told.contains("another lychgate") && told.contains("--spool-dir"),
            "{told}"
        );
        drop(held);
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        take(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let lock = std::fs::metadata(path.join(LOCK)).unwrap();
        assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_in_its_place_is_told() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(take(&path.join("below")), Err(SpoolError::Directory { .. })));
    }
}
