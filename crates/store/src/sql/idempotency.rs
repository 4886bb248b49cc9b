//! Remembered answers.

use crate::engine::{Conn, Tx, args, foreign};
use crate::error::StoreError;
use crate::rows::idempotency::RememberedAnswer;
use lychgate_types::{Timestamp, UserId};
use uuid::Uuid;

super::statements! {
    DELETE_EXPIRED = "DELETE FROM idempotency_keys WHERE expires_at <= $1";
    INSERT = "INSERT INTO idempotency_keys \
         (id, created_at, expires_at, user_id, operation, key, request_fingerprint, sealed_answer) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    SET_ANSWER = "UPDATE idempotency_keys SET sealed_answer = $2, target_id = $3 WHERE id = $1";
    FORGET = "DELETE FROM idempotency_keys WHERE target_id = $1";
    FIND = "SELECT request_fingerprint, sealed_answer FROM idempotency_keys \
         WHERE user_id = $1 AND operation = $2 AND key = $3 AND expires_at > $4";
}

/// Claims a key from `now` until `expires_at`, with no answer yet, and forgets those whose time is over.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: Uuid,
    (now, expires_at): (Timestamp, Timestamp),
    (user, operation, key): (UserId, &str, &str),
    request_fingerprint: &[u8; 32],
) -> Result<(), StoreError> {
    prune(tx.conn(), now).await?;
    let fingerprint = request_fingerprint.as_slice();
    let no_answer: &[u8] = &[];
    let values = args![id, now, expires_at, user, operation, key, fingerprint, no_answer];
    tx.conn().execute(INSERT, values).await.map(drop)
}

/// The answer of a claimed key.
pub(crate) async fn set_answer(
    conn: Conn<'_>,
    id: Uuid,
    sealed: &[u8],
    target: Option<Uuid>,
) -> Result<(), StoreError> {
    conn.execute(SET_ANSWER, args![id, sealed, target]).await.map(drop)
}

/// Forgets the answers that show a secret of this thing, which is gone.
pub(crate) async fn forget(conn: Conn<'_>, target: Uuid) -> Result<(), StoreError> {
    conn.execute(FORGET, args![target]).await.map(drop)
}

/// Forgets those whose time is over.
pub(crate) async fn prune(conn: Conn<'_>, now: Timestamp) -> Result<u64, StoreError> {
    conn.execute(DELETE_EXPIRED, args![now]).await
}

pub(crate) async fn find(
    conn: Conn<'_>,
    user: UserId,
    operation: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<RememberedAnswer>, StoreError> {
    let Some(row) = conn.optional(FIND, args![user, operation, key, now]).await? else {
        return Ok(None);
    };
    let fingerprint = row.bytes("request_fingerprint")?;
    Ok(Some(RememberedAnswer {
        request_fingerprint: fingerprint.as_slice().try_into().map_err(foreign)?,
        sealed_answer: row.bytes("sealed_answer")?,
    }))
}
