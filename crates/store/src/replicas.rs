//! The registry of replicas: who is attached, to which control plane, and what was last heard.
//!
//! One row per replica, written by the control plane that it is attached to, so that every control plane can list all. Not
//! here: the attachments themselves (the control plane's hub).

use crate::ai_gateway_keys::replaced;
use crate::connect::Store;
use crate::error::{StoreError, Unmatched};
use crate::guard::{may, only_control_plane};
use crate::mutation::Mutation;
use crate::page::{Cursor, Listing, Page};
use crate::rows::audit::{AuditChange, AuditInsert, AuditTarget};
use crate::rows::changes::Change;
use crate::rows::replicas::{Replica, ReplicaAttachment, ReplicaBeat, ReplicaFilter, ReplicaState};
use crate::sql::{ai_gateway_keys, audit, replicas as sql};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// A replica of which nothing was heard for so long is lost. Replicas tell of themselves every ten seconds at least.
pub const LOST_AFTER: Duration = Duration::from_secs(30);
/// A replica that is gone is listed for so long.
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const NO_KEY: Unmatched = Unmatched {
    filter: "key",
    why: "no such gateway key",
};
/// So many replicas of one gateway key are shown with it.
const SHOWN_WITH_KEY: u32 = 200;

impl Store {
    /// Enters an attachment into the registry, with its audit entry. Says whether the replica has been told to drain; `None`: the id
    /// belongs to another process, and nothing has changed.
    ///
    /// What the key before was told and served counts for this one, too: the process goes on with its leases, and has records still.
    pub async fn replica_attach(
        &self,
        caller: &Caller,
        attachment: &ReplicaAttachment,
        entry: &AuditInsert,
    ) -> Result<Option<bool>, StoreError> {
        authorise(&caller.principal, Action::Create, Resource::Replica, Target::Collection)?;
        authorise(
            &caller.principal,
            Action::Create,
            Resource::AuditEntry,
            Target::Collection,
        )?;
        let mut tx = self.engine.begin().await?;
        let lost = attachment.connected_at.minus(LOST_AFTER);
        let earlier = sql::keys_of(tx.conn(), attachment.replica_id).await?.first().copied();
        let draining = sql::attach(tx.conn(), attachment, lost).await?;
        if draining.is_none() {
            return Ok(None);
        }
        // Of a version without process secrets, nobody knows that it is the same process.
        let earlier = earlier.filter(|key| attachment.process.is_some() && *key != attachment.gateway_key.id);
        if let Some(earlier) = earlier {
            replaced::inherit(&mut tx, earlier, attachment.gateway_key.id, self.now()).await?;
        }
        audit::insert(
            tx.conn(),
            caller,
            self.ambient.new_id(),
            self.now(),
            entry,
            AuditChange::default(),
        )
        .await?;
        tx.commit().await?;
        Ok(draining)
    }

    /// Enters what was heard, in bulk. What was heard over an attachment that has been replaced is passed over.
    pub async fn replica_heartbeat(&self, caller: &Caller, beats: &[ReplicaBeat]) -> Result<(), StoreError> {
        authorise(&caller.principal, Action::Update, Resource::Replica, Target::Shared)?;
        only_control_plane(caller)?;
        if beats.is_empty() {
            return Ok(());
        }
        let mut tx = self.engine.begin().await?;
        sql::heartbeat(tx.conn(), beats).await?;
        tx.commit().await
    }

    /// Enters the end of an attachment with the last that was heard over it (`None`: nothing), and the audit entry. `state`:
    /// what the replica is from now on, where that is known.
    pub async fn replica_detach(
        &self,
        caller: &Caller,
        attachment: &ReplicaAttachment,
        last: Option<ReplicaBeat>,
        state: Option<ReplicaState>,
        entry: &AuditInsert,
    ) -> Result<(), StoreError> {
        authorise(&caller.principal, Action::Update, Resource::Replica, Target::Shared)?;
        authorise(
            &caller.principal,
            Action::Create,
            Resource::AuditEntry,
            Target::Collection,
        )?;
        only_control_plane(caller)?;
        let mut tx = self.engine.begin().await?;
        if let Some(last) = last {
            sql::heartbeat(tx.conn(), &[last]).await?;
        }
        if let Some(state) = state {
            sql::detach(tx.conn(), attachment, state).await?;
        }
        audit::insert(
            tx.conn(),
            caller,
            self.ambient.new_id(),
            self.now(),
            entry,
            AuditChange::default(),
        )
        .await?;
        tx.commit().await
    }

    /// Replicas, those that attached first, first.
    pub async fn replica_list(
        &self,
        caller: &Caller,
        filter: &ReplicaFilter,
        page: Page,
    ) -> Result<Listing<Replica>, StoreError> {
        authorise_list(&caller.principal, Resource::Replica)?;
        let mut held = self.engine.read().await?;
        let key = match &filter.gateway_key {
            None => None,
            Some(wanted) => match ai_gateway_keys::id_of(held.conn(), wanted).await? {
                None => return Err(NO_KEY.into()),
                key => key,
            },
        };
        let wanted = (key, filter.state);
        let items = sql::list(held.conn(), self.lost_before(), wanted, page).await?;
        if let (true, None, Some(key)) = (items.is_empty(), page.after, key) {
            let exists = !ai_gateway_keys::scopes(held.conn(), Some(key)).await?.is_empty();
            // A deleted key is known by its id as long as its replicas are listed.
            let any = (Some(key), None);
            if !exists
                && sql::list(held.conn(), self.lost_before(), any, Page::first(1))
                    .await?
                    .is_empty()
            {
                return Err(NO_KEY.into());
            }
        }
        Ok(Listing::cut(items, page, |replica| Cursor {
            at: replica.created_at,
            id: replica.id.as_uuid(),
        }))
    }

    /// How many replicas are in each state; states without any are left out.
    pub async fn replica_count(&self, caller: &Caller) -> Result<Vec<(ReplicaState, u64)>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Replica, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::count(held.conn(), self.lost_before()).await
    }

    /// One replica by id.
    pub async fn replica_get(&self, caller: &Caller, id: ReplicaId) -> Result<Replica, StoreError> {
        may::<Replica>(caller, Action::Read)?;
        let mut held = self.engine.read().await?;
        let found = sql::find(held.conn(), self.lost_before(), id).await?;
        Ok(found.for_action(caller, Action::Read)?.into_row())
    }

    /// Tells a replica to take no new requests. It stays attached until its process ends.
    pub async fn replica_drain(&self, caller: &Caller, id: ReplicaId) -> Result<Replica, StoreError> {
        let mut mutation = self
            .change_of::<Replica>(caller, Action::Update, "drain", AuditTarget::id(id))
            .await?;
        let done = self.drain(&mut mutation, id).await;
        mutation.settle(done).await
    }

    async fn drain(&self, mutation: &mut Mutation<'_>, id: ReplicaId) -> Result<Replica, StoreError> {
        let mut tx = self.engine.begin().await?;
        let found = mutation.find(sql::find(tx.conn(), self.lost_before(), id).await?)?;
        if !sql::drain(tx.conn(), &found, self.now()).await? {
            return Err(StoreError::NotFound);
        }
        let replica = sql::get(tx.conn(), self.lost_before(), id).await?;
        mutation.commit(tx, &[Change::ReplicaDrain(id)]).await?;
        Ok(replica)
    }

    /// How many replicas are attached by each of these gateway keys; keys without any are left out.
    pub async fn ai_gateway_key_live_replicas(
        &self,
        caller: &Caller,
        keys: &[GatewayKeyId],
    ) -> Result<HashMap<GatewayKeyId, u64>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::count_live(held.conn(), self.lost_before(), keys).await
    }

    /// The replicas of one gateway key that did not detach, in the order in which they attached; 200 at most.
    pub async fn ai_gateway_key_replicas(
        &self,
        caller: &Caller,
        key: GatewayKeyId,
    ) -> Result<Vec<Replica>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::of_key(held.conn(), self.lost_before(), key, SHOWN_WITH_KEY).await
    }

    fn lost_before(&self) -> Timestamp {
        self.now().minus(LOST_AFTER)
    }
}
