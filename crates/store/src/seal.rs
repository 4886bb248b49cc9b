//! Sealing what the database keeps secret.

use lychgate_types::Ambient;
use lychgate_types::secret::{MasterKey, ProviderSecret};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A sealed secret: version, key id, nonce, ciphertext, tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps what came from the database.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, for the database.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed")
    }
}

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Another master key sealed it.
    #[error("it was sealed with another master key")]
    OtherKey,
    /// It was changed, cut, or moved here from another row.
    #[error("it was altered, or belongs to another row")]
    Damaged,
    /// The cipher refused to work.
    #[error("the cipher failed")]
    Cipher,
}

/// Seals and opens with one master key.
#[derive(Clone)]
pub struct Sealer {
    master: MasterKey,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer for this master key.
    pub fn new(master: MasterKey) -> Self {
        Self { master }
    }

    /// Seals a provider key for the row `id` and its column (`provider_keys.sealed`).
    pub fn seal(&self, ambient: &Ambient, secret: &ProviderSecret, id: Uuid, column: &str) -> Result<Sealed, SealError> {
        self.seal_bytes(ambient, secret.expose().as_bytes(), id, column)
    }

    /// Opens what [`Self::seal`] made for the same row and column.
    pub fn open(&self, sealed: &Sealed, id: Uuid, column: &str) -> Result<ProviderSecret, SealError> {
        todo!()
    }

    /// Seals bytes for the row `id` and its column.
    pub fn seal_bytes(&self, ambient: &Ambient, plain: &[u8], id: Uuid, column: &str) -> Result<Sealed, SealError> {
        todo!()
    }

    /// Opens what [`Self::seal_bytes`] made for the same row and column.
    pub fn open_bytes(&self, sealed: &Sealed, id: Uuid, column: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        todo!()
    }
}
