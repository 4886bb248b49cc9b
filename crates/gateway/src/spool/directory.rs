//! The spool's directory: private, and used by one process at a time.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";

/// Why the spool can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// An operation on it failed.
    #[error("the spool directory {} can't be used; choose another with --spool-dir", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// Another user could read or redirect what is written into it.
    #[error(
        "the spool directory {} is not this user's alone: {what}; see who made it, then remove it, change its owner, or choose another \
         directory with --spool-dir",
        path.display()
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Another process uses it; two would overwrite each other's files.
    #[error(
        "another lychgate uses the spool directory {}: stop that one, or choose another directory with --spool-dir",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

/// Creates the directory if it is missing, and locks it until the file is dropped or this process ends, however it ends.
pub(super) fn lock(path: &Path) -> Result<File, SpoolError> {
    let failed = |source| SpoolError::Directory {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    let found = std::fs::metadata(path).map_err(failed)?;
    if let Some(what) = foreign(path, &found).map_err(failed)? {
        let path = path.to_owned();
        return Err(SpoolError::NotOurs { path, what });
    }
    let mode = found.permissions().mode();
    // Root may own it, as with a mounted volume; the files in it are private all the same.
    if mode & 0o077 != 0 && std::fs::set_permissions(path, Permissions::from_mode(0o700)).is_err() {
        tracing::warn!(path = %path.display(), "other users can access the spool directory, and its permissions can't be changed");
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// What of the directory, or in it, is another user's, who is not root: such a one may have laid it out as a trap.
fn foreign(path: &Path, directory: &Metadata) -> io::Result<Option<&'static str>> {
    const ROOT: u32 = 0;
    let us = rustix::process::geteuid().as_raw();
    let is_ours = |found: &Metadata| [us, ROOT].contains(&found.uid());
    if !is_ours(directory) {
        return Ok(Some("it belongs to another user"));
    }
    for entry in std::fs::read_dir(path)? {
        let found = entry?.metadata()?;
        if found.is_symlink() {
            return Ok(Some("there is a symbolic link in it"));
        }
        if !is_ours(&found) {
            return Ok(Some("there is a file of another user in it"));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    const STRANGER: u32 = 54_321;

    #[test]
    fn what_another_user_could_have_laid_out_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("spool");
        drop(lock(&path).unwrap());
        let target = outer.path().join("written-through");
        std::fs::remove_file(path.join(LOCK)).unwrap();
        symlink(&target, path.join(LOCK)).unwrap();
        let refused = lock(&path).unwrap_err().to_string();
        assert!(
            refused.contains("symbolic link") && refused.contains("--spool-dir"),
            "{refused}"
        );
        assert!(!target.exists(), "a dangling link was followed");
        std::fs::remove_file(path.join(LOCK)).unwrap();
        // Only root can give a directory away.
        if rustix::process::geteuid().is_root() {
            std::fs::write(path.join("cursor"), "").unwrap();
            chown(path.join("cursor"), Some(STRANGER), None).unwrap();
            assert!(lock(&path).unwrap_err().to_string().contains("a file of another user"));
            std::fs::remove_file(path.join("cursor")).unwrap();
            chown(&path, Some(STRANGER), None).unwrap();
            assert!(lock(&path).unwrap_err().to_string().contains("belongs to another user"));
            chown(&path, Some(0), None).unwrap();
        }
        lock(&path).unwrap();
    }

    #[test]
    fn it_is_private_and_used_by_one_at_a_time() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a/spool");
        let first = lock(&path).unwrap();
        let message = lock(&path).unwrap_err().to_string();
        assert!(
            message.contains("another lychgate") && message.contains("--spool-dir"),
            "{message}"
        );
        drop(first);
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        lock(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let lock = std::fs::metadata(path.join(LOCK)).unwrap();
        assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(lock(&path.join("below")), Err(SpoolError::Directory { .. })));
    }
}
