//! Until when gateway keys served the providers that they serve no more.

use crate::engine::{Bulk, Conn, args};
use crate::error::StoreError;
use lychgate_types::{GatewayKeyId, ProviderId, Timestamp};
use std::collections::HashMap;

crate::sql::statements! {
    OF_KEY = "SELECT provider_id, served_until FROM ai_gateway_key_past_providers WHERE gateway_key_id = $1";
    COPY = "INSERT INTO ai_gateway_key_past_providers (gateway_key_id, provider_id, served_until) \
         SELECT $2, p.provider_id, p.served_until FROM ai_gateway_key_past_providers p WHERE p.gateway_key_id = $1 \
         ON CONFLICT (gateway_key_id, provider_id) DO UPDATE SET served_until = excluded.served_until \
         WHERE ai_gateway_key_past_providers.served_until < excluded.served_until";
    PRUNE = "DELETE FROM ai_gateway_key_past_providers WHERE served_until < $1";
}

const INSERT: Bulk = Bulk {
    head: "INSERT INTO ai_gateway_key_past_providers (gateway_key_id, provider_id, served_until) ",
    tail: " ON CONFLICT (gateway_key_id, provider_id) DO UPDATE SET served_until = excluded.served_until \
           WHERE ai_gateway_key_past_providers.served_until < excluded.served_until",
};
#[cfg(test)]
pub(in crate::sql) const BULKS: &[Bulk] = &[INSERT];

/// The key serves these no more.
pub(crate) async fn insert(
    conn: Conn<'_>,
    key: GatewayKeyId,
    providers: impl Iterator<Item = ProviderId>,
    until: Timestamp,
) -> Result<(), StoreError> {
    let rows: Vec<_> = providers.map(|provider| args![key, provider, until]).collect();
    if rows.is_empty() {
        return Ok(());
    }
    INSERT.run(conn, rows).await.map(drop)
}

/// What one key served once, the other did, too.
pub(crate) async fn copy(conn: Conn<'_>, from: GatewayKeyId, to: GatewayKeyId) -> Result<(), StoreError> {
    conn.execute(COPY, args![from, to]).await.map(drop)
}

pub(crate) async fn of_key(conn: Conn<'_>, key: GatewayKeyId) -> Result<HashMap<ProviderId, Timestamp>, StoreError> {
    let rows = conn.all(OF_KEY, args![key]).await?;
    rows.iter()
        .map(|row| Ok((row.id("provider_id")?, row.time("served_until")?)))
        .collect()
}

pub(crate) async fn prune(conn: Conn<'_>, before: Timestamp) -> Result<u64, StoreError> {
    conn.execute(PRUNE, args![before]).await
}
