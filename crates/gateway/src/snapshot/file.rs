//! The file: magic, the key's id, a salt, and the contents, sealed with AES-256-GCM under a key that is derived from the gateway
//! key's secret and the salt (HKDF-SHA256). Each write draws a new salt, so each key seals once.

use super::contents::Snapshot;
use crate::key_derivation::{self, SecretId};
use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::error::Unspecified;
use lychgate_types::Ambient;
use lychgate_types::secret::GatewayKeySecret;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"lgsnap01";
const LABEL: &[u8] = b"lychgate snapshot v1";
const KEY_ID: &[u8] = b"lychgate snapshot key id v1";
const SALT: usize = 32;
const HEAD: usize = MAGIC.len() + size_of::<SecretId>() + SALT;
/// Largest file that is read.
const MAX_BYTES: u64 = 256 << 20;

/// Why a snapshot can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it was sealed for another gateway key, or for this one before it was rotated")]
    OtherKey,
    #[error("it is damaged, or of another version")]
    Damaged,
    #[error(transparent)]
    File(#[from] io::Error),
}

impl From<Unspecified> for Unreadable {
    fn from(Unspecified: Unspecified) -> Self {
        Self::Damaged
    }
}

/// Reads it; `None` if there is none.
pub(super) fn read(path: &Path, key: &GatewayKeySecret) -> Result<Option<Snapshot>, Unreadable> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let (head, sealed) = bytes.split_at_mut_checked(HEAD).ok_or(Unreadable::Damaged)?;
    let (magic, rest) = head.split_at(MAGIC.len());
    let (id, salt) = rest.split_at(size_of::<SecretId>());
    if magic != MAGIC {
        return Err(Unreadable::Damaged);
    }
    if id != key_id(key)? {
        return Err(Unreadable::OtherKey);
    }
    let plain = cipher(key, salt)?.open_in_place(nonce(), Aad::from(MAGIC), sealed)?;
    Snapshot::decode(plain).ok_or(Unreadable::Damaged).map(Some)
}

/// Writes it, replacing the previous one.
pub(super) fn write(path: &Path, snapshot: &Snapshot, key: &GatewayKeySecret, ambient: &Ambient) -> io::Result<()> {
    let failed = |Unspecified| io::Error::other("the cipher failed");
    let mut salt = [0; SALT];
    ambient.fill(&mut salt);
    let mut body = snapshot.encode();
    let tag = cipher(key, &salt)
        .and_then(|cipher| cipher.seal_in_place_separate_tag(nonce(), Aad::from(MAGIC), &mut body))
        .map_err(failed)?;
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    for part in [&MAGIC[..], &key_id(key).map_err(failed)?, &salt, &body, tag.as_ref()] {
        file.write_all(part)?;
    }
    // Otherwise a loss of power could leave an empty file in place of a good one.
    file.sync_data()?;
    std::fs::rename(&new, path)
}

/// Deletes it, if it exists.
pub(super) fn delete(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "the snapshot of a refused replica can't be deleted");
        }
        _ => {}
    }
}

fn cipher(key: &GatewayKeySecret, salt: &[u8]) -> Result<LessSafeKey, Unspecified> {
    key_derivation::cipher(key.expose().as_bytes(), salt, LABEL)
}

fn key_id(key: &GatewayKeySecret) -> Result<SecretId, Unspecified> {
    key_derivation::id(key.expose().as_bytes(), KEY_ID)
}

/// Each key is used once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
