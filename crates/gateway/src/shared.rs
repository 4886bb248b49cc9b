//! What all parts of one gateway share.

use crate::auth::leases::Leases;
use crate::auth::lookup_health::LookupHealth;
use crate::counts::Counts;
use crate::options::Options;
use crate::replica_state::{LinkState, ReplicaState};
use crate::resilience::breaker::Breakers;
use crate::snapshot::SnapshotCache;
use crate::spool::Spool;
use crate::upstream::Upstream;
use arc_swap::ArcSwap;
use lychgate_link::ControlLink;
use lychgate_types::{Ambient, ReplicaId, Timestamp};
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
    /// When this gateway was made.
    pub(crate) started: Instant,
    pub(crate) started_at: Timestamp,
    pub(crate) link: Arc<dyn ControlLink>,
    pub(crate) replica_state: ArcSwap<ReplicaState>,
    /// Whether the long stream is open; for those who wait for it.
    pub(crate) attached: watch::Sender<bool>,
    /// Whether calls are answered while it is open.
    pub(crate) lookup_health: LookupHealth,
    pub(crate) leases: Arc<Leases>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) snapshot_cache: SnapshotCache,
    pub(crate) upstream: Upstream,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) counts: Counts,
    /// The process is ending: no new requests.
    pub(crate) draining: AtomicBool,
    /// The process is ending, and all is done that needs the long stream.
    pub(crate) leaving: watch::Sender<bool>,
    /// An operator wants no new requests here, for as long as the process lives.
    pub(crate) told_to_drain: AtomicBool,
    /// The place in the control plane's feed of changes up to which all is applied; 0: none.
    pub(crate) applied: AtomicU64,
    in_flight: AtomicU64,
    left: Notify,
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
            spool,
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
            leaving: watch::Sender::new(false),
            told_to_drain: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            left: Notify::new(),
        }
    }

    /// How long ago it was last attached, or began where it never was.
    pub(crate) fn offline(&self, link: &LinkState) -> Duration {
        match link {
            LinkState::Attached => Duration::ZERO,
            LinkState::Offline { since, .. } | LinkState::Refused { since, .. } => since.elapsed(),
            LinkState::Starting { .. } => self.snapshot_cache.last_attached().unwrap_or(self.started).elapsed(),
        }
    }

    /// Requests being served, streams and their draining included.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts a request in; `None` when there are too many.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<InFlightGuard> {
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        let guard = InFlightGuard(Arc::clone(self));
        (before < self.options.max_requests).then_some(guard)
    }

    /// Returns once no request is being served.
    pub(crate) async fn until_idle(&self) {
        loop {
            let left = self.left.notified();
            if self.in_flight() == 0 {
                return;
            }
            left.await;
        }
    }
}

/// One request's presence, from its head to the end of its answer (and of what is read on after its client left).
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<Shared>);

impl InFlightGuard {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        if before == 1 && self.0.draining.load(Ordering::Acquire) {
            self.0.left.notify_waiters();
        }
    }
}
