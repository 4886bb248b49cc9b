//! The data directory: made private, and locked by one process at a time if the SQLite database is in it, because two control
//! planes on one SQLite file would not see each other's changes.

use crate::config::secret_file;
use crate::failure::{Failure, Outcome};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const LOCK: &str = "lock";

/// Locks the directory until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// Creates the directory if it does not exist.
pub(crate) fn make(path: &Path) -> Outcome {
    secret_file::private_directory(path).map_err(|why| {
        let path = path.display();
        Failure::Failed(format!(
            "can't create the data directory {path}: {why}; choose another with --data-dir"
        ))
    })
}

/// Locks the directory for this process.
pub(crate) fn hold(path: &Path) -> Outcome<Held> {
    let failed = |why: std::io::Error| {
        Failure::Failed(format!(
            "can't use the data directory {}: {why}; choose another with --data-dir",
            path.display()
        ))
    };
    let mut options = OpenOptions::new();
    let lock = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { _lock: lock }),
        Err(TryLockError::Error(why)) => Err(failed(why)),
        Err(TryLockError::WouldBlock) => Err(Failure::Failed(format!(
            "another lychgate process uses the data directory {}: stop it, or choose another directory with --data-dir",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        make(&path).unwrap();
        let held = hold(&path).unwrap();
        let message = hold(&path).unwrap_err().to_string();
        assert!(
            message.contains("another lychgate process uses the data directory") && message.contains("--data-dir"),
            "{message}"
        );
        drop(held);
        hold(&path).unwrap();
    }

    #[test]
    fn a_directory_that_can_not_be_made_names_the_flag() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(
            make(&file.join("below"))
                .unwrap_err()
                .to_string()
                .contains("--data-dir")
        );
        assert!(make(&file).is_err());
    }
}
