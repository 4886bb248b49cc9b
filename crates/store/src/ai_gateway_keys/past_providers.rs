//! What gateway keys served once: records of that time are still on their way when a key is narrowed, deleted, or replaced by another.

use crate::engine::Tx;
use crate::error::StoreError;
use crate::rows::ai_gateway_keys::GatewayKey;
use crate::sql::ai_gateway_keys as keys;
use crate::sql::ai_gateway_keys::past_providers as sql;
use crate::sql::providers;
use lychgate_types::{GatewayKeyId, ProviderId, Timestamp};

/// The key serves from now on only these of the providers that it has served.
pub(crate) async fn narrow(
    tx: &mut Tx,
    key: &GatewayKey,
    kept: &[ProviderId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let served = match &key.providers {
        Some(providers) => providers.iter().map(|provider| provider.id).collect(),
        None => all(tx).await?,
    };
    let ended = served.into_iter().filter(|provider| !kept.contains(provider));
    sql::insert(tx.conn(), key.id, ended, now).await
}

/// What `earlier` served until now or once, `key` is to count as having served, too.
pub(crate) async fn inherit(
    tx: &mut Tx,
    earlier: GatewayKeyId,
    key: GatewayKeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sql::copy(tx.conn(), earlier, key).await?;
    let served = match keys::scopes(tx.conn(), Some(earlier)).await?.remove(&earlier) {
        Some(Some(served)) => served,
        Some(None) => all(tx).await?,
        // It was deleted: then it has served until that time.
        None => Vec::new(),
    };
    sql::insert(tx.conn(), key, served.into_iter(), now).await
}

async fn all(tx: &mut Tx) -> Result<Vec<ProviderId>, StoreError> {
    let all = providers::refs(tx.conn()).await?;
    Ok(all.into_iter().map(|(provider, _)| provider.id).collect())
}
