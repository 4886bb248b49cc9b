//! Starts and ends the processes of replicas.

use super::cluster::Cluster;
use super::ledger::Crash;
use super::observed_link::ObservedLink;
use lychgate_gateway::harness::simulated::Replica;
use lychgate_gateway::{OfflineStart, Options, SpoolFull, SpoolSync};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;

/// How a process ends without being asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Process,
    Power,
}

/// The limits of a large and a small spool, in bytes.
const LARGE: u64 = 64 << 20;
pub(super) const SMALL: u64 = 256 << 10;

pub(super) fn directory(cluster: &Cluster, host: usize) -> PathBuf {
    cluster.directory.join(format!("replica-{host}"))
}

/// Starts a process, unless one runs.
pub(super) fn start(cluster: &Arc<Cluster>, host: usize) {
    if cluster.replica(host).is_some() {
        return;
    }
    let (place, settings) = (&cluster.hosts[host], &cluster.settings);
    let process = cluster.next();
    let mut options = Options::new(format!("edge-{host}"), "127.0.0.1:4001", "0.1.0");
    options.max_offline = settings.max_offline;
    options.offline = settings.starts_offline.then(|| OfflineStart {
        key: place.key_file.subscribe(),
    });
    options.spool.directory = directory(cluster, host);
    options.spool.max_bytes = if settings.spool_is_small { SMALL } else { LARGE };
    options.spool.sync = if settings.syncs_always {
        SpoolSync::Always
    } else {
        SpoolSync::Interval
    };
    options.spool.when_full = if settings.goes_unrecorded {
        SpoolFull::Unrecorded
    } else {
        SpoolFull::Refuse
    };
    *place.started.lock().unwrap() = Instant::now();
    cluster.log(&format!("replica {host} starts"));
    cluster.model(host).start(process);
    let link = ObservedLink::new(cluster, host, process);
    let disk = Arc::new(place.disk.clone());
    match Replica::start(options, link, place.ambient.clone(), &cluster.outside, disk) {
        Ok(replica) => *place.replica.lock().unwrap() = Some(replica),
        Err(error) => cluster.violation(format!("replica {host} does not start: {error}")),
    }
}

/// Ends a process as a signal or a power failure does.
pub(super) fn lose(cluster: &Cluster, host: usize, loss: Loss) {
    let place = &cluster.hosts[host];
    if cluster.model(host).is_stopping {
        return;
    }
    let Some(replica) = place.replica.lock().unwrap().take() else {
        return;
    };
    replica.kill();
    let power = loss == Loss::Power;
    cluster.log(&format!("replica {host} ends, with the power: {power}"));
    record_end(cluster, host, power);
    if !power && cluster.rng.percent(50) {
        place.disk.tear();
    }
    if power {
        place.disk.lose_power();
        // The cursor is overwritten without a sync: it may be any of its previous versions.
        let cursor = directory(cluster, host).join("cursor");
        let mut copy = place.cursor.lock().unwrap();
        match (cluster.rng.below(3), copy.take()) {
            (0, Some(before)) => std::fs::write(&cursor, before).unwrap(),
            (1, _) => std::fs::write(&cursor, []).unwrap(),
            _ => {}
        }
        // What is there now stays: no earlier version comes back at the next power failure.
        *copy = std::fs::read(&cursor).ok();
    }
}

/// Records that a process is gone.
fn record_end(cluster: &Cluster, host: usize, power: bool) {
    let crash = Crash {
        power,
        syncs_always: cluster.settings.syncs_always,
        goes_unrecorded: cluster.settings.goes_unrecorded,
        disk_changed: *cluster.hosts[host].disk_changed.lock().unwrap(),
        started: *cluster.hosts[host].started.lock().unwrap(),
    };
    cluster.ledger().crash(host, &cluster.hosts[host].disk, crash);
    cluster.model(host).crash();
}

/// Shuts a process down in good order; returns once it is gone.
pub(super) async fn stop(cluster: &Cluster, host: usize) {
    let place = &cluster.hosts[host];
    let Some(replica) = cluster.replica(host) else { return };
    let process = {
        let mut model = cluster.model(host);
        if std::mem::replace(&mut model.is_stopping, true) {
            return;
        }
        model.process
    };
    cluster.log(&format!("replica {host} is stopped"));
    let begun = Instant::now();
    replica.gateway().close().await;
    if cluster.model(host).process != process {
        return;
    }
    cluster.log(&format!("replica {host} ends after {:?}", begun.elapsed()));
    replica.kill();
    *place.replica.lock().unwrap() = None;
    record_end(cluster, host, false);
}

/// The bytes of all segments.
pub(super) fn spooled(cluster: &Cluster, host: usize) -> u64 {
    let entries = std::fs::read_dir(directory(cluster, host)).into_iter().flatten();
    let lengths = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let is_segment = entry.file_name().to_str()?.ends_with(".segment");
        is_segment.then(|| entry.metadata().map_or(0, |data| data.len()))
    });
    lengths.sum()
}
