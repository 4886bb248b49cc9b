//! Gateway keys: the record by which a replica proves itself.
//!
//! No method returns the hash of a secret, and no row type has a field for it.

pub(crate) mod rotate;
pub(crate) mod update;

use crate::connect::Store;
use crate::error::{RuleBroken, StoreError};
use crate::guard::{Event, containing, id_or_name, in_an_hour};
use crate::page::{Cursor, Listing, Page};
use crate::rows::ai_gateway_keys::{AiGatewayKeyInsert, GatewayKey, KeyAuthentication, KeyFilter, KeyState};
use crate::rows::changes::Change;
use crate::rows::idempotency::{Idempotency, Operation};
use crate::rows::providers::ProviderRef;
use crate::sql::{ai_gateway_keys as sql, idempotency, routes};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, ProviderId, Timestamp};

impl Store {
    /// The providers of these ids or names, each once, for a key that is to be made (`action` create) or changed (update).
    /// All must be there ([`RuleBroken::NoSuchProviders`]).
    pub async fn ai_gateway_key_providers(
        &self,
        caller: &Caller,
        action: Action,
        wanted: &[String],
    ) -> Result<Vec<ProviderRef>, StoreError> {
        let target = match action {
            Action::Create => Target::Collection,
            Action::Read | Action::Update | Action::Delete => Target::Shared,
        };
        let event = Event::new(action.as_str(), Resource::AiGatewayKey);
        self.admit(caller, action, target, &event).await?;
        let mut held = self.engine.read().await?;
        let present = routes::providers(held.conn()).await?;
        let (mut found, mut places) = (Vec::<ProviderRef>::new(), Vec::new());
        for (place, text) in wanted.iter().enumerate() {
            let (id, name) = id_or_name(text);
            let id = id.map(ProviderId::from_uuid);
            let by_id = present.iter().find(|(provider, _)| Some(provider.id) == id);
            match by_id.or_else(|| present.iter().find(|(provider, _)| provider.name == name)) {
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

    /// Makes a gateway key. With an [`Idempotency`], the answer is remembered in the same transaction; if another request
    /// with the same key won the race, the error is the conflict `idempotency_keys_user_operation_key_idx`: look it up again.
    pub async fn ai_gateway_key_insert(
        &self,
        caller: &Caller,
        new: AiGatewayKeyInsert,
        idempotency: Option<Idempotency>,
    ) -> Result<GatewayKey, StoreError> {
        let event = Event::new("create", Resource::AiGatewayKey).id(new.id.as_uuid());
        let event = event.name(&new.name.to_ascii_lowercase()).prefix(&new.secret_prefix);
        self.admit(caller, Action::Create, Target::Collection, &event).await?;
        let user = caller.principal.user_id();
        let mut tx = self.engine.begin().await?;
        if let (Some(user), Some(answer)) = (user, &idempotency) {
            let (id, now) = (self.new_uuid(), self.now());
            let whose = (user, Operation::AiGatewayKeyInsert.as_str());
            idempotency::insert(&mut tx, id, (now, in_an_hour(now)), whose, answer).await?;
        }
        let id = sql::insert(tx.conn(), &new, user).await?;
        let key = sql::get(&mut tx, id, self.now()).await?;
        self.record(&mut tx, caller, &event).await?;
        tx.commit().await?;
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
        let items = sql::list(&mut tx, containing(filter.q.as_deref()), page, self.now()).await?;
        Ok(Listing::cut(items, page, |key| Cursor {
            at: key.created_at,
            id: key.id.as_uuid(),
        }))
    }

    /// One gateway key by id or name.
    pub async fn ai_gateway_key_find(&self, caller: &Caller, text: &str) -> Result<GatewayKey, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let (id, name) = id_or_name(text);
        let mut tx = self.engine.begin_read().await?;
        sql::find(&mut tx, id, &name, self.now())
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// How many gateway keys are in each state; states without any are left out.
    pub async fn ai_gateway_key_count(&self, caller: &Caller) -> Result<Vec<(KeyState, u64)>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::count(held.conn(), self.now()).await
    }

    /// Deletes a gateway key. A key that is not there is no error: the answer says whether one was deleted.
    pub async fn ai_gateway_key_delete(&self, caller: &Caller, id: GatewayKeyId) -> Result<bool, StoreError> {
        let event = Event::new("delete", Resource::AiGatewayKey).id(id.as_uuid());
        self.admit(caller, Action::Delete, Target::Shared, &event).await?;
        let mut tx = self.engine.begin().await?;
        let Some((name, prefix)) = sql::delete(tx.conn(), id).await? else {
            return Ok(false);
        };
        self.record(&mut tx, caller, &event.name(&name).prefix(&prefix)).await?;
        self.announce(&mut tx, &[Change::GatewayKey(id)]).await?;
        tx.commit().await?;
        Ok(true)
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
