//! Starting and ending the processes of replicas.

use super::books::Crash;
use super::uplink::Uplink;
use super::world::World;
use lychgate_gateway::harness::simulated::Replica;
use lychgate_gateway::{OfflineStart, Options, SpoolFull, SpoolSync};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;

/// How a process ends without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Process,
    Power,
}

/// How a spool that is not small, and one that is, is bounded, in bytes.
const LARGE: u64 = 64 << 20;
pub(super) const SMALL: u64 = 256 << 10;

pub(super) fn directory(world: &World, machine: usize) -> PathBuf {
    world.directory.join(format!("replica-{machine}"))
}

/// Starts a process, unless one runs.
pub(super) fn start(world: &Arc<World>, machine: usize) {
    if world.replica(machine).is_some() {
        return;
    }
    let (place, settings) = (&world.machines[machine], &world.settings);
    let process = world.next();
    let mut options = Options::new(format!("edge-{machine}"), "127.0.0.1:4001", "0.1.0");
    options.max_offline = settings.max_offline;
    options.offline = settings.starts_offline.then(|| OfflineStart {
        key: place.key_file.subscribe(),
    });
    options.spool.directory = directory(world, machine);
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
    world.log(&format!("replica {machine} starts"));
    world.mirror(machine).start(process);
    let link = Uplink::new(world, machine, process);
    let disk = Arc::new(place.disk.clone());
    match Replica::start(options, link, place.ambient.clone(), &world.outside, disk) {
        Ok(replica) => *place.replica.lock().unwrap() = Some(replica),
        Err(error) => world.broken(format!("replica {machine} does not start: {error}")),
    }
}

/// Ends a process as a signal or a loss of power does.
pub(super) fn lose(world: &World, machine: usize, loss: Loss) {
    let place = &world.machines[machine];
    if world.mirror(machine).is_stopping {
        return;
    }
    let Some(replica) = place.replica.lock().unwrap().take() else {
        return;
    };
    replica.kill();
    let power = loss == Loss::Power;
    world.log(&format!("replica {machine} ends, with the power: {power}"));
    gone(world, machine, power);
    if !power && world.dice.percent(50) {
        place.disk.tear();
    }
    if power {
        place.disk.lose_power();
        // The cursor is written over without a sync: it may be any of what it was.
        let cursor = directory(world, machine).join("cursor");
        match (world.dice.below(3), place.cursor.lock().unwrap().clone()) {
            (0, Some(before)) => std::fs::write(cursor, before).unwrap(),
            (1, _) => std::fs::write(cursor, []).unwrap(),
            _ => {}
        }
    }
}

/// Notes that a process is gone.
fn gone(world: &World, machine: usize, power: bool) {
    let crash = Crash {
        power,
        syncs_always: world.settings.syncs_always,
        goes_unrecorded: world.settings.goes_unrecorded,
        disk_changed: *world.machines[machine].disk_changed.lock().unwrap(),
    };
    world.books().crash(machine, &world.machines[machine].disk, crash);
    world.mirror(machine).crash();
}

/// Ends a process in good order; returns once it is gone.
pub(super) async fn stop(world: &World, machine: usize) {
    let place = &world.machines[machine];
    let Some(replica) = world.replica(machine) else { return };
    let process = {
        let mut mirror = world.mirror(machine);
        if std::mem::replace(&mut mirror.is_stopping, true) {
            return;
        }
        mirror.process
    };
    world.log(&format!("replica {machine} is stopped"));
    let begun = Instant::now();
    replica.gateway().close().await;
    if world.mirror(machine).process != process {
        return;
    }
    world.log(&format!("replica {machine} ends after {:?}", begun.elapsed()));
    replica.kill();
    *place.replica.lock().unwrap() = None;
    gone(world, machine, false);
}

/// Bytes of all segments.
pub(super) fn spooled(world: &World, machine: usize) -> u64 {
    let entries = std::fs::read_dir(directory(world, machine)).into_iter().flatten();
    let lengths = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let is_segment = entry.file_name().to_str()?.ends_with(".segment");
        is_segment.then(|| entry.metadata().map_or(0, |data| data.len()))
    });
    lengths.sum()
}
