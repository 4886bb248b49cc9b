//! Gateway keys that replace others: their replicas can open what the others' replicas left on a disk, and deliver it. What a replaced
//! key is told and serves counts for the one that replaces it until it stops working: its replicas may still run.
//!
//! A key may be replaced while it works or after it was deleted, for as long as records of its replicas are believed.

use crate::ai_gateway_keys::past_providers;
use crate::connect::Store;
use crate::engine::{Held, Tx};
use crate::error::{RuleBroken, StoreError};
use crate::name_or_id::NameOrId;
use crate::sql::ai_gateway_keys as keys;
use crate::sql::ai_gateway_keys::replaced as sql;
use crate::sql::replicas;
use crate::sql::tokens::grants;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};

/// So many keys, each replaced by the next, does the last one replace.
pub const REPLACED_KEYS: u8 = 8;

impl Store {
    /// The gateway keys that this one replaces, the nearest first; at most [`REPLACED_KEYS`].
    pub async fn ai_gateway_key_replaced(
        &self,
        caller: &Caller,
        key: GatewayKeyId,
    ) -> Result<Vec<GatewayKeyId>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::replaced_by(held.conn(), key).await
    }
}

/// The key that a caller, who may make keys, names as the one to be replaced: one that there is, or the last deleted one.
pub(crate) async fn find(tx: &mut Tx, key: &NameOrId<GatewayKeyId>) -> Result<GatewayKeyId, StoreError> {
    let living = match key.id() {
        Some(id) => keys::exists(tx.conn(), id).await?.then_some(id),
        None => keys::id_of_name(tx.conn(), key.name()).await?,
    };
    match living {
        Some(id) => Ok(id),
        None => Ok(sql::find_deleted(tx.conn(), key)
            .await?
            .ok_or(RuleBroken::NoSuchGatewayKey)?),
    }
}

/// The new key replaces this one.
pub(crate) async fn replace(tx: &mut Tx, replaced: GatewayKeyId, key: GatewayKeyId) -> Result<(), StoreError> {
    sql::replace(tx.conn(), replaced, key).await?;
    sql::replace_all(tx.conn(), replaced, key, i64::from(REPLACED_KEYS)).await
}

/// The keys that count as the one that is shown where records are delivered: itself, what it replaces, and the same of the key that the
/// replica is attached with and of the one that its process had before.
pub(crate) async fn counted(
    held: &mut Held,
    shown: GatewayKeyId,
    replica: Option<ReplicaId>,
) -> Result<Vec<GatewayKeyId>, StoreError> {
    let mut keys = vec![shown];
    keys.extend(sql::replaced_by(held.conn(), shown).await?);
    let attached = match replica {
        Some(replica) => replicas::keys_of(held.conn(), replica).await?,
        None => Vec::new(),
    };
    for key in attached {
        if !keys.contains(&key) {
            keys.push(key);
            keys.extend(sql::replaced_by(held.conn(), key).await?);
        }
    }
    Ok(keys)
}

/// What a key, and those that it replaces, were told and served, another was, too: a process goes on with it.
pub(crate) async fn inherit(
    tx: &mut Tx,
    earlier: GatewayKeyId,
    key: GatewayKeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut sources = vec![earlier];
    sources.extend(sql::replaced_by(tx.conn(), earlier).await?);
    for source in sources.into_iter().filter(|source| *source != key) {
        grants::copy(tx.conn(), source, key).await?;
        past_providers::inherit(tx, source, key, now).await?;
    }
    Ok(())
}
