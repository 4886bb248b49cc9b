//! Deleting what is outdated. Any number of control planes may call it; one at a time does the work.

use crate::connect::Store;
use crate::engine::Lock;
use crate::error::StoreError;
use crate::guard::only_control_plane;
use crate::interceptions::identity::{AFTER_THE_END, BEHIND};
use crate::sql::ai_gateway_keys::{past_providers, replaced};
use crate::sql::tokens::grants;
use crate::sql::{
    changes as changes_sql, idempotency as idempotency_sql, replicas as replicas_sql,
    stored_objects as stored_objects_sql,
};
use crate::{changes, replicas, stored_objects};
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use std::time::Duration;

/// The end of a token, or of what a key serves, matters for so long to records that are on their way.
const MATTERS: Duration = BEHIND.saturating_add(AFTER_THE_END);

/// What was deleted, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Housekeeping {
    /// Of the feed of changes, older than a day.
    pub changes: u64,
    /// Replicas that have not been heard for a week.
    pub replicas: u64,
    /// Remembered answers whose hour is over.
    pub idempotency_keys: u64,
    /// Of which gateway keys were told of which tokens, those that matter to no record any more.
    pub token_grants: u64,
    /// Providers that a gateway key served so long ago that it matters to no record any more.
    pub past_providers: u64,
    /// Deleted gateway keys that no other can replace any more, and what they had replaced.
    pub deleted_keys: u64,
    /// Stored objects that were made more than 400 days ago.
    pub stored_objects: u64,
}

impl Store {
    /// Deletes what is outdated. `None`: another control plane is at it.
    pub async fn housekeep(&self, caller: &Caller) -> Result<Option<Housekeeping>, StoreError> {
        authorise(&caller.principal, Action::Delete, Resource::Replica, Target::Shared)?;
        only_control_plane(caller)?;
        let now = self.now();
        let mut tx = self.engine.begin().await?;
        if !tx.try_lock(Lock::Housekeeping).await? {
            return Ok(None);
        }
        let done = Housekeeping {
            changes: changes_sql::prune(tx.conn(), now.minus(changes::KEPT)).await?,
            replicas: replicas_sql::prune(tx.conn(), now.minus(replicas::KEPT)).await?,
            idempotency_keys: idempotency_sql::prune(tx.conn(), now).await?,
            token_grants: grants::prune(tx.conn(), now.minus(MATTERS)).await?,
            past_providers: past_providers::prune(tx.conn(), now.minus(MATTERS)).await?,
            deleted_keys: replaced::prune_deleted(tx.conn(), now.minus(MATTERS)).await?
                + replaced::prune(tx.conn()).await?,
            stored_objects: stored_objects_sql::prune(tx.conn(), now.minus(stored_objects::KEPT)).await?,
        };
        tx.commit().await?;
        Ok(Some(done))
    }
}
