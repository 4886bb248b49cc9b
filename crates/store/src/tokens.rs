//! User tokens: what an AI client or API caller comes in with. A revoked token stays as a row.

pub(crate) mod grants;

use crate::changes::tokens_revoked;
use crate::connect::Store;
use crate::engine::Lock;
use crate::error::{RuleBroken, StoreError};
use crate::guard::{may, no_replica, only_control_plane};
use crate::mutation::Mutation;
use crate::page::{Cursor, Listing, Page};
use crate::rows::audit::AuditTarget;
use crate::rows::idempotency::{Idempotency, Operation};
use crate::rows::tokens::{Token, TokenAuthentication, TokenFilter, TokenInsert};
use crate::rows::users::UserState;
use crate::sql;
use crate::users::whose;
use grants::gateway_key;
use lychgate_authz::{Action, Caller, Principal, Resource, Target, authorise, authorise_list};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Timestamp, TokenId};
use std::time::Duration;

/// How long a replica that is cut off may go on with what it was told of a token.
pub const TOKEN_LEASE: Duration = Duration::from_secs(15 * 60);
/// So many working tokens a user may have.
pub const TOKENS_PER_USER: u32 = 200;

impl Store {
    /// Makes a token for an active user.
    pub async fn token_insert(
        &self,
        caller: &Caller,
        new: TokenInsert,
        idempotency: Option<Idempotency<'_, Token>>,
    ) -> Result<Token, StoreError> {
        let audited = AuditTarget::new(new.id, &new.name).with_prefix(&new.secret_prefix);
        let mut mutation = self
            .change_of::<Token>(caller, Action::Create, "create", audited)
            .await?;
        let done = self.make_token(caller, &mut mutation, &new, idempotency).await;
        mutation.settle(done).await
    }

    /// Tokens, oldest first, revoked ones too. A caller who may only see its own gets only its own.
    pub async fn token_list(
        &self,
        caller: &Caller,
        filter: &TokenFilter,
        page: Page,
    ) -> Result<Listing<Token>, StoreError> {
        let only = authorise_list(&caller.principal, Resource::Token)?;
        no_replica(caller)?;
        let mut held = self.engine.read().await?;
        let user = whose(&mut held, only, filter.user.as_ref()).await?;
        let items = sql::tokens::list(held.conn(), user, page).await?;
        Ok(Listing::cut(items, page, |token| Cursor {
            at: token.created_at,
            id: token.id.as_uuid(),
        }))
    }

    /// One token.
    pub async fn token_get(&self, caller: &Caller, id: TokenId) -> Result<Token, StoreError> {
        may::<Token>(caller, Action::Read)?;
        no_replica(caller)?;
        let mut held = self.engine.read().await?;
        let found = sql::tokens::find(held.conn(), id).await?;
        Ok(found.for_action(caller, Action::Read)?.into_row())
    }

    /// Revokes a token, and those that its user made with it; gives the hashes, which replicas must forget. One that was revoked
    /// before counts as not there.
    pub async fn token_revoke(&self, caller: &Caller, id: TokenId) -> Result<Vec<SecretHash>, StoreError> {
        let mut mutation = self
            .change_of::<Token>(caller, Action::Delete, "revoke", AuditTarget::id(id))
            .await?;
        let done = self.end_token(&mut mutation, id).await;
        mutation.settle(done).await
    }

    async fn end_token(&self, mutation: &mut Mutation<'_>, id: TokenId) -> Result<Vec<SecretHash>, StoreError> {
        let mut tx = self.engine.begin().await?;
        // It makes none while it ends.
        tx.lock(Lock::Accounts).await?;
        let token = mutation.find(sql::tokens::find(tx.conn(), id).await?)?;
        let Some(hash) = sql::tokens::revoke(tx.conn(), &token, self.now()).await? else {
            return Err(StoreError::NotFound);
        };
        sql::idempotency::forget(tx.conn(), id.as_uuid()).await?;
        let mut hashes = vec![hash];
        hashes.extend(sql::tokens::revoke_made_by(tx.conn(), &token, self.now()).await?);
        mutation.commit(tx, &tokens_revoked(&hashes)).await?;
        Ok(hashes)
    }

    /// Looks a shown token up by its hash.
    pub async fn token_authenticate(
        &self,
        caller: &Caller,
        hash: &SecretHash,
    ) -> Result<Option<TokenAuthentication>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::tokens::authenticate(held.conn(), hash, gateway_key(caller)).await
    }

    /// The marks ([`SecretHash::mark`]) of all tokens, revoked ones too; or only of those made since then.
    pub async fn token_marks(&self, caller: &Caller, made_since: Option<Timestamp>) -> Result<Vec<u64>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
        only_control_plane(caller)?;
        let mut held = self.engine.read().await?;
        sql::tokens::marks(held.conn(), made_since).await
    }

    /// Marks a token as used at this time; writes at most once a minute.
    pub async fn token_touch(&self, caller: &Caller, id: TokenId, at: Timestamp) -> Result<(), StoreError> {
        authorise(&caller.principal, Action::Update, Resource::Token, Target::Shared)?;
        let a_minute_before = Timestamp::from_micros(at.as_micros().saturating_sub(60_000_000));
        let mut held = self.engine.write().await?;
        sql::tokens::touch(held.conn(), id, at, a_minute_before).await
    }

    async fn make_token(
        &self,
        caller: &Caller,
        mutation: &mut Mutation<'_>,
        new: &TokenInsert,
        idempotency: Option<Idempotency<'_, Token>>,
    ) -> Result<Token, StoreError> {
        let mut tx = self.engine.begin().await?;
        let claim = self.claim(&mut tx, caller, Operation::TokenInsert, idempotency).await?;
        tx.lock(Lock::Accounts).await?;
        let found = sql::users::find(tx.conn(), &new.user).await?;
        let user = found.owner_for(caller, Action::Create, Resource::Token)?;
        if let Principal::User(user) = &caller.principal
            && !user.scopes.cover(&new.scopes)
        {
            return Err(RuleBroken::ScopesTooWide.into());
        }
        if user.state != UserState::Active {
            return Err(RuleBroken::OwnerSuspended.into());
        }
        let made_by = match &caller.principal {
            Principal::User(maker) if maker.user_id == user.id => Some(maker.token_id),
            _ => None,
        };
        if let Some(maker) = made_by {
            let until = sql::tokens::works_until(tx.conn(), maker).await?;
            if let Some(until) = until.filter(|until| new.expires_at.is_none_or(|at| at > *until)) {
                return Err(RuleBroken::OutlivesMaker { until }.into());
            }
        }
        if sql::tokens::count_working(tx.conn(), &user, self.now()).await? >= u64::from(TOKENS_PER_USER) {
            let most = TOKENS_PER_USER;
            return Err(RuleBroken::TooManyTokens { most }.into());
        }
        sql::tokens::insert(tx.conn(), new, user.id, made_by).await?;
        let token = sql::tokens::get(tx.conn(), new.id).await?;
        claim.settle(&mut tx, &token).await?;
        mutation.became(&token);
        mutation.commit(tx, &[]).await?;
        Ok(token)
    }
}
