//! Changing a provider: single fields, and the whole wanted list of keys.

use crate::connect::Store;
use crate::engine::Tx;
use crate::error::{RuleBroken, StoreError};
use crate::guard::Event;
use crate::providers::whole;
use crate::rows::changes::Change;
use crate::rows::providers::{Provider, ProviderPatch, WantedKey};
use crate::sql::providers as sql;
use lychgate_authz::{Action, Caller, Resource, Target};
use lychgate_types::{ProviderId, ProviderKeyId, Timestamp};
use std::collections::HashSet;

impl Store {
    /// Changes a provider.
    pub async fn provider_update(
        &self,
        caller: &Caller,
        id: ProviderId,
        patch: ProviderPatch,
    ) -> Result<Provider, StoreError> {
        let event = Event::new("update", Resource::Provider).id(id.as_uuid());
        self.admit(caller, Action::Update, Target::Shared, &event).await?;
        let done = self.change_provider(caller, id, &patch, &event).await;
        self.refused(caller, &event, done).await
    }

    async fn change_provider(
        &self,
        caller: &Caller,
        id: ProviderId,
        patch: &ProviderPatch,
        event: &Event,
    ) -> Result<Provider, StoreError> {
        let now = self.now();
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        sql::bump_version(tx.conn()).await?;
        let name = sql::update(tx.conn(), id, now, patch)
            .await?
            .ok_or(StoreError::NotFound)?;
        sql::change_policy(&mut tx, id, patch.policy).await?;
        if let Some(wanted) = &patch.keys {
            replace_keys(&mut tx, id, now, wanted).await?;
        }
        let provider = whole(&mut tx, id).await?;
        self.record(&mut tx, caller, &event.clone().name(&name)).await?;
        self.announce(&mut tx, &[Change::Configuration]).await?;
        tx.commit().await?;
        Ok(provider)
    }
}

async fn replace_keys(tx: &mut Tx, id: ProviderId, now: Timestamp, wanted: &[WantedKey]) -> Result<(), StoreError> {
    let present: HashSet<ProviderKeyId> = sql::keys_of(tx.conn(), id)
        .await?
        .into_iter()
        .map(|key| key.id)
        .collect();
    let mut kept = HashSet::new();
    let mut added = Vec::new();
    for (position, key) in (0..).zip(wanted) {
        match key {
            WantedKey::Keep(key) if !present.contains(key) || !kept.insert(*key) => {
                return Err(RuleBroken::NoSuchProviderKey.into());
            }
            WantedKey::Keep(key) => sql::move_key(tx.conn(), id, *key, position).await?,
            WantedKey::Add(key) => added.push((position, key)),
        }
    }
    for gone in present.difference(&kept) {
        sql::delete_key(tx.conn(), id, *gone).await?;
    }
    sql::insert_keys(tx.conn(), id, now, added).await
}
