//! The state that all parts of one gateway share, and the number of requests in flight.
//!
//! Not here: the types of that state, which live in rooms that don't know this one.

use crate::auth::leases::Leases;
use crate::auth::lookup_health::LookupHealth;
use crate::body_budget::BodyBudget;
use crate::counts::Counts;
use crate::error::Refusal;
use crate::made_objects::{LATE_ENDS, MadeObjects};
use crate::object_lookups::ObjectLookups;
use crate::options::Options;
use crate::replica_state::{LinkState, ReplicaState};
use crate::resilience::breaker::Breakers;
use crate::snapshot::SnapshotCache;
use crate::sockets::Sockets;
use crate::spool::Spool;
use crate::upstream::Upstream;
use arc_swap::ArcSwap;
use lychgate_link::ControlLink;
use lychgate_link::places::Places;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::{Ambient, Holder, ReplicaId, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The shared state of one gateway.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) ambient: Ambient,
    pub(crate) replica_id: ReplicaId,
    /// When this gateway was started.
    pub(crate) started: Instant,
    pub(crate) started_at: Timestamp,
    pub(crate) link: Arc<dyn ControlLink>,
    pub(crate) replica_state: ArcSwap<ReplicaState>,
    /// Whether the control link is attached, to wait for.
    pub(crate) attached: watch::Sender<bool>,
    /// Whether calls are answered while it is.
    pub(crate) lookup_health: LookupHealth,
    pub(crate) leases: Arc<Leases>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) objects: MadeObjects,
    pub(crate) object_lookups: ObjectLookups,
    /// For ends whose makers are not known yet, by the user who was shown them.
    pub(crate) late_ends: Arc<Places<Holder>>,
    pub(crate) sockets: Sockets,
    /// For refused requests of those who are not known.
    pub(crate) refused_bodies: Arc<Places>,
    pub(crate) body_budget: Arc<BodyBudget>,
    pub(crate) snapshot_cache: SnapshotCache,
    pub(crate) upstream: Upstream,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) counts: Counts,
    /// The process is shutting down: no new requests.
    pub(crate) draining: AtomicBool,
    /// The drain time is over: what is in flight is cut off.
    pub(crate) cut_off: AtomicBool,
    /// The process is shutting down, and nothing needs the control link any longer.
    pub(crate) leaving: watch::Sender<bool>,
    /// An operator drained this gateway: no new requests, for as long as the process lives.
    pub(crate) drained: AtomicBool,
    /// Position in the control plane's feed of changes up to which all are applied; 0 at first.
    pub(crate) applied: AtomicU64,
    in_flight: AtomicU64,
    idle: Notify,
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        link: Arc<dyn ControlLink>,
        ambient: Ambient,
        upstream: Upstream,
        spool: Arc<Spool>,
    ) -> Self {
        Self {
            replica_id: ambient.new_id(),
            started: Instant::now(),
            started_at: ambient.now(),
            snapshot_cache: SnapshotCache::new(&options.spool.directory, options.offline.clone()),
            refused_bodies: Places::new(options.refused_bodies),
            sockets: Sockets::default(),
            body_budget: BodyBudget::new(options.body_budget),
            spool,
            objects: MadeObjects::default(),
            object_lookups: ObjectLookups::default(),
            late_ends: Places::new(LATE_ENDS),
            options,
            ambient,
            link,
            replica_state: ArcSwap::from_pointee(ReplicaState::start()),
            attached: watch::Sender::new(false),
            lookup_health: LookupHealth::default(),
            leases: Arc::default(),
            upstream,
            breakers: Arc::default(),
            counts: Counts::default(),
            draining: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            leaving: watch::Sender::new(false),
            drained: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            idle: Notify::new(),
        }
    }

    /// How long ago it was last attached, or started where it never was.
    pub(crate) fn offline(&self, link: &LinkState) -> Duration {
        match link {
            LinkState::Attached => Duration::ZERO,
            LinkState::Offline { since, .. } | LinkState::Refused { since, .. } => since.elapsed(),
            LinkState::Starting { .. } => self.snapshot_cache.last_attached().unwrap_or(self.started).elapsed(),
        }
    }

    /// Requests in flight: streams included, and answers that are read on without a client.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts a request as in flight, unless there are too many or the process is shutting down.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<InFlightGuard, Refusal> {
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        let guard = InFlightGuard(Arc::clone(self));
        if before >= self.options.max_requests {
            let message = "this gateway is at its limit of requests";
            return Err(Refusal::unavailable(Refused::TooManyRequests, message, 1));
        }
        // Asked after it was counted: a shutdown either waits for it or refuses it.
        self.stays()?;
        Ok(guard)
    }

    /// Has the credentials fetched that the providers in force need.
    pub(crate) fn fetch_credentials(&self) {
        let state = self.replica_state.load();
        let keys = state.table.providers().flat_map(|provider| provider.pool.fetched());
        keys.for_each(|key| key.start(&self.upstream, &self.ambient));
    }

    /// Has none fetched any more, since this replica is not to serve.
    pub(crate) fn stop_fetching(&self) {
        let state = self.replica_state.load();
        let keys = state.table.providers().flat_map(|provider| provider.pool.fetched());
        keys.for_each(|key| key.stop());
    }

    /// Refuses new requests while the process shuts down.
    pub(crate) fn stays(&self) -> Result<(), Refusal> {
        if self.draining.load(Ordering::Acquire) {
            let message = "this gateway is shutting down";
            return Err(Refusal::unavailable(Refused::ShuttingDown, message, 1));
        }
        Ok(())
    }

    /// Returns once no request is in flight.
    pub(crate) async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// Counts one request as in flight, from when its token is known to the end of its answer, also where that is read on without
/// a client.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<Shared>);

impl InFlightGuard {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Counts what is still to be done for the same request when that is over.
    pub(crate) fn another(&self) -> Self {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        if before == 1 && self.0.draining.load(Ordering::Acquire) {
            self.0.idle.notify_waiters();
        }
    }
}
