//! Which gateway keys were told that a token works.

use crate::engine::{Bulk, Conn, args};
use crate::error::StoreError;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Timestamp, TokenId};
use std::collections::HashMap;
use uuid::Uuid;

crate::sql::statements! {
    INSERT = "INSERT INTO token_grants (token_id, gateway_key_id) VALUES ($1, $2) ON CONFLICT (token_id, gateway_key_id) DO NOTHING";
    COPY = "INSERT INTO token_grants (token_id, gateway_key_id) SELECT g.token_id, $2 FROM token_grants g \
         WHERE g.gateway_key_id = $1 ON CONFLICT (token_id, gateway_key_id) DO NOTHING";
    /// How far one step of pruning goes.
    STEP = "SELECT g.token_id FROM token_grants g WHERE g.token_id > $1 ORDER BY g.token_id LIMIT 1 OFFSET $2";
    /// Those of tokens that ended long ago, and of deleted keys that no other replaces or can replace, and that no known replica
    /// attached with.
    PRUNE = "DELETE FROM token_grants WHERE token_id > $1 AND token_id <= $2 \
         AND (EXISTS (SELECT 1 FROM tokens t WHERE t.id = token_grants.token_id AND (t.revoked_at < $3 OR t.expires_at < $3)) \
         OR (NOT EXISTS (SELECT 1 FROM ai_gateway_keys k WHERE k.id = token_grants.gateway_key_id) \
         AND NOT EXISTS (SELECT 1 FROM deleted_ai_gateway_keys d WHERE d.id = token_grants.gateway_key_id) \
         AND NOT EXISTS (SELECT 1 FROM ai_gateway_key_replacements e WHERE e.replaced_id = token_grants.gateway_key_id) \
         AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.gateway_key_id = token_grants.gateway_key_id)))";
}

/// So many rows are looked at in one step of pruning.
const STEP_ROWS: i64 = 1000;

const OF_TOKENS: Bulk = Bulk {
    head: "WITH wanted (token_hash) AS (",
    tail: ") SELECT t.token_hash, g.gateway_key_id FROM wanted w JOIN tokens t ON t.token_hash = w.token_hash \
           JOIN token_grants g ON g.token_id = t.id",
};
#[cfg(test)]
pub(in crate::sql) const BULKS: &[Bulk] = &[OF_TOKENS];

/// What stands there already stays as it is.
pub(crate) async fn insert(conn: Conn<'_>, token: TokenId, key: GatewayKeyId) -> Result<(), StoreError> {
    conn.execute(INSERT, args![token, key]).await.map(drop)
}

/// What one key was told, the other was told, too.
pub(crate) async fn copy(conn: Conn<'_>, from: GatewayKeyId, to: GatewayKeyId) -> Result<(), StoreError> {
    conn.execute(COPY, args![from, to]).await.map(drop)
}

/// Which of these tokens each key was told of; keys that were told of none are left out.
pub(crate) async fn of_tokens(
    conn: Conn<'_>,
    tokens: &[SecretHash],
) -> Result<HashMap<GatewayKeyId, Vec<SecretHash>>, StoreError> {
    let mut granted = HashMap::<_, Vec<_>>::new();
    if tokens.is_empty() {
        return Ok(granted);
    }
    let wanted = tokens.iter().map(|token| args![*token]).collect();
    for row in OF_TOKENS.run(conn, wanted).await? {
        if let Ok(hash) = row.bytes("token_hash")?.as_slice().try_into() {
            let of_key = granted.entry(row.id("gateway_key_id")?).or_default();
            of_key.push(SecretHash::from_bytes(hash));
        }
    }
    Ok(granted)
}

/// The last token of the step behind this one, if there are more.
pub(crate) async fn step(conn: Conn<'_>, after: TokenId) -> Result<Option<TokenId>, StoreError> {
    let last = conn.optional(STEP, args![after, STEP_ROWS - 1]).await?;
    last.map(|row| row.id("token_id")).transpose()
}

/// Of one step, which ends with the last token if it is not said with which.
pub(crate) async fn prune(
    conn: Conn<'_>,
    after: TokenId,
    upto: Option<TokenId>,
    ended_before: Timestamp,
) -> Result<u64, StoreError> {
    let upto = upto.unwrap_or(TokenId::from_uuid(Uuid::max()));
    conn.execute(PRUNE, args![after, upto, ended_before]).await
}
