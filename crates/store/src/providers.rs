//! Providers: configured upstreams with their sealed keys. Every change counts the configuration version up.

use crate::engine::Tx;
use crate::guard::{Event, id_or_name, no_user};
use crate::seal::Sealed;
use crate::sql::providers as sql;
use crate::{Cursor, Listing, Page, Store, StoreError};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::provider::ProviderType;
use lychgate_types::{ProviderId, ProviderKeyId, Timestamp};
use std::collections::HashMap;

/// A provider; its keys are only shown masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// Lower case, unique.
    pub name: String,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// Absolute URL; checked by the caller.
    pub base_url: String,
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// In the operator's order.
    pub keys: Vec<ProviderKey>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// One of a provider's keys, masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// First and last four characters, or less.
    pub masked: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A provider to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderInsert {
    /// Made by the caller.
    pub id: ProviderId,
    /// Stored in lower case; must keep the name rule.
    pub name: String,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// At most 2000 characters.
    pub base_url: String,
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// In the operator's order.
    pub keys: Vec<ProviderKeyInsert>,
}

/// A provider key to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKeyInsert {
    /// Made by the caller: it is part of what the secret is sealed with.
    pub id: ProviderKeyId,
    /// The secret, sealed for `id` and the column `provider_keys.sealed`.
    pub sealed: Sealed,
    /// What may be shown of it.
    pub masked: String,
}

/// A provider as replicas need it, keys still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedProvider {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// Absolute URL.
    pub base_url: String,
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// In the operator's order.
    pub keys: Vec<(ProviderKeyId, Sealed)>,
}

impl Store {
    /// Makes a provider with its keys.
    pub async fn provider_insert(&self, caller: &Caller, new: ProviderInsert) -> Result<Provider, StoreError> {
        let event = Event::new("create", Resource::Provider)
            .id(new.id.as_uuid())
            .name(&new.name.to_ascii_lowercase());
        self.admit(caller, Action::Create, Target::Collection, &event).await?;
        let now = self.now();
        let mut tx = self.engine.begin().await?;
        sql::bump_version(tx.conn()).await?;
        sql::insert(tx.conn(), now, &new).await?;
        sql::insert_keys(tx.conn(), new.id, now, (0..).zip(&new.keys)).await?;
        let provider = whole(&mut tx, new.id).await?;
        self.record(&mut tx, caller, &event).await?;
        tx.commit().await?;
        Ok(provider)
    }

    /// Providers, oldest first.
    pub async fn provider_list(&self, caller: &Caller, page: Page) -> Result<Listing<Provider>, StoreError> {
        authorise_list(&caller.principal, Resource::Provider)?;
        let mut tx = self.engine.snapshot().await?;
        let mut items = sql::list(tx.conn(), page).await?;
        for (provider, key) in sql::keys(tx.conn()).await? {
            if let Some(item) = items.iter_mut().find(|item| item.id == provider) {
                item.keys.push(key);
            }
        }
        Ok(Listing::cut(items, page, |provider| Cursor {
            at: provider.created_at,
            id: provider.id.as_uuid(),
        }))
    }

    /// One provider by id or name.
    pub async fn provider_find(&self, caller: &Caller, text: &str) -> Result<Provider, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Provider, Target::Shared)?;
        let (id, name) = id_or_name(text);
        let mut tx = self.engine.snapshot().await?;
        let provider = sql::find(tx.conn(), id, &name).await?.ok_or(StoreError::NotFound)?;
        Ok(Provider {
            keys: sql::keys_of(tx.conn(), provider.id).await?,
            ..provider
        })
    }

    /// Deletes a provider with its keys. One that is not there is no error: the answer says whether one was deleted.
    pub async fn provider_delete(&self, caller: &Caller, id: ProviderId) -> Result<bool, StoreError> {
        let event = Event::new("delete", Resource::Provider).id(id.as_uuid());
        self.admit(caller, Action::Delete, Target::Shared, &event).await?;
        let mut tx = self.engine.begin().await?;
        sql::bump_version(tx.conn()).await?;
        let Some(name) = sql::delete(tx.conn(), id).await? else {
            return Ok(false);
        };
        self.record(&mut tx, caller, &event.name(&name)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// All providers and the configuration version that they make up, read in one snapshot. For the control plane and replicas only.
    pub async fn provider_configurations(&self, caller: &Caller) -> Result<(u64, Vec<SealedProvider>), StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Provider, Target::Collection)?;
        no_user(caller)?;
        let mut tx = self.engine.snapshot().await?;
        let version = u64::try_from(sql::version(tx.conn()).await?).unwrap_or(0);
        let mut keys: HashMap<ProviderId, Vec<_>> = HashMap::new();
        for (provider, key, sealed) in sql::sealed_keys(tx.conn()).await? {
            keys.entry(provider).or_default().push((key, sealed));
        }
        let sealed = |provider: Provider| SealedProvider {
            keys: keys.remove(&provider.id).unwrap_or_default(),
            id: provider.id,
            name: provider.name,
            provider_type: provider.provider_type,
            base_url: provider.base_url,
            enabled: provider.enabled,
            allow_private: provider.allow_private,
        };
        Ok((version, sql::all(tx.conn()).await?.into_iter().map(sealed).collect()))
    }
}

/// The provider with its keys, as the transaction sees it.
pub(crate) async fn whole(tx: &mut Tx, id: ProviderId) -> Result<Provider, StoreError> {
    let provider = sql::find(tx.conn(), Some(id.as_uuid()), "")
        .await?
        .ok_or(StoreError::NotFound)?;
    Ok(Provider {
        keys: sql::keys_of(tx.conn(), id).await?,
        ..provider
    })
}
