//! The audit log: who did what to what, when, in which request, with what outcome. Never a secret or a hash.

use crate::connect::Store;
use crate::denials::Rest;
use crate::error::StoreError;
use crate::page::{Cursor, Listing, Page};
use crate::rows::audit::{AuditEntry, AuditFilter, AuditInsert};
use crate::sql::audit as sql;
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};

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
        sql::insert(held.conn(), caller, self.ambient.new_id(), self.now(), &new).await
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
            sql::insert(tx.conn(), &rest.caller, id, now, &rest.entry()).await?;
        }
        tx.commit().await
    }

    /// Entries, newest first.
    pub async fn audit_list(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<AuditEntry>, StoreError> {
        authorise_list(&caller.principal, Resource::AuditEntry)?;
        let mut held = self.engine.read().await?;
        let items = sql::list(held.conn(), filter, page).await?;
        Ok(Listing::cut(items, page, |entry| Cursor {
            at: entry.created_at,
            id: entry.id.as_uuid(),
        }))
    }
}
