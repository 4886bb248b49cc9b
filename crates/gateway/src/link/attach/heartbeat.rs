//! Reports this replica's load and its clock to the control plane.

use crate::shared::Shared;
use lychgate_link::Heartbeat;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Sends the current load, and the time.
pub(super) fn send_heartbeat(shared: &Shared, heartbeats: &watch::Sender<Heartbeat>) {
    let now = Heartbeat {
        spool_depth: shared.spool.depth(),
        in_flight: shared.in_flight(),
        configuration_version: shared.replica_state.load().table.version,
        draining: shared.draining.load(Ordering::Acquire) || shared.drained.load(Ordering::Acquire),
        set_aside: shared.spool.set_aside_count(),
        sent_at: Some(shared.ambient.now()),
    };
    heartbeats.send_replace(now);
}
