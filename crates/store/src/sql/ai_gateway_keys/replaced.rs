//! Which gateway keys replace which, and those that are deleted.

use crate::engine::{Conn, args};
use crate::error::StoreError;
use crate::guard::Authorised;
use crate::name_or_id::NameOrId;
use crate::rows::ai_gateway_keys::GatewayKey;
use lychgate_types::{GatewayKeyId, Timestamp};

crate::sql::statements! {
    BURY = "INSERT INTO deleted_ai_gateway_keys (id, name, deleted_at) VALUES ($1, $2, $3)";
    FIND_DELETED = "SELECT id FROM deleted_ai_gateway_keys WHERE id = $1 OR name = $2 ORDER BY deleted_at DESC, id DESC LIMIT 1";
    REPLACE = "INSERT INTO ai_gateway_key_replacements (gateway_key_id, replaced_id, distance) VALUES ($1, $2, 1)";
    /// What the replaced key replaces itself, as far as the bound allows.
    REPLACE_ALL = "INSERT INTO ai_gateway_key_replacements (gateway_key_id, replaced_id, distance) \
         SELECT $2, r.replaced_id, r.distance + 1 FROM ai_gateway_key_replacements r \
         WHERE r.gateway_key_id = $1 AND r.distance < $3";
    REPLACED_BY = "SELECT replaced_id FROM ai_gateway_key_replacements WHERE gateway_key_id = $1 ORDER BY distance";
    KNOWN = "SELECT id FROM ai_gateway_keys UNION ALL SELECT id FROM deleted_ai_gateway_keys";
    PRUNE_DELETED = "DELETE FROM deleted_ai_gateway_keys WHERE deleted_at < $1";
    PRUNE = "DELETE FROM ai_gateway_key_replacements WHERE \
         NOT EXISTS (SELECT 1 FROM ai_gateway_keys k WHERE k.id = ai_gateway_key_replacements.gateway_key_id) \
         AND NOT EXISTS (SELECT 1 FROM deleted_ai_gateway_keys d WHERE d.id = ai_gateway_key_replacements.gateway_key_id)";
}

/// Remembers a key that is deleted now.
pub(crate) async fn bury(conn: Conn<'_>, key: &Authorised<GatewayKey>, at: Timestamp) -> Result<(), StoreError> {
    conn.execute(BURY, args![key.id, &*key.name, at]).await.map(drop)
}

/// The deleted key of this id, or the last one of this name.
pub(crate) async fn find_deleted(
    conn: Conn<'_>,
    key: &NameOrId<GatewayKeyId>,
) -> Result<Option<GatewayKeyId>, StoreError> {
    let row = conn.optional(FIND_DELETED, args![key.id(), key.name()]).await?;
    row.map(|row| row.id("id")).transpose()
}

/// `key` replaces this one.
pub(crate) async fn replace(conn: Conn<'_>, replaced: GatewayKeyId, key: GatewayKeyId) -> Result<(), StoreError> {
    conn.execute(REPLACE, args![key, replaced]).await.map(drop)
}

/// `key` replaces what this one does, up to a distance.
pub(crate) async fn replace_all(
    conn: Conn<'_>,
    replaced: GatewayKeyId,
    key: GatewayKeyId,
    farthest: i64,
) -> Result<(), StoreError> {
    conn.execute(REPLACE_ALL, args![replaced, key, farthest])
        .await
        .map(drop)
}

/// The keys that this one replaces, the nearest first.
pub(crate) async fn replaced_by(conn: Conn<'_>, key: GatewayKeyId) -> Result<Vec<GatewayKeyId>, StoreError> {
    let rows = conn.all(REPLACED_BY, args![key]).await?;
    rows.iter().map(|row| row.id("replaced_id")).collect()
}

/// All keys that there are, or were a month ago.
pub(crate) async fn known(conn: Conn<'_>) -> Result<Vec<GatewayKeyId>, StoreError> {
    let rows = conn.all(KNOWN, args![]).await?;
    rows.iter().map(|row| row.id("id")).collect()
}

pub(crate) async fn prune_deleted(conn: Conn<'_>, before: Timestamp) -> Result<u64, StoreError> {
    conn.execute(PRUNE_DELETED, args![before]).await
}

pub(crate) async fn prune(conn: Conn<'_>) -> Result<u64, StoreError> {
    conn.execute(PRUNE, args![]).await
}
