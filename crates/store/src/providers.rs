//! Providers: configured upstreams with their sealed keys. Every change counts the configuration version up.

pub(crate) mod update;

use crate::connect::Store;
use crate::engine::Tx;
use crate::error::{RuleBroken, StoreError};
use crate::guard::{Event, id_or_name};
use crate::page::{Cursor, Listing, Page};
use crate::rows::changes::Change;
use crate::rows::providers::{Provider, ProviderInsert};
use crate::sql::providers as sql;
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::ProviderId;

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
        let mut tx = self.engine.begin_read().await?;
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
        let mut tx = self.engine.begin_read().await?;
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
