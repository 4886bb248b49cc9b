//! The registry of replicas: who is attached, to which control plane, and what was last heard.
//!
//! One row per replica, written by the control plane that it is attached to, so that every control plane can list all. Not
//! here: the attachments themselves (the control plane's hub).

use crate::audit::AuditInsert;
use crate::changes::Change;
use crate::guard::{Event, only_the_plane};
use crate::sql::{audit, replicas as sql};
use crate::{Cursor, Listing, Page, Store, StoreError};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::{AttachmentId, ControlPlaneId, GatewayKeyId, ReplicaId, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A replica of which nothing was heard for so long is lost. Replicas tell of themselves every ten seconds at least.
pub const LOST_AFTER: Duration = Duration::from_secs(30);
/// A replica that is gone is listed for so long.
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// So many replicas of one gateway key are shown with it.
const SHOWN_WITH_KEY: u32 = 200;

/// A replica as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Made by the replica when it started.
    pub id: ReplicaId,
    /// When it first attached.
    pub created_at: Timestamp,
    /// The gateway key that it came in by; it may be deleted by now.
    pub gateway_key: KeyRef,
    /// How it introduced itself.
    pub told: ReplicaTold,
    /// Where it is, or was last, attached.
    pub control_plane_id: ControlPlaneId,
    /// When it attached there.
    pub connected_at: Timestamp,
    /// When it was last heard.
    pub last_heartbeat_at: Timestamp,
    /// What it said then.
    pub load: ReplicaLoad,
    /// Whether it is there.
    pub state: ReplicaState,
}

/// A gateway key as other things name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRef {
    /// Its id.
    pub id: GatewayKeyId,
    /// Its name.
    pub name: String,
}

/// What a replica says of itself when it attaches. Nobody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaTold {
    /// Its host's name, or what the operator calls it.
    pub name: String,
    /// Of the product.
    pub version: String,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// The operator's own.
    pub labels: BTreeMap<String, String>,
}

/// What a replica says of itself from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicaLoad {
    /// Records not delivered yet.
    pub spool_depth: u64,
    /// Records that could not be delivered and lie aside there.
    pub set_aside: u64,
    /// Client requests being served.
    pub in_flight: u64,
    /// The configuration in force there; 0 before the first.
    pub configuration_version: u64,
}

/// Whether a replica is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaState {
    /// It is.
    Attached,
    /// It is, but it was told to take no new requests.
    Draining,
    /// It went away, and said so.
    Detached,
    /// It went away without a word, or the control plane that it was attached to did.
    Lost,
}

lychgate_types::texts!(ReplicaState {
    Attached = "attached",
    Draining = "draining",
    Detached = "detached",
    Lost = "lost",
});

/// Which replicas are wanted; all that is given must fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicaFilter {
    /// Those that came in by this gateway key.
    pub gateway_key: Option<GatewayKeyId>,
    /// Those in this state.
    pub state: Option<ReplicaState>,
}

/// One attachment of a replica, as its control plane sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaAttachment {
    /// The attachment; what is told of an earlier one of the same replica no longer counts.
    pub id: AttachmentId,
    /// The replica.
    pub replica_id: ReplicaId,
    /// The gateway key that it showed.
    pub gateway_key: KeyRef,
    /// How it introduced itself.
    pub told: ReplicaTold,
    /// Where it is attached.
    pub control_plane_id: ControlPlaneId,
    /// Since when.
    pub connected_at: Timestamp,
}

/// What was heard of a replica over one attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaBeat {
    /// Over which attachment.
    pub attachment: ReplicaAttachment,
    /// When.
    pub heard_at: Timestamp,
    /// What it said.
    pub load: ReplicaLoad,
}

impl Store {
    /// Enters an attachment into the registry, with its audit entry. Says whether the replica has been told to drain.
    ///
    /// A replica's id is its own word: one that is attached by another gateway key at present keeps its place.
    pub async fn replica_attach(
        &self,
        caller: &Caller,
        attachment: &ReplicaAttachment,
        entry: &AuditInsert,
    ) -> Result<bool, StoreError> {
        authorise(&caller.principal, Action::Create, Resource::Replica, Target::Collection)?;
        authorise(
            &caller.principal,
            Action::Create,
            Resource::AuditEntry,
            Target::Collection,
        )?;
        let mut tx = self.engine.begin().await?;
        let lost = attachment.connected_at.minus(LOST_AFTER);
        let draining = sql::attach(tx.conn(), attachment, lost).await?;
        audit::insert(tx.conn(), caller, self.ambient.new_id(), self.now(), entry).await?;
        tx.commit().await?;
        Ok(draining)
    }

    /// Enters what was heard, in bulk. What was heard over an attachment that has been replaced is passed over.
    pub async fn replica_heartbeat(&self, caller: &Caller, beats: &[ReplicaBeat]) -> Result<(), StoreError> {
        authorise(&caller.principal, Action::Update, Resource::Replica, Target::Shared)?;
        only_the_plane(caller)?;
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
        only_the_plane(caller)?;
        let mut tx = self.engine.begin().await?;
        if let Some(last) = last {
            sql::heartbeat(tx.conn(), &[last]).await?;
        }
        if let Some(state) = state {
            sql::detach(tx.conn(), attachment, state).await?;
        }
        audit::insert(tx.conn(), caller, self.ambient.new_id(), self.now(), entry).await?;
        tx.commit().await
    }

    /// Replicas, those that attached first, first.
    pub async fn replica_list(
        &self,
        caller: &Caller,
        filter: ReplicaFilter,
        page: Page,
    ) -> Result<Listing<Replica>, StoreError> {
        authorise_list(&caller.principal, Resource::Replica)?;
        let mut held = self.engine.read().await?;
        let items = sql::list(held.conn(), self.lost_before(), filter, page).await?;
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
        authorise(&caller.principal, Action::Read, Resource::Replica, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::get(held.conn(), self.lost_before(), id)
            .await?
            .ok_or(StoreError::NotFound)
    }

    /// Tells a replica to take no new requests. It stays attached until its process ends.
    pub async fn replica_drain(&self, caller: &Caller, id: ReplicaId) -> Result<Replica, StoreError> {
        let event = Event::new("drain", Resource::Replica).id(id.as_uuid());
        self.admit(caller, Action::Update, Target::Shared, &event).await?;
        let mut tx = self.engine.begin().await?;
        let name = sql::drain(tx.conn(), id, self.now())
            .await?
            .ok_or(StoreError::NotFound)?;
        let replica = sql::get(tx.conn(), self.lost_before(), id)
            .await?
            .ok_or(StoreError::NotFound)?;
        self.record(&mut tx, caller, &event.name(&name)).await?;
        self.announce(&mut tx, &[Change::ReplicaDrain(id)]).await?;
        tx.commit().await?;
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

    /// The replicas of one gateway key that did not say goodbye, those that attached first, first; 200 at most.
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
