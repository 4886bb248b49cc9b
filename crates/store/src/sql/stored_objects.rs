//! Who made which object that a provider stores.
//!
//! Not here: how they come in, with the records of the requests that made them (`interceptions/ingest`).

use crate::engine::{Bulk, Conn, Row, args};
use crate::error::StoreError;
use aws_lc_rs::digest;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Ownership, StoredObject, Timestamp, UnfinishedInterception, UserId};
use std::collections::HashMap;

super::statements! {
    /// Its own grant, or one of a key that it replaces.
    IS_GRANTED = "SELECT t.id FROM tokens t WHERE t.token_hash = $1 AND EXISTS \
         (SELECT 1 FROM token_grants g WHERE g.token_id = t.id AND (g.gateway_key_id = $2 OR g.gateway_key_id IN \
         (SELECT e.replaced_id FROM ai_gateway_key_replacements e WHERE e.gateway_key_id = $2)))";
    PRUNE = "DELETE FROM stored_objects WHERE created_at < $1";
}

const FIND: Bulk = Bulk {
    head: "WITH wanted (object_hash, token_hash) AS (",
    tail: ") SELECT w.object_hash, t.user_id, i.id AS unfinished_id, i.provider FROM wanted w \
           JOIN stored_objects o ON o.object_hash = w.object_hash \
           LEFT JOIN tokens t ON t.user_id = o.user_id AND t.token_hash = w.token_hash \
           LEFT JOIN interceptions i ON i.id = o.interception_id AND i.outcome = 'unfinished'",
};
#[cfg(test)]
pub(super) const BULKS: &[Bulk] = &[FIND];

/// What an id is stored as: ids may be long, and are of use to whoever reads them.
pub(crate) fn hash(object: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, object.as_bytes()).as_ref().to_vec()
}

/// Whether this gateway key, or one that it replaces, was told that the token works.
pub(crate) async fn is_granted(conn: Conn<'_>, token: &SecretHash, key: GatewayKeyId) -> Result<bool, StoreError> {
    Ok(conn.optional(IS_GRANTED, args![*token, key]).await?.is_some())
}

/// What is known of these, in their order, as seen from the user of this token.
pub(crate) async fn find(
    conn: Conn<'_>,
    objects: &[String],
    token: &SecretHash,
) -> Result<Vec<StoredObject>, StoreError> {
    let hashes: Vec<_> = objects.iter().map(|object| hash(object)).collect();
    let wanted = hashes.iter().map(|hash| args![hash.as_slice(), *token]).collect();
    let mut made = HashMap::with_capacity(objects.len());
    for row in FIND.run(conn, wanted).await? {
        made.insert(row.bytes("object_hash")?, read(&row)?);
    }
    let known = |hash| made.get(hash).cloned().unwrap_or_else(|| Ownership::Unknown.into());
    Ok(hashes.iter().map(known).collect())
}

fn read(row: &Row) -> Result<StoredObject, StoreError> {
    let own = row.opt_id::<UserId>("user_id")?.is_some();
    let unfinished = match row.opt_id("unfinished_id")? {
        Some(id) => Some(UnfinishedInterception {
            id,
            provider: row.text("provider")?,
        }),
        None => None,
    };
    Ok(StoredObject {
        ownership: if own { Ownership::Own } else { Ownership::Anothers },
        unfinished,
    })
}

/// Forgets those that were made before.
pub(crate) async fn prune(conn: Conn<'_>, before: Timestamp) -> Result<u64, StoreError> {
    conn.execute(PRUNE, args![before]).await
}
