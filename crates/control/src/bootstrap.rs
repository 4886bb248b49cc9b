//! The first start: makes the owner `admin`, so that there is somebody who can make all others.

use lychgate_authz::{Caller, Role, Scopes};
use lychgate_store::{Page, Store, StoreError, TokenInsert, UserFilter, UserInsert};
use lychgate_telemetry::error::chain;
use lychgate_types::secret::UserTokenSecret;
use lychgate_types::{Ambient, UserId};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The owner's first token is good for a year, the longest that any token is.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The file in the data directory that the owner's first token is left in.
pub const OWNER_TOKEN_FILE: &str = "owner-token";

/// Why there is no owner.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The token could not be left in the data directory.
    #[error("the owner's token can't be written to {path}")]
    File {
        /// Where it was to be written.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database failed.
    #[error("the first owner can't be made")]
    Store(#[source] StoreError),
}

/// Makes the owner where the database knows no user at all. With a token `given`, no file is written.
///
/// The token is on disk before the owner is in the database: a crash between the two leaves no owner nobody can be.
pub(crate) async fn owner(
    store: &Store,
    ambient: &Ambient,
    given: Option<UserTokenSecret>,
    data_dir: &Path,
) -> Result<(), BootstrapError> {
    let caller = Caller::control_plane();
    let users = store.user_list(&caller, &UserFilter::default(), Page::first(1)).await;
    if !users.map_err(BootstrapError::Store)?.items.is_empty() {
        return Ok(());
    }
    let Some(given) = given else {
        let secret = UserTokenSecret::generate(ambient);
        let (path, new) = (data_dir.join(OWNER_TOKEN_FILE), data_dir.join("owner-token.new"));
        let failed = |source| BootstrapError::File {
            path: path.clone(),
            source,
        };
        write_secret(&new, secret.expose()).map_err(failed)?;
        if insert(store, ambient, &secret).await? {
            std::fs::rename(&new, &path).map_err(failed)?;
            tracing::info!(path = %path.display(), "created the owner `admin`; its token is in this file");
        } else if let Err(error) = std::fs::remove_file(&new) {
            tracing::warn!(error = %chain(&error), "another control plane created the owner; the token in {} does not work", new.display());
        }
        return Ok(());
    };
    if insert(store, ambient, &given).await? {
        tracing::info!("created the owner `admin` with the given bootstrap token");
    }
    Ok(())
}

/// Whether this call made the owner; another control plane may have been faster.
async fn insert(store: &Store, ambient: &Ambient, secret: &UserTokenSecret) -> Result<bool, BootstrapError> {
    let user = UserInsert {
        username: "admin".to_owned(),
        role: Role::Owner,
    };
    let now = ambient.now();
    let token = TokenInsert {
        id: ambient.new_id(),
        created_at: now,
        // The store puts the new user's id in its place.
        user: ambient.new_id::<UserId>().into(),
        name: "bootstrap".to_owned(),
        secret_prefix: secret.prefix().to_owned(),
        secret_hash: secret.hash(),
        scopes: Scopes::all(),
        expires_at: Some(now.plus(LIFETIME)),
    };
    let made = store.users_bootstrap(&Caller::control_plane(), user, token).await;
    Ok(made.map_err(BootstrapError::Store)?.is_some())
}

/// Writes a file that only its owner can read, from its first byte on.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    // A file left over from a crash keeps its old mode otherwise.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()
}
