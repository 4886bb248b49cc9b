//! What must hold at the end of a run, when everything works again.

use super::cluster::Cluster;
use super::requests::{self, Arrivals};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Checks what must hold at the end.
pub(super) async fn check_end(cluster: &Arc<Cluster>, arrivals: &Arc<Arrivals>) {
    if !cluster.violations().is_empty() {
        return;
    }
    cluster
        .ledger()
        .close(|host| cluster.hosts[host].key_is_deleted.load(Ordering::Relaxed));
    for (number, host) in cluster.hosts.iter().enumerate() {
        let Some(replica) = cluster.replica(number) else {
            cluster.violation(format!("replica {number} does not run"));
            continue;
        };
        let (gateway, key_is_deleted) = (replica.gateway(), host.key_is_deleted.load(Ordering::Relaxed));
        let drained = cluster.model(number).is_drained;
        let ready = gateway.readiness();
        if ready.is_ok() == (key_is_deleted || drained) {
            cluster.violation(format!(
                "replica {number}, key deleted: {key_is_deleted}, drained: {drained}, is ready: {ready:?}"
            ));
        }
        if key_is_deleted {
            continue;
        }
        let (attached, depth) = (cluster.model(number).is_attached(), gateway.spool_depth());
        // As long as no other records are delivered, none can be identified as the failing one.
        let stuck = if has_traffic(cluster, number) { 0 } else { depth };
        if depth > stuck || !attached {
            cluster.violation(format!(
                "replica {number}, attached: {attached}, has {depth} records in its spool"
            ));
        }
        let ((least, most), aside) = (cluster.ledger().aside(number), replica.set_aside());
        if aside + stuck < least || (!host.disk.is_damaged() && aside > most) {
            cluster.violation(format!(
                "replica {number} has set {aside} records aside, not {least} to {most}"
            ));
        }
        if replica.believed() > cluster.settings.tokens {
            cluster.violation(format!("replica {number} believes {} tokens", replica.believed()));
        }
        for token in 0..cluster.settings.tokens {
            requests::send(cluster, arrivals, number, Some(token));
        }
    }
    let before: Vec<u64> = cluster
        .hosts
        .iter()
        .map(|host| *host.admitted.lock().unwrap())
        .collect();
    sleep(Duration::from_secs(6)).await;
    let good = (0..cluster.settings.tokens)
        .filter(|token| cluster.tokens().is_good(*token))
        .count() as u64;
    for (number, host) in cluster.hosts.iter().enumerate() {
        let closed = host.key_is_deleted.load(Ordering::Relaxed) || cluster.model(number).is_drained;
        // After a lost message, a revocation may be missed until the next one arrives.
        if !closed && cluster.sound_since(number).is_none() {
            continue;
        }
        let admitted = *host.admitted.lock().unwrap() - before[number];
        if admitted != if closed { 0 } else { good } {
            cluster.violation(format!("replica {number} admits {admitted} of {good} valid tokens"));
        }
    }
}

/// Whether requests can be admitted.
pub(super) fn has_traffic(cluster: &Cluster, host: usize) -> bool {
    let good = (0..cluster.settings.tokens).any(|token| cluster.tokens().is_good(token));
    good && !cluster.model(host).is_drained
}
