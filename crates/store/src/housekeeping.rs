//! Deleting what is outdated. Any number of control planes may call it; one at a time does the work.

use crate::connect::Store;
use crate::engine::Lock;
use crate::error::StoreError;
use crate::guard::only_control_plane;
use crate::sql::{changes as changes_sql, idempotency as idempotency_sql, replicas as replicas_sql};
use crate::{changes, replicas};
use lychgate_authz::{Action, Caller, Resource, Target, authorise};

/// What was deleted, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Housekeeping {
    /// Of the feed of changes, older than a day.
    pub changes: u64,
    /// Replicas that have not been heard for a week.
    pub replicas: u64,
    /// Remembered answers whose hour is over.
    pub idempotency_keys: u64,
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
        };
        tx.commit().await?;
        Ok(Some(done))
    }
}
