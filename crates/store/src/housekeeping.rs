//! Deleting what is outdated, in short transactions. Any number of control planes may call it; one at a time does the work.

use crate::connect::Store;
use crate::engine::{Lock, Tx};
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
use lychgate_types::TokenId;
use std::time::Duration;
use uuid::Uuid;

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
        let mut done = Housekeeping::default();
        macro_rules! prune {
            ($what:ident by $prune:expr, $before:expr) => {
                let Some(mut tx) = self.turn().await? else {
                    return Ok(None);
                };
                done.$what = $prune(tx.conn(), $before).await?;
                tx.commit().await?;
            };
        }
        prune!(changes by changes_sql::prune, now.minus(changes::KEPT));
        prune!(replicas by replicas_sql::prune, now.minus(replicas::KEPT));
        prune!(idempotency_keys by idempotency_sql::prune, now);
        prune!(past_providers by past_providers::prune, now.minus(MATTERS));
        prune!(stored_objects by stored_objects_sql::prune, now.minus(stored_objects::KEPT));
        // Before the grants, which stay as long as a key can be replaced.
        let Some(mut tx) = self.turn().await? else {
            return Ok(None);
        };
        done.deleted_keys = replaced::prune_deleted(tx.conn(), now.minus(MATTERS)).await?;
        done.deleted_keys += replaced::prune(tx.conn()).await?;
        tx.commit().await?;
        let mut next = Some(TokenId::from_uuid(Uuid::nil()));
        while let Some(after) = next {
            let Some(mut tx) = self.turn().await? else {
                return Ok(None);
            };
            next = grants::step(tx.conn(), after).await?;
            done.token_grants += grants::prune(tx.conn(), after, next, now.minus(MATTERS)).await?;
            tx.commit().await?;
        }
        Ok(Some(done))
    }

    /// A transaction of the one control plane that is at it.
    async fn turn(&self) -> Result<Option<Tx>, StoreError> {
        let mut tx = self.engine.begin().await?;
        Ok(tx.try_lock(Lock::Housekeeping).await?.then_some(tx))
    }
}
