//! Who made which object that a provider stores.
//!
//! Not here: how they come in, with the records of the requests that made them (`interceptions/ingest`).

use crate::engine::{Conn, args};
use crate::error::StoreError;
use aws_lc_rs::digest;
use lychgate_types::secret::SecretHash;
use lychgate_types::{Ownership, Timestamp, UserId};

super::statements! {
    OWNERSHIP = "SELECT t.user_id FROM stored_objects o \
         LEFT JOIN tokens t ON t.user_id = o.user_id AND t.token_hash = $2 \
         WHERE o.object_hash = $1 ORDER BY t.user_id IS NULL LIMIT 1";
    PRUNE = "DELETE FROM stored_objects WHERE created_at < $1";
}

/// What an id is stored as: ids may be long, and are of use to whoever reads them.
pub(crate) fn hash(object: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, object.as_bytes()).as_ref().to_vec()
}

/// Whose it is, as seen from the user of this token.
pub(crate) async fn ownership(conn: Conn<'_>, object: &str, token: &SecretHash) -> Result<Ownership, StoreError> {
    let made = conn.optional(OWNERSHIP, args![hash(object).as_slice(), *token]).await?;
    let Some(row) = made else {
        return Ok(Ownership::Unknown);
    };
    let own = row.opt_id::<UserId>("user_id")?.is_some();
    Ok(if own { Ownership::Own } else { Ownership::Anothers })
}

/// Forgets those that were made before.
pub(crate) async fn prune(conn: Conn<'_>, before: Timestamp) -> Result<u64, StoreError> {
    conn.execute(PRUNE, args![before]).await
}
