//! The master key's file in the data directory: made at the first start, refused when others can read it.

use crate::config::{private, read_secret};
use crate::failure::{Failure, Outcome};
use crate::secret_file;
use lychgate_types::Ambient;
use lychgate_types::secret::MasterKey;
use std::io::ErrorKind;
use std::path::Path;

/// The file's name in the data directory.
const FILE: &str = "master-key";

/// Reads the data directory's master key, or makes one.
pub(crate) fn load_or_make(data_dir: &Path, ambient: &Ambient) -> Outcome<MasterKey> {
    let path = data_dir.join(FILE);
    let name = path.display();
    let key = MasterKey::generate(ambient);
    match secret_file::create(&path, &key.to_hex()) {
        Ok(()) => {
            tracing::info!(path = %name, "made a master key; keep a copy of this file apart from the database");
            Ok(key)
        }
        Err(why) if why.kind() == ErrorKind::AlreadyExists => {
            let failed = |why: String| Failure::Failed(format!("the master key in {name}: {why}"));
            private(&path).map_err(failed)?;
            let text = read_secret(&path).map_err(failed)?;
            MasterKey::parse(&text).map_err(|why| failed(format!("it is damaged: {why}")))
        }
        Err(why) => Err(Failure::Failed(format!("can't write the master key to {name}: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_then_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_make(dir.path(), &Ambient::system()).unwrap();
        let again = load_or_make(dir.path(), &Ambient::system()).unwrap();
        assert_eq!(first.expose(), again.expose());
        let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn refused_when_damaged_or_open_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "canary").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let told = load_or_make(dir.path(), &Ambient::system()).unwrap_err().to_string();
        assert!(told.contains("damaged") && !told.contains("canary"), "{told}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let told = load_or_make(dir.path(), &Ambient::system()).unwrap_err().to_string();
        assert!(told.contains("chmod 600"), "{told}");
    }
}
