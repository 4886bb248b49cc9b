//! Keys derived from a secret and a salt (HKDF-SHA256), for sealing files with AES-256-GCM.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

/// Identifies a secret without revealing it.
pub(crate) type SecretId = [u8; 8];

/// The cipher for one purpose, named by `label`.
pub(crate) fn cipher(secret: &[u8], salt: &[u8], label: &[u8]) -> Result<LessSafeKey, Unspecified> {
    let base = Salt::new(HKDF_SHA256, salt).extract(secret);
    Ok(LessSafeKey::new(UnboundKey::from(base.expand(&[label], &AES_256_GCM)?)))
}

/// The id of a secret for one purpose, named by `label`.
pub(crate) fn id(secret: &[u8], label: &[u8]) -> Result<SecretId, Unspecified> {
    let mut id = SecretId::default();
    let base = Salt::new(HKDF_SHA256, &[]).extract(secret);
    base.expand(&[label], IdLength)?.fill(&mut id)?;
    Ok(id)
}

struct IdLength;

impl KeyType for IdLength {
    fn len(&self) -> usize {
        size_of::<SecretId>()
    }
}
