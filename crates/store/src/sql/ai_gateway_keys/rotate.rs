//! The secrets of gateway keys as rotation moves them. A hash goes from one table into the other without leaving the database.

use crate::engine::{Conn, args};
use crate::error::StoreError;
use crate::guard::Authorised;
use crate::rows::ai_gateway_keys::{GatewayKey, GatewayKeyRotation};
use lychgate_types::Timestamp;

crate::sql::statements! {
    MARK_ROTATED = "UPDATE ai_gateway_keys SET rotated_at = $2 WHERE id = $1";
    GRACE_END = "SELECT MAX(valid_until) AS valid_until FROM ai_gateway_key_retired_secrets \
         WHERE key_id = $1 AND valid_until > $2";
    END_GRACE = "UPDATE ai_gateway_key_retired_secrets SET valid_until = $2 WHERE key_id = $1 AND valid_until > $2";
    RETIRE = "INSERT INTO ai_gateway_key_retired_secrets (hashed_secret, key_id, secret_prefix, retired_at, valid_until) \
         SELECT hashed_secret, id, secret_prefix, $2, $3 FROM ai_gateway_keys WHERE id = $1";
    REPLACE = "UPDATE ai_gateway_keys SET secret_prefix = $2, hashed_secret = $3 WHERE id = $1";
    PRUNE = "DELETE FROM ai_gateway_key_retired_secrets WHERE valid_until < $1";
}

/// Locks the key's row until the transaction ends. `false`: it was deleted meanwhile.
pub(crate) async fn mark_rotated(
    conn: Conn<'_>,
    key: &Authorised<GatewayKey>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    Ok(conn.execute(MARK_ROTATED, args![key.id, at]).await? > 0)
}

/// When the last of the key's replaced secrets stops working; `None` where none works at this time.
pub(crate) async fn grace_end(
    conn: Conn<'_>,
    key: &Authorised<GatewayKey>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    conn.one(GRACE_END, args![key.id, now]).await?.opt_time("valid_until")
}

pub(crate) async fn end_grace(conn: Conn<'_>, key: &Authorised<GatewayKey>, now: Timestamp) -> Result<(), StoreError> {
    conn.execute(END_GRACE, args![key.id, now]).await.map(drop)
}

/// Copies the key's present secret to the replaced ones.
pub(crate) async fn retire(
    conn: Conn<'_>,
    key: &Authorised<GatewayKey>,
    at: Timestamp,
    valid_until: Timestamp,
) -> Result<(), StoreError> {
    conn.execute(RETIRE, args![key.id, at, valid_until]).await.map(drop)
}

pub(crate) async fn replace(
    conn: Conn<'_>,
    key: &Authorised<GatewayKey>,
    new: &GatewayKeyRotation,
) -> Result<(), StoreError> {
    let values = args![key.id, &*new.secret_prefix, new.secret_hash];
    conn.execute(REPLACE, values).await.map(drop)
}

pub(crate) async fn prune(conn: Conn<'_>, before: Timestamp) -> Result<u64, StoreError> {
    conn.execute(PRUNE, args![before]).await
}
