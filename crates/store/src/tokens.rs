//! User tokens: what an AI client or API caller comes in with. A revoked token stays as a row.

use crate::connect::Store;
use crate::engine::Lock;
use crate::error::{RuleBroken, StoreError};
use crate::guard::{Event, no_replica, own};
use crate::page::{Cursor, Listing, Page};
use crate::rows::changes::Change;
use crate::rows::tokens::{Token, TokenAuthentication, TokenFilter, TokenInsert};
use crate::rows::users::UserState;
use crate::sql;
use lychgate_authz::{Action, Caller, Principal, Resource, Target, authorise, authorise_list};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Timestamp, TokenId};

impl Store {
    /// Makes a token for an active user.
    pub async fn token_insert(&self, caller: &Caller, new: TokenInsert) -> Result<Token, StoreError> {
        let event = Event::new("create", Resource::Token)
            .id(new.id.as_uuid())
            .name(&new.name)
            .prefix(&new.secret_prefix);
        self.admit(caller, Action::Create, Target::OwnedBy(new.user_id), &event)
            .await?;
        let done = self.make_token(caller, &new, &event).await;
        self.refused(caller, &event, done).await
    }

    /// Tokens, oldest first, revoked ones too. A caller who may only see its own gets only its own.
    pub async fn token_list(
        &self,
        caller: &Caller,
        filter: TokenFilter,
        page: Page,
    ) -> Result<Listing<Token>, StoreError> {
        let only = authorise_list(&caller.principal, Resource::Token)?;
        no_replica(caller)?;
        let user = match (only, filter.user) {
            (Some(own), Some(wanted)) if own != wanted => {
                return Ok(Listing {
                    items: Vec::new(),
                    next: None,
                });
            }
            (own, wanted) => own.or(wanted),
        };
        let mut held = self.engine.read().await?;
        let items = sql::tokens::list(held.conn(), user, page).await?;
        Ok(Listing::cut(items, page, |token| Cursor {
            at: token.created_at,
            id: token.id.as_uuid(),
        }))
    }

    /// One token by id.
    pub async fn token_get(&self, caller: &Caller, id: TokenId) -> Result<Token, StoreError> {
        let only = authorise_list(&caller.principal, Resource::Token)?;
        no_replica(caller)?;
        let mut held = self.engine.read().await?;
        sql::tokens::get(held.conn(), id, only)
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// Revokes a token; gives its hash, which replicas must forget. `None`: no such token, or revoked before.
    pub async fn token_revoke(&self, caller: &Caller, id: TokenId) -> Result<Option<SecretHash>, StoreError> {
        let event = Event::new("revoke", Resource::Token).id(id.as_uuid());
        self.admit(caller, Action::Delete, own(caller), &event).await?;
        // Whose it is never changes, so it may be read before the transaction.
        let found = sql::tokens::get(self.engine.read().await?.conn(), id, None).await?;
        let Some(token) = found else { return Ok(None) };
        let event = event.name(&token.name).prefix(&token.secret_prefix);
        self.admit(caller, Action::Delete, Target::OwnedBy(token.user.id), &event)
            .await?;
        let mut tx = self.engine.begin().await?;
        let Some(hash) = sql::tokens::revoke(tx.conn(), id, self.now()).await? else {
            return Ok(None);
        };
        self.record(&mut tx, caller, &event).await?;
        self.announce(&mut tx, &[Change::TokenRevoked(hash)]).await?;
        tx.commit().await?;
        Ok(Some(hash))
    }

    /// Looks a shown token up by its hash.
    pub async fn token_authenticate(
        &self,
        caller: &Caller,
        hash: &SecretHash,
    ) -> Result<Option<TokenAuthentication>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::tokens::authenticate(held.conn(), hash).await
    }

    /// Marks a token as used at this time; writes at most once a minute.
    pub async fn token_touch(&self, caller: &Caller, id: TokenId, at: Timestamp) -> Result<(), StoreError> {
        authorise(&caller.principal, Action::Update, Resource::Token, Target::Shared)?;
        let a_minute_before = Timestamp::from_micros(at.as_micros().saturating_sub(60_000_000));
        let mut held = self.engine.write().await?;
        sql::tokens::touch(held.conn(), id, at, a_minute_before).await
    }

    async fn make_token(&self, caller: &Caller, new: &TokenInsert, event: &Event) -> Result<Token, StoreError> {
        if let Principal::User(user) = &caller.principal
            && !user.scopes.cover(&new.scopes)
        {
            return Err(RuleBroken::ScopesTooWide.into());
        }
        let mut tx = self.engine.begin().await?;
        tx.lock(Lock::Accounts).await?;
        let user = sql::users::get(tx.conn(), new.user_id)
            .await?
            .ok_or(StoreError::NotFound)?;
        if user.state != UserState::Active {
            return Err(RuleBroken::OwnerSuspended.into());
        }
        sql::tokens::insert(tx.conn(), new).await?;
        let token = sql::tokens::get(tx.conn(), new.id, None)
            .await?
            .ok_or(StoreError::NotFound)?;
        self.record(&mut tx, caller, event).await?;
        tx.commit().await?;
        Ok(token)
    }
}
