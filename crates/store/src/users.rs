//! Users: people and services with an account. A deleted user stays as a row, for accounting; the name is free again.

use crate::changes::tokens_revoked;
use crate::connect::Store;
use crate::engine::{Lock, Tx};
use crate::error::{RuleBroken, StoreError};
use crate::guard::{Event, containing, id_or_name};
use crate::page::{Cursor, Listing, Page};
use crate::rows::audit::AuditOutcome;
use crate::rows::tokens::{Token, TokenInsert};
use crate::rows::users::{User, UserFilter, UserInsert, UserState};
use crate::sql;
use lychgate_authz::{Action, Caller, Resource, Role, Target, authorise, authorise_list};
use lychgate_types::UserId;
use lychgate_types::secret::SecretHash;

impl Store {
    /// Makes a user.
    pub async fn user_insert(&self, caller: &Caller, new: UserInsert) -> Result<User, StoreError> {
        let id = self.ambient.new_id::<UserId>();
        let event = Event::new("create", Resource::User)
            .id(id.as_uuid())
            .name(&new.username);
        self.admit(caller, Action::Create, Target::Collection, &event).await?;
        let mut tx = self.engine.begin().await?;
        let user = sql::users::insert(tx.conn(), id, self.now(), &new).await?;
        self.record(&mut tx, caller, &event.name(&user.username)).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Users, oldest first. A caller who may only see itself gets only itself.
    pub async fn user_list(
        &self,
        caller: &Caller,
        filter: &UserFilter,
        page: Page,
    ) -> Result<Listing<User>, StoreError> {
        let only = authorise_list(&caller.principal, Resource::User)?;
        let mut held = self.engine.read().await?;
        let items = sql::users::list(held.conn(), containing(filter.q.as_deref()), only, page).await?;
        Ok(Listing::cut(items, page, |user| Cursor {
            at: user.created_at,
            id: user.id.as_uuid(),
        }))
    }

    /// One user by id.
    pub async fn user_get(&self, caller: &Caller, id: UserId) -> Result<User, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::User, Target::OwnedBy(id))?;
        let mut held = self.engine.read().await?;
        sql::users::get(held.conn(), id).await?.ok_or(StoreError::NotFound)
    }

    /// One user by id or name.
    pub async fn user_find(&self, caller: &Caller, text: &str) -> Result<User, StoreError> {
        let only = authorise_list(&caller.principal, Resource::User)?;
        let (id, name) = id_or_name(text);
        let mut held = self.engine.read().await?;
        let found = sql::users::find(held.conn(), id, &name).await?;
        found
            .filter(|user| only.is_none_or(|own| own == user.id))
            .ok_or(StoreError::NotFound)
    }

    /// Suspends or activates a user. Gives the hashes of the user's live tokens, which replicas must forget.
    pub async fn user_set_state(
        &self,
        caller: &Caller,
        id: UserId,
        state: UserState,
    ) -> Result<(User, Vec<SecretHash>), StoreError> {
        let verb = if state == UserState::Active {
            "activate"
        } else {
            "suspend"
        };
        let event = Event::new(verb, Resource::User).id(id.as_uuid());
        self.admit(caller, Action::Update, Target::OwnedBy(id), &event).await?;
        let done = self.change_state(caller, id, state, &event).await;
        self.refused(caller, &event, done).await
    }

    /// Deletes a user and revokes the user's tokens; gives their hashes. `None`: there was no such user.
    pub async fn user_delete(&self, caller: &Caller, id: UserId) -> Result<Option<Vec<SecretHash>>, StoreError> {
        let event = Event::new("delete", Resource::User).id(id.as_uuid());
        self.admit(caller, Action::Delete, Target::OwnedBy(id), &event).await?;
        let done = self.remove_user(caller, id, &event).await;
        self.refused(caller, &event, done).await
    }

    /// Makes the very first user with a token (whose `user_id` is replaced by the new user's). `None`: there are, or were, users already.
    pub async fn users_bootstrap(
        &self,
        caller: &Caller,
        user: UserInsert,
        mut token: TokenInsert,
    ) -> Result<Option<(User, Token)>, StoreError> {
        let id = self.ambient.new_id::<UserId>();
        let event = Event::new("create", Resource::User)
            .id(id.as_uuid())
            .name(&user.username);
        self.admit(caller, Action::Create, Target::Collection, &event).await?;
        let token_event = Event::new("create", Resource::Token).id(token.id.as_uuid());
        let token_event = token_event.name(&token.name).prefix(&token.secret_prefix);
        self.admit(caller, Action::Create, Target::OwnedBy(id), &token_event)
            .await?;
        let mut tx = self.engine.begin().await?;
        if !sql::users::none_ever(&mut tx).await? {
            return Ok(None);
        }
        let user = sql::users::insert(tx.conn(), id, self.now(), &user).await?;
        token.user_id = id;
        sql::tokens::insert(tx.conn(), &token).await?;
        let token = sql::tokens::get(tx.conn(), token.id, None)
            .await?
            .ok_or(StoreError::NotFound)?;
        self.record(&mut tx, caller, &event.name(&user.username)).await?;
        self.record(&mut tx, caller, &token_event).await?;
        tx.commit().await?;
        Ok(Some((user, token)))
    }

    /// Writes a change's entry in the change's own transaction.
    pub(crate) async fn record(&self, tx: &mut Tx, caller: &Caller, event: &Event) -> Result<(), StoreError> {
        let entry = event.entry(AuditOutcome::Ok, event.detail.clone());
        sql::audit::insert(tx.conn(), caller, self.ambient.new_id(), self.now(), &entry).await
    }

    async fn change_state(
        &self,
        caller: &Caller,
        id: UserId,
        state: UserState,
        event: &Event,
    ) -> Result<(User, Vec<SecretHash>), StoreError> {
        let mut tx = self.engine.begin().await?;
        tx.lock(Lock::Accounts).await?;
        let user = sql::users::get(tx.conn(), id).await?.ok_or(StoreError::NotFound)?;
        if state == UserState::Suspended {
            keep_an_owner(&mut tx, &user).await?;
        }
        let user = sql::users::set_state(tx.conn(), id, state).await?;
        let hashes = sql::tokens::live_hashes(tx.conn(), id, self.now()).await?;
        self.record(&mut tx, caller, &event.clone().name(&user.username))
            .await?;
        if state == UserState::Suspended {
            self.announce(&mut tx, &tokens_revoked(&hashes)).await?;
        }
        tx.commit().await?;
        Ok((user, hashes))
    }

    async fn remove_user(
        &self,
        caller: &Caller,
        id: UserId,
        event: &Event,
    ) -> Result<Option<Vec<SecretHash>>, StoreError> {
        let mut tx = self.engine.begin().await?;
        tx.lock(Lock::Accounts).await?;
        let Some(user) = sql::users::get(tx.conn(), id).await? else {
            return Ok(None);
        };
        keep_an_owner(&mut tx, &user).await?;
        sql::users::delete(tx.conn(), id, self.now()).await?;
        let hashes = sql::tokens::revoke_all(tx.conn(), id, self.now()).await?;
        self.record(&mut tx, caller, &event.clone().name(&user.username))
            .await?;
        self.announce(&mut tx, &tokens_revoked(&hashes)).await?;
        tx.commit().await?;
        Ok(Some(hashes))
    }
}

/// Refuses to go on if `user`, about to be suspended or deleted, is the last who can run the deployment.
async fn keep_an_owner(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    let counts = user.role == Role::Owner && user.state == UserState::Active;
    if counts && sql::users::count_active_owners(tx.conn()).await? <= 1 {
        return Err(RuleBroken::LastOwner.into());
    }
    Ok(())
}
