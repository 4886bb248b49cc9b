//! Changing a provider: single fields, and the whole wanted list of keys.

use crate::connect::Store;
use crate::engine::Tx;
use crate::error::{RuleBroken, StoreError};
use crate::guard::Authorised;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::rows::changes::Change;
use crate::rows::providers::{Provider, ProviderAddress, ProviderPatch, WantedKey};
use crate::sql::providers as sql;
use lychgate_authz::{Action, Caller};
use lychgate_types::provider::origin;
use lychgate_types::settings::ProviderSettings;
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

    /// One provider, for a caller who may change it.
    pub async fn provider_to_change(
        &self,
        caller: &Caller,
        provider: impl Into<NameOrId<ProviderId>>,
    ) -> Result<Provider, StoreError> {
        let provider = provider.into();
        let mut mutation = self
            .change_of::<Provider>(caller, Action::Update, "update", (&provider).into())
            .await?;
        let mut tx = self.engine.begin_read().await?;
        let found = sql::find(&mut tx, &provider).await?;
        drop(tx);
        let found = mutation.find(found).map(Authorised::into_row);
        mutation.settle(found).await
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
        // Since it was read for the caller, another change may have come between.
        if patch.made_for.as_ref().is_some_and(|seen| !is_at(&provider, seen)) {
            return Err(RuleBroken::ProviderMoved.into());
        }
        if moves(&provider, patch) && keeps_keys(&provider, patch) {
            return Err(RuleBroken::KeysNeeded.into());
        }
        sql::update(tx.conn(), &provider, now, patch).await?;
        sql::change_policy(&mut tx, &provider, patch.policy).await?;
        if let Some(wanted) = &patch.keys {
            replace_keys(&mut tx, &provider, now, wanted).await?;
        }
        let provider = sql::get(&mut tx, provider.id).await?;
        mutation.became(&provider);
        mutation.commit(tx, &[Change::Configuration]).await?;
        Ok(provider)
    }
}

fn is_at(provider: &Provider, address: &ProviderAddress) -> bool {
    provider.base_url == address.base_url
        && provider.allow_private == address.allow_private
        && provider.settings == address.settings
}

/// Whether the keys will go elsewhere, or may, since they will be something else.
fn moves(provider: &Provider, patch: &ProviderPatch) -> bool {
    let elsewhere = |base_url: &String| origin(base_url) != origin(&provider.base_url);
    let otherwise = |allow_private: bool| allow_private != provider.allow_private;
    let anew = |settings: &ProviderSettings| *settings != provider.settings;
    patch.base_url.as_ref().is_some_and(elsewhere)
        || patch.allow_private.is_some_and(otherwise)
        || patch.settings.as_ref().is_some_and(anew)
}

fn keeps_keys(provider: &Provider, patch: &ProviderPatch) -> bool {
    match &patch.keys {
        None => !provider.keys.is_empty(),
        Some(wanted) => wanted.iter().any(|key| matches!(key, WantedKey::Keep(_))),
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
