//! The audit log: who did what to what, when, in which request, with what outcome. Never a secret or a hash.

use crate::connect::Store;
use crate::denials::Rest;
use crate::engine::Held;
use crate::error::{StoreError, Unmatched};
use crate::name_or_id::NameOrId;
use crate::page::{Cursor, Listing, Page};
use crate::rows::audit::{ACTIONS, ActorKind, AuditChange, AuditEntry, AuditFilter, AuditInsert};
use crate::sql::audit::{self as sql, Actor};
use crate::sql::{ai_gateway_keys, users};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::UserId;

impl Store {
    /// Writes an entry about something that is not a change of data, such as a replica's attach.
    pub async fn audit_append(&self, caller: &Caller, new: AuditInsert) -> Result<(), StoreError> {
        authorise(
            &caller.principal,
            Action::Create,
            Resource::AuditEntry,
            Target::Collection,
        )?;
        let mut held = self.engine.write().await?;
        let (id, now) = (self.ambient.new_id(), self.now());
        sql::insert(held.conn(), caller, id, now, &new, AuditChange::default()).await
    }

    /// Writes what was counted of refused changes instead of being written one by one, in minutes that are over or (`all`) so far.
    pub async fn audit_denied_flush(&self, caller: &Caller, all: bool) -> Result<(), StoreError> {
        authorise(
            &caller.principal,
            Action::Create,
            Resource::AuditEntry,
            Target::Collection,
        )?;
        let rest = self.denials.take(self.now(), all);
        if rest.is_empty() {
            return Ok(());
        }
        let written = self.write_denied(&rest).await;
        if written.is_err() {
            self.denials.put_back(rest);
        }
        written
    }

    async fn write_denied(&self, rest: &[Rest]) -> Result<(), StoreError> {
        let mut tx = self.engine.begin().await?;
        for rest in rest {
            let (id, now) = (self.ambient.new_id(), self.now());
            sql::insert(tx.conn(), &rest.caller, id, now, &rest.entry(), AuditChange::default()).await?;
        }
        tx.commit().await
    }

    /// Entries, newest first. A filter that names what nothing has is an error ([`StoreError::Unmatched`]).
    pub async fn audit_list(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<AuditEntry>, StoreError> {
        authorise_list(&caller.principal, Resource::AuditEntry)?;
        let mut held = self.engine.read().await?;
        let actor = match &filter.actor {
            Some(named) => Some(actor(&mut held, named).await?),
            None => None,
        };
        let items = sql::list(held.conn(), filter, actor, page).await?;
        if let (true, None, Some(action)) = (items.is_empty(), page.after, &filter.action)
            && !ACTIONS.contains(&action.as_str())
            && !sql::has_action(held.conn(), action).await?
        {
            return Err(NO_ACTION.into());
        }
        Ok(Listing::cut(items, page, |entry| Cursor {
            at: entry.created_at,
            id: entry.id.as_uuid(),
        }))
    }
}

const NO_ACTION: Unmatched = Unmatched {
    filter: "action",
    why: "no entry is about such an action",
};
const NOBODY: Unmatched = Unmatched {
    filter: "actor",
    why: "no such user or gateway key, and none that ever acted",
};

/// Whom a filter names: the user who has the name now, else the gateway key, else who acted under it last.
async fn actor(held: &mut Held, named: &str) -> Result<Actor, StoreError> {
    let named = named.to_ascii_lowercase();
    if let Some(user) = users::id_of_name(held.conn(), &named).await? {
        return Ok(Actor::Id(user.as_uuid()));
    }
    if named == ActorKind::ControlPlane.as_str() {
        return Ok(Actor::ControlPlane);
    }
    if let Some(key) = ai_gateway_keys::id_of_name(held.conn(), &named).await? {
        return Ok(Actor::Id(key.as_uuid()));
    }
    if let Some(id) = sql::actor(held, &named).await? {
        return Ok(Actor::Id(id));
    }
    // Those who have not acted yet.
    match users::id_of(held, &NameOrId::<UserId>::from(&named)).await? {
        Some(user) => Ok(Actor::Id(user.as_uuid())),
        None => Err(NOBODY.into()),
    }
}
