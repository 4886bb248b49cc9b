//! Changing a provider: single fields, and the whole wanted list of keys.

use crate::connect::Store;
use crate::engine::Tx;
use crate::error::{RuleBroken, StoreError};
use crate::guard::Authorised;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::rows::changes::Change;
use crate::rows::providers::{Provider, ProviderPatch, WantedKey};
use crate::sql::providers as sql;
use lychgate_authz::{Action, Caller};
use lychgate_types::{ProviderId, ProviderKeyId, Timestamp};
use std::collections::HashSet;

impl Store {
    /// Changes a provider.
    pub async fn provider_update(
        &self,
        caller: &Caller,
        provider: impl Into<NameOrId<ProviderId>>,
        patch: ProviderPatch,
    ) -> Result<Provider, StoreError> {
        let provider = provider.into();
        let mut mutation = self
            .change_of::<Provider>(caller, Action::Update, "update", (&provider).into())
            .await?;
        let done = self.change_provider(&mut mutation, &provider, &patch).await;
        mutation.settle(done).await
    }

    async fn change_provider(
        &self,
        mutation: &mut Mutation<'_>,
        provider: &NameOrId<ProviderId>,
        patch: &ProviderPatch,
    ) -> Result<Provider, StoreError> {
        let now = self.now();
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        sql::bump_version(tx.conn()).await?;
        let provider = mutation.find(sql::find(&mut tx, provider).await?)?;
        sql::update(tx.conn(), &provider, now, patch).await?;
        sql::change_policy(&mut tx, &provider, patch.policy).await?;
        if let Some(wanted) = &patch.keys {
            replace_keys(&mut tx, &provider, now, wanted).await?;
        }
        let provider = sql::get(&mut tx, provider.id).await?;
        mutation.commit(tx, &[Change::Configuration]).await?;
        Ok(provider)
    }
}

async fn replace_keys(
    tx: &mut Tx,
    provider: &Authorised<Provider>,
    now: Timestamp,
    wanted: &[WantedKey],
) -> Result<(), StoreError> {
    let present: HashSet<ProviderKeyId> = provider.keys.iter().map(|key| key.id).collect();
    let mut kept = HashSet::new();
    let mut added = Vec::new();
    for (position, key) in (0..).zip(wanted) {
        match key {
            WantedKey::Keep(key) if !present.contains(key) || !kept.insert(*key) => {
                return Err(RuleBroken::NoSuchProviderKey.into());
            }
            WantedKey::Keep(key) => sql::move_key(tx.conn(), provider, *key, position).await?,
            WantedKey::Add(key) => added.push((position, key)),
        }
    }
    for gone in present.difference(&kept) {
        sql::delete_key(tx.conn(), provider, *gone).await?;
    }
    sql::insert_keys(tx.conn(), provider.id, now, added).await
}
