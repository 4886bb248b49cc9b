//! Users: people and services with an account. A deleted user stays as a row, for accounting; the name is free again.

use crate::changes::tokens_revoked;
use crate::connect::Store;
use crate::engine::{Held, Lock, Tx};
use crate::error::{RuleBroken, StoreError, Unmatched};
use crate::guard::may;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::page::{Cursor, Listing, Page};
use crate::rows::audit::AuditTarget;
use crate::rows::tokens::{Token, TokenInsert};
use crate::rows::users::{User, UserFilter, UserInsert, UserPatch, UserState};
use crate::sql;
use lychgate_authz::{Action, Caller, Resource, Role, Target, authorise_list};
use lychgate_types::UserId;
use lychgate_types::secret::SecretHash;

impl Store {
    /// Makes a user.
    pub async fn user_insert(&self, caller: &Caller, new: UserInsert) -> Result<User, StoreError> {
        let id = self.ambient.new_id::<UserId>();
        let audited = AuditTarget::new(id, &new.username.to_ascii_lowercase());
        let mut mutation = self
            .creation(caller, Resource::User, Target::Collection, audited)
            .await?;
        let mut tx = self.engine.begin().await?;
        let user = sql::users::insert(tx.conn(), id, self.now(), &new).await?;
        mutation.became(&user);
        mutation.commit(tx, &[]).await?;
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
        let items = sql::users::list(held.conn(), filter, only, page).await?;
        Ok(Listing::cut(items, page, |user| Cursor {
            at: user.created_at,
            id: user.id.as_uuid(),
        }))
    }

    /// One user.
    pub async fn user_find(&self, caller: &Caller, user: impl Into<NameOrId<UserId>>) -> Result<User, StoreError> {
        may::<User>(caller, Action::Read)?;
        let mut held = self.engine.read().await?;
        let found = sql::users::find(held.conn(), &user.into()).await?;
        Ok(found.for_action(caller, Action::Read)?.into_row())
    }

    /// Suspends or activates a user. Gives the hashes of the user's live tokens, which replicas must forget.
    pub async fn user_set_state(
        &self,
        caller: &Caller,
        user: impl Into<NameOrId<UserId>>,
        state: UserState,
    ) -> Result<(User, Vec<SecretHash>), StoreError> {
        let user = user.into();
        let verb = match state {
            UserState::Active => "activate",
            UserState::Suspended => "suspend",
        };
        let mut mutation = self
            .change_of::<User>(caller, Action::Update, verb, (&user).into())
            .await?;
        let done = self.change_state(&mut mutation, &user, state).await;
        mutation.settle(done).await
    }

    /// Changes a user's role and details. Gives the hashes of the user's live tokens where the role changed: replicas must forget what
    /// they know of them.
    pub async fn user_update(
        &self,
        caller: &Caller,
        user: impl Into<NameOrId<UserId>>,
        patch: UserPatch,
    ) -> Result<(User, Vec<SecretHash>), StoreError> {
        let user = user.into();
        let mut mutation = self
            .change_of::<User>(caller, Action::Update, "update", (&user).into())
            .await?;
        let done = self.change_user(&mut mutation, &user, &patch).await;
        mutation.settle(done).await
    }

    /// Deletes a user and revokes the user's tokens; gives their hashes.
    pub async fn user_delete(
        &self,
        caller: &Caller,
        user: impl Into<NameOrId<UserId>>,
    ) -> Result<Vec<SecretHash>, StoreError> {
        let user = user.into();
        let mut mutation = self
            .change_of::<User>(caller, Action::Delete, "delete", (&user).into())
            .await?;
        let done = self.remove_user(&mut mutation, &user).await;
        mutation.settle(done).await
    }

    /// Makes the very first user with a token, which belongs to the new user, not to `token.user`. `None`: there are
    /// users, or were.
    pub async fn users_bootstrap(
        &self,
        caller: &Caller,
        user: UserInsert,
        token: TokenInsert,
    ) -> Result<Option<(User, Token)>, StoreError> {
        let id = self.ambient.new_id::<UserId>();
        let audited = AuditTarget::new(id, &user.username.to_ascii_lowercase());
        let mut of_user = self
            .creation(caller, Resource::User, Target::Collection, audited)
            .await?;
        let audited = AuditTarget::new(token.id, &token.name).with_prefix(&token.secret_prefix);
        let mut of_token = self
            .creation(caller, Resource::Token, Target::OwnedBy(id), audited)
            .await?;
        let mut tx = self.engine.begin().await?;
        if !sql::users::none_ever(&mut tx).await? {
            return Ok(None);
        }
        let user = sql::users::insert(tx.conn(), id, self.now(), &user).await?;
        sql::tokens::insert(tx.conn(), &token, id, None).await?;
        let token = sql::tokens::get(tx.conn(), token.id).await?;
        of_user.became(&user);
        of_token.became(&token);
        of_user.record(&mut tx).await?;
        of_token.commit(tx, &[]).await?;
        Ok(Some((user, token)))
    }

    async fn change_state(
        &self,
        mutation: &mut Mutation<'_>,
        user: &NameOrId<UserId>,
        state: UserState,
    ) -> Result<(User, Vec<SecretHash>), StoreError> {
        let mut tx = self.engine.begin().await?;
        tx.lock(Lock::Accounts).await?;
        let found = mutation.find(sql::users::find(tx.conn(), user).await?)?;
        if state == UserState::Suspended {
            keep_an_owner(&mut tx, &found).await?;
        }
        let user = sql::users::set_state(tx.conn(), &found, state).await?;
        mutation.became(&user);
        let hashes = sql::tokens::live_hashes(tx.conn(), &found, self.now()).await?;
        let feed = match state {
            UserState::Active => Vec::new(),
            UserState::Suspended => tokens_revoked(&hashes),
        };
        mutation.commit(tx, &feed).await?;
        Ok((user, hashes))
    }

    async fn change_user(
        &self,
        mutation: &mut Mutation<'_>,
        user: &NameOrId<UserId>,
        patch: &UserPatch,
    ) -> Result<(User, Vec<SecretHash>), StoreError> {
        let mut tx = self.engine.begin().await?;
        tx.lock(Lock::Accounts).await?;
        let found = mutation.find(sql::users::find(tx.conn(), user).await?)?;
        let other_role = patch.role.is_some_and(|role| role != found.role);
        if other_role {
            keep_an_owner(&mut tx, &found).await?;
        }
        let user = sql::users::update(tx.conn(), &found, patch).await?;
        mutation.became(&user);
        let hashes = if other_role {
            sql::tokens::live_hashes(tx.conn(), &found, self.now()).await?
        } else {
            Vec::new()
        };
        mutation.commit(tx, &tokens_revoked(&hashes)).await?;
        Ok((user, hashes))
    }

    async fn remove_user(
        &self,
        mutation: &mut Mutation<'_>,
        user: &NameOrId<UserId>,
    ) -> Result<Vec<SecretHash>, StoreError> {
        let mut tx = self.engine.begin().await?;
        tx.lock(Lock::Accounts).await?;
        let user = mutation.find(sql::users::find(tx.conn(), user).await?)?;
        keep_an_owner(&mut tx, &user).await?;
        sql::users::delete(tx.conn(), &user, self.now()).await?;
        let hashes = sql::tokens::revoke_all(tx.conn(), &user, self.now()).await?;
        mutation.commit(tx, &tokens_revoked(&hashes)).await?;
        Ok(hashes)
    }
}

/// Refuses to go on if `user`, about to be suspended, deleted or given another role, is the last who can run the deployment.
async fn keep_an_owner(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    let counts = user.role == Role::Owner && user.state == UserState::Active;
    if counts && sql::users::count_active_owners(tx.conn()).await? <= 1 {
        return Err(RuleBroken::LastOwner.into());
    }
    Ok(())
}

const NOBODY: Unmatched = Unmatched {
    filter: "user",
    why: "no such user, or you may not see what is theirs",
};

/// Whose rows a listing gives; `None`: everybody's. `only`: whose alone the caller may list; `wanted`: whose the filter asks for.
/// Somebody whose rows the caller may not list is refused like somebody whom nobody knows.
pub(crate) async fn whose(
    held: &mut Held,
    only: Option<UserId>,
    wanted: Option<&NameOrId<UserId>>,
) -> Result<Option<UserId>, StoreError> {
    let Some(wanted) = wanted else { return Ok(only) };
    match sql::users::id_of(held, wanted).await? {
        Some(user) if only.is_none_or(|only| only == user) => Ok(Some(user)),
        _ => Err(NOBODY.into()),
    }
}
