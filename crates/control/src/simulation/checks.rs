//! What is to hold at the end of a run, when all has been put right.

use super::cluster::Cluster;
use super::requests::{self, Arrivals};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// What is to hold in the end.
pub(super) async fn judge(cluster: &Arc<Cluster>, arrivals: &Arc<Arrivals>) {
    if !cluster.violations().is_empty() {
        return;
    }
    cluster
        .ledger()
        .close(|host| cluster.hosts[host].is_out.load(Ordering::Relaxed));
    for (number, host) in cluster.hosts.iter().enumerate() {
        let Some(replica) = cluster.replica(number) else {
            cluster.broken(format!("replica {number} does not run"));
            continue;
        };
        let (gateway, is_out) = (replica.gateway(), host.is_out.load(Ordering::Relaxed));
        let drained = cluster.model(number).is_drained;
        let ready = gateway.readiness();
        if ready.is_ok() == (is_out || drained) {
            cluster.broken(format!(
                "replica {number}, out: {is_out}, drained: {drained}, is ready: {ready:?}"
            ));
        }
        if is_out {
            continue;
        }
        let (attached, depth) = (cluster.model(number).is_attached(), gateway.spool_depth());
        // While no other records pass it, none is to blame.
        let stuck = if has_traffic(cluster, number) { 0 } else { depth };
        if depth > stuck || !attached {
            cluster.broken(format!(
                "replica {number}, attached: {attached}, has {depth} records in its spool"
            ));
        }
        let ((least, most), aside) = (cluster.ledger().aside(number), replica.set_aside());
        if aside + stuck < least || (!host.disk.is_damaged() && aside > most) {
            cluster.broken(format!("replica {number} has {aside} aside, not {least} to {most}"));
        }
        if replica.believed() > cluster.settings.tokens {
            cluster.broken(format!("replica {number} believes {} tokens", replica.believed()));
        }
        for token in 0..cluster.settings.tokens {
            requests::come(cluster, arrivals, number, Some(token));
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
        let closed = host.is_out.load(Ordering::Relaxed) || cluster.model(number).is_drained;
        // Behind a message that got lost, a revocation may be hidden until the next one comes.
        if !closed && cluster.sound_since(number).is_none() {
            continue;
        }
        let admitted = *host.admitted.lock().unwrap() - before[number];
        if admitted != if closed { 0 } else { good } {
            cluster.broken(format!("replica {number} lets {admitted} of {good} good tokens in"));
        }
    }
}

/// Whether requests are admitted.
pub(super) fn has_traffic(cluster: &Cluster, host: usize) -> bool {
    let good = (0..cluster.settings.tokens).any(|token| cluster.tokens().is_good(token));
    good && !cluster.model(host).is_drained
}
