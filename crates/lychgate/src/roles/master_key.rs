//! The master key's file in the data directory: created on the first start, refused if other users can read it.

use crate::config::secret_file;
use crate::config::{owner_only, read_secret};
use crate::failure::{Failure, Outcome};
use lychgate_types::Ambient;
use lychgate_types::secret::MasterKey;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file's name in the data directory.
const FILE: &str = "master-key";

/// A master key, and the file that was just created for it, if any.
#[derive(Debug)]
pub(crate) struct Found {
    /// The key.
    pub(crate) key: MasterKey,
    made: Option<PathBuf>,
}

impl Found {
    /// A key that was given.
    pub(crate) const fn given(key: MasterKey) -> Self {
        Self { key, made: None }
    }

    /// Says that a key was created, once it is known to be the database's.
    pub(crate) fn tell(&self) {
        if let Some(path) = &self.made {
            tracing::info!(path = %path.display(), "created a master key; keep a copy of this file separate from the database");
        }
    }

    /// The failure when the database was created with another key. Removes a file that was just created, so that it is not taken
    /// for the missing one.
    pub(crate) fn does_not_fit(&self) -> Failure {
        let Some(path) = &self.made else {
            return Failure::Failed(
                "the master key does not match this database: use the key that the database was created with"
                    .to_owned(),
            );
        };
        // If it can't be removed, the next start reports a key that does not match; the database is not touched either way.
        let _ = std::fs::remove_file(path);
        Failure::Failed(format!(
            "the master key of this database is missing: put it back in {}, or use --master-key-file or LYCHGATE_MASTER_KEY",
            path.display()
        ))
    }
}

/// Reads the master key of the data directory, or creates one. Where there is one, nothing is written: the disk may be full.
pub(crate) fn load_or_make(data_dir: &Path, ambient: &Ambient) -> Outcome<Found> {
    let path = data_dir.join(FILE);
    let name = path.display();
    let failed = |why: String| Failure::Failed(format!("the master key in {name}: {why}"));
    let is_missing = |why: &std::io::Error| why.kind() == ErrorKind::NotFound;
    if path.symlink_metadata().is_err_and(|why| is_missing(&why)) {
        let key = MasterKey::generate(ambient);
        match secret_file::create(&path, &key.to_hex()) {
            Ok(()) => {
                let made = Some(path.clone());
                return Ok(Found { key, made });
            }
            // Another control plane with the same directory was faster.
            Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
            Err(why) => return Err(Failure::Failed(format!("can't write the master key to {name}: {why}"))),
        }
    }
    owner_only(&path).map_err(failed)?;
    let text = read_secret(&path).map_err(failed)?;
    MasterKey::parse(&text)
        .map(Found::given)
        .map_err(|_| failed("it is damaged (it must have 64 hexadecimal digits): restore your copy of it".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_then_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_make(dir.path(), &Ambient::system()).unwrap();
        // Where there is one, the disk may be full: nothing is put beside it, not even for a moment.
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        let directory = std::fs::File::open(dir.path()).unwrap();
        directory.set_modified(long_ago).unwrap();
        let again = load_or_make(dir.path(), &Ambient::system()).unwrap();
        assert_eq!(directory.metadata().unwrap().modified().unwrap(), long_ago);
        assert_eq!(first.key.expose(), again.key.expose());
        assert!(first.made.is_some() && again.made.is_none());
        let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_made_in_place_of_a_missing_one_goes_away_again() {
        let dir = tempfile::tempdir().unwrap();
        let found = load_or_make(dir.path(), &Ambient::system()).unwrap();
        let message = found.does_not_fit().to_string();
        assert!(message.contains("is missing: put it back in"), "{message}");
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn refused_when_damaged_or_open_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "canary").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let message = load_or_make(dir.path(), &Ambient::system()).unwrap_err().to_string();
        assert!(message.contains("damaged") && !message.contains("canary"), "{message}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let message = load_or_make(dir.path(), &Ambient::system()).unwrap_err().to_string();
        assert!(message.contains("chmod 600"), "{message}");
    }
}
