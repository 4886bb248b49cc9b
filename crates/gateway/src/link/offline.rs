//! Starting without a control plane: what an earlier process knew is restored from the snapshot, and the snapshot is kept up to
//! date for the next one.
//!
//! It is written when something in it changes, at most once a second, and while attached at least every half minute, because it
//! also says when the replica was last attached.
//!
//! Not here: the file itself (`snapshot`).

use crate::replica_state::ReplicaState;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::spool::Spool;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How often to check whether something has changed.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How far the recorded time of the last attachment may lag behind.
const MAX_AGE: Duration = Duration::from_secs(30);

/// Restores what an earlier process knew. No requests are accepted on the strength of it yet: first this process has to find out
/// whether a control plane can be reached.
pub(crate) fn restore(shared: &Shared) {
    let Some((snapshot, age)) = shared.snapshot_cache.load(&shared.ambient, shared.options.max_offline) else {
        return;
    };
    let Some(last_attached) = Instant::now().checked_sub(age) else {
        return;
    };
    shared.spool.set_keys(&snapshot.spool_keys);
    shared.leases.restore(&snapshot.leases, shared.ambient.now());
    // Revocations since then can be asked for from here on.
    shared.applied.store(snapshot.applied, Ordering::Release);
    shared.replica_state.rcu(|now| ReplicaState {
        link: now.link.clone(),
        table: Arc::new(now.table.next(&snapshot.configuration)),
    });
    shared.fetch_credentials();
    shared
        .snapshot_cache
        .receive(&snapshot.configuration, &snapshot.spool_keys);
    shared.snapshot_cache.restored(last_attached);
}

/// Keeps the snapshot up to date; never returns where it is wanted.
pub(crate) async fn run(shared: Arc<Shared>) {
    let Some(mut key) = shared.snapshot_cache.key() else {
        return;
    };
    let mut written: Option<(Version, Instant)> = None;
    let mut check = tokio::time::interval(CHECK_INTERVAL);
    check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        check.tick().await;
        if key.has_changed().unwrap_or(false) {
            key.mark_unchanged();
            written = None;
        }
        let version = Version::of(&shared);
        let current = |(last, at): &(Version, Instant)| *last == version && at.elapsed() < MAX_AGE;
        if shared.replica_state.load().link.is_attached() && !written.as_ref().is_some_and(current) {
            write_snapshot(&shared).await;
            written = Some((version, Instant::now()));
        }
    }
}

/// Writes down what is known now; nothing before a control plane has been attached to.
pub(crate) async fn write_snapshot(shared: &Arc<Shared>) {
    let spool = Arc::clone(&shared.spool);
    let shared = Arc::clone(shared);
    let write = move |_: &Spool| {
        let Some(received) = shared.snapshot_cache.received() else {
            return;
        };
        let now = shared.ambient.now();
        let snapshot = Snapshot {
            attached_at: now,
            // Read before the leases, so that none of them was revoked up to this place.
            applied: shared.applied.load(Ordering::Acquire),
            configuration: received.configuration,
            spool_keys: received.spool_keys,
            leases: shared.leases.persist(now),
        };
        shared.snapshot_cache.write(&snapshot, &shared.ambient);
    };
    // It fails only when the process ends.
    let _ = spool.run_blocking(write).await;
}

/// What must have changed for the snapshot to be written again.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    configuration: u64,
    applied: u64,
    leases: u64,
}

impl Version {
    fn of(shared: &Shared) -> Self {
        Self {
            configuration: shared.replica_state.load().table.version,
            applied: shared.applied.load(Ordering::Acquire),
            leases: shared.leases.changes(),
        }
    }
}
