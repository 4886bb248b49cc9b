//! Files that hold a secret: made with mode 0600, never over an existing one, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// A secret file that was made but not yet filled. Dropping it unfilled removes it again.
#[derive(Debug)]
pub(crate) struct Reserved {
    path: PathBuf,
    file: Option<File>,
    /// The file whose place it takes once it is filled.
    over: Option<PathBuf>,
}

impl Reserved {
    /// Makes the file, empty; fails when there is one already. Made before the secret is, so that a secret that is shown
    /// only once is not lost to a full disk or a mistyped path.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            over: None,
        })
    }

    /// Makes an empty file beside `path`, which takes the place of what is there, if anything is, once it is filled: readers
    /// see the old secret or the new, never a part. Of a symbolic link the target is replaced, and the file keeps its owner where this
    /// process may give it away: a service goes on reading what an administrator renews.
    pub(crate) fn create_over(path: &Path) -> io::Result<Self> {
        let (path, owner) = match std::fs::canonicalize(path) {
            Ok(real) => {
                let there = std::fs::metadata(&real)?;
                if there.is_dir() {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                (real, Some((there.uid(), there.gid())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(error),
        };
        let temporary = sibling(&path);
        let _ = std::fs::remove_file(&temporary);
        let mut reserved = Self::create(&temporary)?;
        if let (Some((user, group)), Some(file)) = (owner, &reserved.file) {
            let _ = fchown(file, Some(user), Some(group));
        }
        reserved.over = Some(path);
        Ok(reserved)
    }

    /// Writes the secret with a line end, to the disk.
    pub(crate) fn fill(mut self, secret: &str) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let written = file
            .write_all(secret.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .and_then(|()| match &self.over {
                Some(path) => std::fs::rename(&self.path, path),
                None => Ok(()),
            });
        if written.is_err() {
            self.file = Some(file);
        }
        written
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Nothing more can be done about a file that can't be removed; it is empty.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Puts a secret into a file, which may replace an older one of the same name; readers see the old or the new, never a part.
pub(crate) fn replace(path: &Path, secret: &str) -> io::Result<()> {
    Reserved::create_over(path)?.fill(secret)
}

/// Puts a secret into a new file; `AlreadyExists` when there is one. Readers see the whole secret or no file.
pub(crate) fn create(path: &Path, secret: &str) -> io::Result<()> {
    let temporary = sibling(path);
    let _ = std::fs::remove_file(&temporary);
    Reserved::create(&temporary)?.fill(secret)?;
    let linked = std::fs::hard_link(&temporary, path);
    let _ = std::fs::remove_file(&temporary);
    linked
}

/// A directory (with those above it) that only its owner may enter; an existing one is left as it is.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_reserved_file_is_private_and_goes_away_unfilled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        drop(Reserved::create(&path).unwrap());
        assert!(!path.exists());
        Reserved::create(&path).unwrap().fill("lgw_x").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "lgw_x\n");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(
            Reserved::create(&path).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "lgw_x\n");
    }

    #[test]
    fn what_is_reserved_over_a_file_leaves_it_until_it_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "old\n").unwrap();
        drop(Reserved::create_over(&path).unwrap());
        let reserved = Reserved::create_over(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
        reserved.fill("new").unwrap();
        assert_eq!(
            (std::fs::read_to_string(&path).unwrap(), mode(&path)),
            ("new\n".to_owned(), 0o600)
        );
        Reserved::create_over(&dir.path().join("first"))
            .unwrap()
            .fill("one")
            .unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_directory_is_refused_before_and_a_link_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Reserved::create_over(dir.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::IsADirectory);
        let (target, link) = (dir.path().join("key"), dir.path().join("link"));
        std::fs::write(&target, "old\n").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let owner = std::fs::metadata(&target).unwrap().uid();
        Reserved::create_over(&link).unwrap().fill("new").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new\n");
        let there = std::fs::metadata(&target).unwrap();
        assert_eq!((there.uid(), mode(&target)), (owner, 0o600));
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            2,
            "nothing else is left"
        );
    }

    #[test]
    fn create_keeps_and_replace_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        create(&path, "one").unwrap();
        assert_eq!(create(&path, "two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        replace(&path, "three").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
