//! Gateway keys that replace others: their replicas can open what the others' replicas left on a disk, and deliver it.
//!
//! A key may be replaced while it works or after it was deleted, for as long as records of its replicas are believed.

use crate::ai_gateway_keys::past_providers;
use crate::connect::Store;
use crate::engine::Tx;
use crate::error::{RuleBroken, StoreError};
use crate::guard::Authorised;
use crate::name_or_id::NameOrId;
use crate::rows::ai_gateway_keys::GatewayKey;
use crate::sql::ai_gateway_keys as keys;
use crate::sql::ai_gateway_keys::replaced as sql;
use crate::sql::tokens::grants;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::{GatewayKeyId, Timestamp};

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
pub(crate) async fn replace(
    tx: &mut Tx,
    replaced: GatewayKeyId,
    key: GatewayKeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sql::replace(tx.conn(), replaced, key).await?;
    sql::replace_all(tx.conn(), replaced, key, i64::from(REPLACED_KEYS)).await?;
    inherit(tx, replaced, key, now).await
}

/// What a key was told and served, another was, too.
pub(crate) async fn inherit(
    tx: &mut Tx,
    earlier: GatewayKeyId,
    key: GatewayKeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    grants::copy(tx.conn(), earlier, key).await?;
    past_providers::inherit(tx, earlier, key, now).await
}

/// The key is deleted now: what it was told since it was replaced is handed on, too.
pub(crate) async fn end(tx: &mut Tx, key: &Authorised<GatewayKey>, now: Timestamp) -> Result<(), StoreError> {
    for replacing in sql::replacing(tx.conn(), key.id).await? {
        inherit(tx, key.id, replacing, now).await?;
    }
    sql::bury(tx.conn(), key, now).await
}
