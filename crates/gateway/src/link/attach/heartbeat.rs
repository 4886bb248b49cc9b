//! Reports this replica's load to the control plane.

use crate::shared::Shared;
use lychgate_link::Heartbeat;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Sends the current load, if it has changed.
pub(super) fn send_heartbeat(core: &Shared, heartbeats: &watch::Sender<Heartbeat>) {
    let now = Heartbeat {
        spool_depth: core.spool.depth(),
        in_flight: core.in_flight(),
        configuration_version: core.replica_state.load().table.version,
        draining: core.draining.load(Ordering::Acquire) || core.told_to_drain.load(Ordering::Acquire),
        set_aside: core.spool.set_aside_count(),
    };
    heartbeats.send_if_modified(|last| std::mem::replace(last, now) != now);
}
