//! Providers: configured upstreams with their sealed keys. Every change counts the configuration version up.

pub(crate) mod update;

use crate::connect::Store;
use crate::error::{RuleBroken, StoreError};
use crate::guard::may;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::page::{Cursor, Listing, Page};
use crate::rows::audit::AuditTarget;
use crate::rows::changes::Change;
use crate::rows::providers::{Provider, ProviderInsert, ProviderRef};
use crate::sql::providers as sql;
use lychgate_authz::{Action, Caller, Resource, Target, authorise_list};
use lychgate_types::ProviderId;
use lychgate_types::provider::ProviderType;

impl Store {
    /// Makes a provider with its keys.
    pub async fn provider_insert(&self, caller: &Caller, new: ProviderInsert) -> Result<Provider, StoreError> {
        let audited = AuditTarget::new(new.id, &new.name.to_ascii_lowercase());
        let mut mutation = self
            .creation(caller, Resource::Provider, Target::Collection, audited)
            .await?;
        let now = self.now();
        let mut tx = self.engine.begin().await?;
        sql::bump_version(tx.conn()).await?;
        sql::insert(tx.conn(), now, &new).await?;
        sql::insert_keys(tx.conn(), new.id, now, (0..).zip(&new.keys)).await?;
        let provider = sql::get(&mut tx, new.id).await?;
        mutation.became(&provider);
        mutation.commit(tx, &[Change::Configuration]).await?;
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

    /// One provider.
    pub async fn provider_find(
        &self,
        caller: &Caller,
        provider: impl Into<NameOrId<ProviderId>>,
    ) -> Result<Provider, StoreError> {
        may::<Provider>(caller, Action::Read)?;
        let mut tx = self.engine.begin_read().await?;
        let found = sql::find(&mut tx, &provider.into()).await?;
        Ok(found.for_action(caller, Action::Read)?.into_row())
    }

    /// Deletes a provider with its keys. One that routes use is kept ([`RuleBroken::ProviderInUse`]).
    pub async fn provider_delete(
        &self,
        caller: &Caller,
        provider: impl Into<NameOrId<ProviderId>>,
    ) -> Result<(), StoreError> {
        let provider = provider.into();
        let mut mutation = self
            .change_of::<Provider>(caller, Action::Delete, "delete", (&provider).into())
            .await?;
        let done = self.remove_provider(&mut mutation, &provider).await;
        mutation.settle(done).await
    }

    async fn remove_provider(
        &self,
        mutation: &mut Mutation<'_>,
        provider: &NameOrId<ProviderId>,
    ) -> Result<(), StoreError> {
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        sql::bump_version(tx.conn()).await?;
        let provider = mutation.find(sql::find(&mut tx, provider).await?)?;
        let routes = crate::sql::routes::users_of(tx.conn(), provider.id).await?;
        if !routes.is_empty() {
            return Err(RuleBroken::ProviderInUse { routes }.into());
        }
        sql::delete(tx.conn(), &provider).await?;
        mutation.commit(tx, &[Change::Configuration]).await
    }
}

/// The provider that a text names among these: the one of this id, otherwise the one of this name.
pub(crate) fn named<'p>(
    text: &str,
    present: &'p [(ProviderRef, ProviderType)],
) -> Option<&'p (ProviderRef, ProviderType)> {
    let wanted = NameOrId::<ProviderId>::from(text);
    let by_id = present.iter().find(|(provider, _)| Some(provider.id) == wanted.id());
    by_id.or_else(|| present.iter().find(|(provider, _)| provider.name == wanted.name()))
}
