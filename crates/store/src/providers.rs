//! Providers: configured upstreams with their sealed keys. Every change counts the configuration version up.

pub(crate) mod update;

use crate::changes::Change;
use crate::engine::Tx;
use crate::guard::{Event, id_or_name};
use crate::seal::Sealed;
use crate::sql::providers as sql;
use crate::{Cursor, Listing, Page, RuleBroken, Store, StoreError};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::policy::{PolicyChange, ProviderPolicy};
use lychgate_types::provider::ProviderType;
use lychgate_types::{ProviderId, ProviderKeyId, Timestamp};

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
    /// In force: what somebody has set, and the defaults.
    pub policy: ProviderPolicy,
    /// In the operator's order.
    pub keys: Vec<ProviderKey>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A provider as other things name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRef {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
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
    /// What differs from the default policy; its bounds are checked by the caller.
    pub policy: PolicyChange,
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
        self.announce(&mut tx, &[Change::Configuration]).await?;
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

    /// Deletes a provider with its keys. One that is not there is no error: the answer says whether one was deleted. One that
    /// routes name is kept ([`RuleBroken::ProviderInUse`]).
    pub async fn provider_delete(&self, caller: &Caller, id: ProviderId) -> Result<bool, StoreError> {
        let event = Event::new("delete", Resource::Provider).id(id.as_uuid());
        self.admit(caller, Action::Delete, Target::Shared, &event).await?;
        let done = self.remove_provider(caller, id, &event).await;
        self.refused(caller, &event, done).await
    }

    async fn remove_provider(&self, caller: &Caller, id: ProviderId, event: &Event) -> Result<bool, StoreError> {
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        sql::bump_version(tx.conn()).await?;
        let routes = crate::sql::routes::users_of(tx.conn(), id).await?;
        if !routes.is_empty() {
            return Err(RuleBroken::ProviderInUse { routes }.into());
        }
        let Some(name) = sql::delete(tx.conn(), id).await? else {
            return Ok(false);
        };
        self.record(&mut tx, caller, &event.clone().name(&name)).await?;
        self.announce(&mut tx, &[Change::Configuration]).await?;
        tx.commit().await?;
        Ok(true)
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
