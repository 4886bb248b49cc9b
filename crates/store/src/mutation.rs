//! One change by one caller: authorised before anything is read, and in the audit log whatever comes of it.
//!
//! What is done is recorded in the transaction of the change itself; what a right or a rule refuses, after that transaction is
//! gone. Every method that changes something for a caller is made of these steps: [`Store::creation`] or [`Store::change_of`],
//! [`Mutation::find`], the statements, [`Mutation::became`], [`Mutation::commit`], and [`Mutation::settle`] around all of them.

use crate::connect::Store;
use crate::engine::Tx;
use crate::error::StoreError;
use crate::facts::{Facts, difference};
use crate::guard::{Authorised, Found, Guarded, may};
use crate::rows::audit::{AuditChange, AuditInsert, AuditOutcome, AuditTarget};
use crate::rows::changes::Change;
use crate::sql::{audit, changes};
use lychgate_authz::{Action, Caller, Denial, Resource, Target, authorise};

/// A change that the caller may make, as far as that can be said before its row is found.
#[must_use]
pub(crate) struct Mutation<'c> {
    store: &'c Store,
    caller: &'c Caller,
    action: Action,
    resource: Resource,
    /// For the audit log, such as `rotate`.
    verb: &'static str,
    target: AuditTarget,
    detail: Option<String>,
    /// The row as it was, once it is found.
    before: Facts,
    /// The row as it became; `None` where the change left no trace in it.
    after: Option<Facts>,
}

impl Store {
    /// Authorises making a row.
    pub(crate) async fn creation<'c>(
        &'c self,
        caller: &'c Caller,
        resource: Resource,
        target: Target,
        audited: AuditTarget,
    ) -> Result<Mutation<'c>, StoreError> {
        let action = Action::Create;
        let mutation = Mutation {
            store: self,
            caller,
            action,
            resource,
            verb: action.as_str(),
            target: audited,
            detail: None,
            before: Facts::new(),
            after: None,
        };
        mutation
            .begin(authorise(&caller.principal, action, resource, target))
            .await
    }

    /// Authorises a change of a row that is yet to be found: whether the caller may do this to any.
    pub(crate) async fn change_of<'c, R: Guarded>(
        &'c self,
        caller: &'c Caller,
        action: Action,
        verb: &'static str,
        audited: AuditTarget,
    ) -> Result<Mutation<'c>, StoreError> {
        let mutation = Mutation {
            store: self,
            caller,
            action,
            resource: R::RESOURCE,
            verb,
            target: audited,
            detail: None,
            before: R::facts_of_none(),
            after: None,
        };
        mutation.begin(may::<R>(caller, action)).await
    }
}

impl<'c> Mutation<'c> {
    async fn begin(self, allowed: Result<(), Denial>) -> Result<Mutation<'c>, StoreError> {
        match allowed {
            Ok(()) => Ok(self),
            Err(denial) => self.settle(Err(denial.into())).await,
        }
    }

    /// The row that a look-up gave, if the caller may do this to it. The audit log names that row from here on.
    pub(crate) fn find<R: Guarded>(&mut self, found: Found<R>) -> Result<Authorised<R>, StoreError> {
        if let Some(audited) = found.audited() {
            self.target = audited;
        }
        let row = found.for_action(self.caller, self.action)?;
        self.before = row.facts();
        if self.action == Action::Delete {
            self.after = Some(R::facts_of_none());
        }
        Ok(row)
    }

    /// The row that the change made, or as it changed it, for the audit log.
    pub(crate) fn became<R: Guarded>(&mut self, row: &R) {
        if self.action == Action::Create {
            self.before = R::facts_of_none();
        }
        self.after = Some(row.facts());
    }

    /// More for the audit log, in words, for when it is done.
    pub(crate) fn set_detail(&mut self, detail: String) {
        self.detail = Some(detail);
    }

    /// A credential's new public prefix, for the audit log.
    pub(crate) fn set_prefix(&mut self, prefix: &str) {
        self.target.prefix = Some(prefix.to_owned());
    }

    /// Records the change in its own transaction.
    pub(crate) async fn record(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let entry = self.entry(AuditOutcome::Ok, self.detail.clone());
        let (id, now) = (self.store.ambient.new_id(), self.store.now());
        let change = match &self.after {
            Some(after) => difference(&self.before, after),
            None => AuditChange::default(),
        };
        audit::insert(tx.conn(), self.caller, id, now, &entry, change).await
    }

    /// Records the change, puts what replicas must learn of into the feed, and commits. From the feed on, every other
    /// transaction that does the same waits until this one ends: so that comes last.
    pub(crate) async fn commit(&self, mut tx: Tx, feed: &[Change]) -> Result<(), StoreError> {
        self.record(&mut tx).await?;
        if !feed.is_empty() {
            changes::append(&mut tx, self.store.now(), feed).await?;
            tx.announce().await?;
        }
        tx.commit().await
    }

    /// Passes the result on. If a right or a rule refused the change (and its transaction is gone), that is recorded first.
    pub(crate) async fn settle<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let detail = match &result {
            Err(StoreError::Denied(_)) => None,
            Err(StoreError::Rule(rule)) => Some(rule.to_string()),
            _ => return result,
        };
        let entry = self.entry(AuditOutcome::Denied, detail);
        let (id, now) = (self.store.ambient.new_id(), self.store.now());
        if !self.store.denials.note(self.caller, &entry, now) {
            return result;
        }
        let written = async {
            let mut held = self.store.engine.write().await?;
            audit::insert(held.conn(), self.caller, id, now, &entry, AuditChange::default()).await
        };
        if let Err(error) = written.await {
            self.store.denials.carry(self.caller, &entry, now);
            return Err(error);
        }
        result
    }

    fn entry(&self, outcome: AuditOutcome, detail: Option<String>) -> AuditInsert {
        let target = self.target.clone();
        AuditInsert {
            action: self.verb.to_owned(),
            resource_type: self.resource,
            target_id: target.id,
            target_name: target.name,
            target_prefix: target.prefix,
            outcome,
            detail,
        }
    }
}
