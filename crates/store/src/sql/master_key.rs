//! The constant by which a master key is recognised.

use crate::engine::{Conn, args};
use crate::error::StoreError;
use crate::seal::Sealed;
use lychgate_types::Timestamp;
use uuid::Uuid;

super::statements! {
    INSERT = "INSERT INTO master_key_checks (id, created_at, sealed) VALUES ($1, $2, $3)";
    NEWEST = "SELECT id, sealed FROM master_key_checks ORDER BY created_at DESC, id DESC LIMIT 1";
}

pub(crate) async fn insert(conn: Conn<'_>, id: Uuid, at: Timestamp, sealed: &Sealed) -> Result<(), StoreError> {
    conn.execute(INSERT, args![id, at, sealed.as_bytes()]).await.map(drop)
}

pub(crate) async fn newest(conn: Conn<'_>) -> Result<Option<(Uuid, Sealed)>, StoreError> {
    match conn.optional(NEWEST, args![]).await? {
        Some(row) => Ok(Some((row.uuid("id")?, Sealed::from_bytes(row.bytes("sealed")?)))),
        None => Ok(None),
    }
}
