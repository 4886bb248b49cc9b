//! Ids and hashes as fields of wire messages. What a peer sends is untrusted, so every read names the field that was wrong.

use lychgate_types::secret::SecretHash;
use uuid::Uuid;

/// A message that breaks the protocol, and the field that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link message's field `{0}` is missing, malformed or too long")]
pub struct BadMessage(pub(crate) &'static str);

pub(crate) fn id_bytes(id: Uuid) -> Vec<u8> {
    id.into_bytes().to_vec()
}

pub(crate) fn read_id(bytes: &[u8], field: &'static str) -> Result<Uuid, BadMessage> {
    Uuid::from_slice(bytes).map_err(|_| BadMessage(field))
}

pub(crate) fn read_hash(bytes: &[u8], field: &'static str) -> Result<SecretHash, BadMessage> {
    bytes
        .try_into()
        .map(SecretHash::from_bytes)
        .map_err(|_| BadMessage(field))
}
