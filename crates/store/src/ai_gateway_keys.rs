//! Gateway keys: the record by which a replica proves itself.
//!
//! No method returns the hash of a secret, and no row type has a field for it.

pub(crate) mod past_providers;
pub(crate) mod replaced;
pub(crate) mod rotate;
pub(crate) mod update;

use crate::connect::Store;
use crate::error::{RuleBroken, StoreError};
use crate::guard::may;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::page::{Cursor, Listing, Page};
use crate::providers::named;
use crate::rows::ai_gateway_keys::{AiGatewayKeyInsert, GatewayKey, KeyAuthentication, KeyFilter, KeyState};
use crate::rows::audit::AuditTarget;
use crate::rows::changes::Change;
use crate::rows::idempotency::{Idempotency, Operation};
use crate::rows::providers::ProviderRef;
use crate::sql::{ai_gateway_keys as sql, idempotency, providers};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Timestamp};

impl Store {
    /// The providers of these ids or names, each once, for a key that is to be made (`action` create) or changed (update).
    /// All must be there ([`RuleBroken::NoSuchProviders`]).
    pub async fn ai_gateway_key_providers(
        &self,
        caller: &Caller,
        action: Action,
        wanted: &[String],
    ) -> Result<Vec<ProviderRef>, StoreError> {
        let audited = AuditTarget::default();
        let _allowed = match action {
            Action::Create => {
                let resource = Resource::AiGatewayKey;
                self.creation(caller, resource, Target::Collection, audited).await?
            }
            Action::Read | Action::Update | Action::Delete => {
                self.change_of::<GatewayKey>(caller, action, action.as_str(), audited)
                    .await?
            }
        };
        let mut held = self.engine.read().await?;
        let present = providers::refs(held.conn()).await?;
        let (mut found, mut places) = (Vec::<ProviderRef>::new(), Vec::new());
        for (place, text) in wanted.iter().enumerate() {
            match named(text, &present) {
                None => places.push(place),
                Some((provider, _)) if found.iter().any(|known| known.id == provider.id) => {}
                Some((provider, _)) => found.push(provider.clone()),
            }
        }
        if places.is_empty() {
            return Ok(found);
        }
        Err(RuleBroken::NoSuchProviders { places }.into())
    }

    /// Makes a gateway key.
    pub async fn ai_gateway_key_insert(
        &self,
        caller: &Caller,
        new: AiGatewayKeyInsert,
        idempotency: Option<Idempotency<'_, GatewayKey>>,
    ) -> Result<GatewayKey, StoreError> {
        let audited = AuditTarget::new(new.id, &new.name.to_ascii_lowercase()).with_prefix(&new.secret_prefix);
        let resource = Resource::AiGatewayKey;
        let mut mutation = self.creation(caller, resource, Target::Collection, audited).await?;
        let done = self.make_key(caller, &mut mutation, &new, idempotency).await;
        mutation.settle(done).await
    }

    async fn make_key(
        &self,
        caller: &Caller,
        mutation: &mut Mutation<'_>,
        new: &AiGatewayKeyInsert,
        idempotency: Option<Idempotency<'_, GatewayKey>>,
    ) -> Result<GatewayKey, StoreError> {
        let user = caller.principal.user_id();
        let mut tx = self.engine.begin().await?;
        let operation = Operation::AiGatewayKeyInsert;
        let claim = self.claim(&mut tx, caller, operation, idempotency).await?;
        // Before the new one, which may have its name.
        let replaced = match &new.replaces {
            Some(named) => Some(replaced::find(&mut tx, named).await?),
            None => None,
        };
        sql::insert(tx.conn(), new, user).await?;
        if let Some(replaced) = replaced {
            replaced::replace(&mut tx, replaced, new.id).await?;
            mutation.set_detail(format!("replaces {replaced}"));
        }
        let key = sql::get(&mut tx, new.id, self.now()).await?;
        claim.settle(&mut tx, &key).await?;
        mutation.became(&key);
        mutation.commit(tx, &[]).await?;
        Ok(key)
    }

    /// Gateway keys, oldest first.
    pub async fn ai_gateway_key_list(
        &self,
        caller: &Caller,
        filter: &KeyFilter,
        page: Page,
    ) -> Result<Listing<GatewayKey>, StoreError> {
        authorise_list(&caller.principal, Resource::AiGatewayKey)?;
        let mut tx = self.engine.begin_read().await?;
        let items = sql::list(&mut tx, filter, page, self.now()).await?;
        Ok(Listing::cut(items, page, |key| Cursor {
            at: key.created_at,
            id: key.id.as_uuid(),
        }))
    }

    /// One gateway key.
    pub async fn ai_gateway_key_find(
        &self,
        caller: &Caller,
        key: impl Into<NameOrId<GatewayKeyId>>,
    ) -> Result<GatewayKey, StoreError> {
        may::<GatewayKey>(caller, Action::Read)?;
        let mut tx = self.engine.begin_read().await?;
        let found = sql::find(&mut tx, &key.into(), self.now()).await?;
        Ok(found.for_action(caller, Action::Read)?.into_row())
    }

    /// How many gateway keys are in each state; states without any are left out.
    pub async fn ai_gateway_key_count(&self, caller: &Caller) -> Result<Vec<(KeyState, u64)>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::count(held.conn(), self.now()).await
    }

    /// Deletes a gateway key; gives its id.
    pub async fn ai_gateway_key_delete(
        &self,
        caller: &Caller,
        key: impl Into<NameOrId<GatewayKeyId>>,
    ) -> Result<GatewayKeyId, StoreError> {
        let key = key.into();
        let mut mutation = self
            .change_of::<GatewayKey>(caller, Action::Delete, "delete", (&key).into())
            .await?;
        let done = self.remove_key(&mut mutation, &key).await;
        mutation.settle(done).await
    }

    async fn remove_key(
        &self,
        mutation: &mut Mutation<'_>,
        key: &NameOrId<GatewayKeyId>,
    ) -> Result<GatewayKeyId, StoreError> {
        let mut tx = self.engine.begin().await?;
        let key = mutation.find(sql::find(&mut tx, key, self.now()).await?)?;
        if !sql::delete(tx.conn(), &key).await? {
            return Err(StoreError::NotFound);
        }
        // A replica that goes on with another key still has records of this one.
        past_providers::narrow(&mut tx, &key, &[], self.now()).await?;
        sql::replaced::bury(tx.conn(), &key, self.now()).await?;
        idempotency::forget(tx.conn(), key.id.as_uuid()).await?;
        mutation.commit(tx, &[Change::GatewayKey(key.id)]).await?;
        Ok(key.id)
    }

    /// Looks a shown gateway key up by its hash: a present secret's, or one's that a rotation replaced.
    pub async fn ai_gateway_key_authenticate(
        &self,
        caller: &Caller,
        hash: &SecretHash,
    ) -> Result<Option<KeyAuthentication>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::authenticate(held.conn(), hash, self.now()).await
    }

    /// The marks ([`SecretHash::mark`]) of all secrets that [`Self::ai_gateway_key_authenticate`] may find.
    pub async fn ai_gateway_key_marks(&self, caller: &Caller) -> Result<Vec<u64>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::marks(held.conn()).await
    }

    /// Marks a gateway key as used at this time. An earlier time than the one on record changes nothing.
    pub async fn ai_gateway_key_touch(
        &self,
        caller: &Caller,
        id: GatewayKeyId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        authorise(
            &caller.principal,
            Action::Update,
            Resource::AiGatewayKey,
            Target::Shared,
        )?;
        let mut held = self.engine.write().await?;
        sql::touch(held.conn(), id, at).await
    }
}
