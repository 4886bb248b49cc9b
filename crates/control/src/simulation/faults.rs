//! What goes wrong, and how it is put right again.

use super::disk::Trouble;
use super::edge::State;
use super::machine::{self, Loss};
use super::plane::Plane;
use super::world::World;
use lychgate_types::secret::GatewayKeySecret;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Kinds of trouble; which of them a run knows is drawn from its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Edge,
    Partition,
    Plane,
    Shutdown,
    AllPlanes,
    Database,
    Killed,
    Power,
    Stopped,
    Disk,
    Rotation,
    Disabled,
    Deleted,
    Drain,
    Clock,
    Pruned,
}

pub(super) const ALL: [Fault; 16] = [
    Fault::Edge,
    Fault::Partition,
    Fault::Plane,
    Fault::Shutdown,
    Fault::AllPlanes,
    Fault::Database,
    Fault::Killed,
    Fault::Power,
    Fault::Stopped,
    Fault::Disk,
    Fault::Rotation,
    Fault::Disabled,
    Fault::Deleted,
    Fault::Drain,
    Fault::Clock,
    Fault::Pruned,
];

/// Lets something go wrong, and right again by itself.
pub(super) async fn happen(world: Arc<World>, fault: Fault) {
    let dice = world.dice.clone();
    let machine = dice.index(world.settings.replicas);
    let plane = dice.index(world.settings.planes);
    let while_ms = dice.pick(&[200, 2000, 8000, 30_000]);
    let lasts = dice.millis(10, while_ms);
    world.log(&format!("{fault:?} for {lasts:?}: replica {machine}, plane {plane}"));
    match fault {
        Fault::Edge => edge(&world, &[machine], &[plane], lasts).await,
        Fault::Partition => {
            let all: Vec<_> = (0..world.settings.planes).collect();
            edge(&world, &[machine], &all, lasts).await;
        }
        Fault::Plane => planes(&world, &[plane], false, lasts).await,
        Fault::Shutdown => planes(&world, &[plane], true, lasts).await,
        Fault::AllPlanes => {
            let all: Vec<_> = (0..world.settings.planes).collect();
            planes(&world, &all, dice.percent(50), lasts).await;
        }
        Fault::Database => database(&world, lasts).await,
        Fault::Killed => process(&world, machine, Loss::Process, lasts).await,
        Fault::Power => process(&world, machine, Loss::Power, lasts).await,
        Fault::Stopped => {
            // Not to be given up half way, since nothing but the end of its process ends what then goes on.
            let ending = world.clone();
            drop(tokio::spawn(async move { machine::stop(&ending, machine).await }).await);
            sleep(lasts).await;
            machine::start(&world, machine);
        }
        Fault::Disk => disk(&world, machine, lasts.min(Duration::from_secs(6))).await,
        Fault::Rotation => rotation(&world, machine, lasts).await,
        Fault::Disabled => disabled(&world, machine, lasts).await,
        Fault::Deleted => deleted(&world, machine),
        Fault::Drain => drain(&world, machine, plane).await,
        Fault::Clock => {
            let most = dice.pick(&[500, 10_000, 7_200_000]);
            let micros = i64::try_from(dice.between(1, most)).unwrap() * 1000;
            world.mirror(machine).clock_jumped = true;
            world.machines[machine]
                .wall
                .jump(if dice.percent(50) { micros } else { -micros });
        }
        Fault::Pruned => {
            let mut database = world.database();
            let last = usize::try_from(database.last()).unwrap();
            database.prune(last.saturating_sub(dice.index(2)));
        }
    }
}

async fn edge(world: &World, machines: &[usize], planes: &[usize], lasts: Duration) {
    let kind = world.dice.below(3);
    let edges = || {
        let all = machines
            .iter()
            .flat_map(|machine| planes.iter().map(move |plane| (*machine, *plane)));
        all.map(|(machine, plane)| &world.machines[machine].edges[plane])
    };
    let slow = world.dice.pick(&[300, 3000]);
    edges().for_each(|edge| match kind {
        0 => edge.set(State::Cut),
        1 => edge.set(State::Silent),
        _ => edge.slow_down(Some(slow)),
    });
    sleep(lasts).await;
    edges().for_each(|edge| match kind {
        0 | 1 => edge.set(State::Open),
        _ => edge.slow_down(None),
    });
}

async fn planes(world: &Arc<World>, planes: &[usize], in_order: bool, lasts: Duration) {
    let ending: Vec<_> = planes.iter().filter_map(|number| world.plane(*number)).collect();
    if in_order {
        ending.iter().for_each(|plane| plane.leave());
        sleep(world.dice.millis(1, 300)).await;
    }
    ending.iter().for_each(|plane| plane.kill());
    planes.iter().for_each(|number| world.set_plane(*number, None));
    sleep(lasts).await;
    for number in planes {
        begin(world, *number);
    }
}

/// Starts a control plane, unless one runs.
pub(super) fn begin(world: &Arc<World>, number: usize) {
    if world.plane(number).is_none() {
        world.set_plane(number, Some(Plane::start(world)));
    }
}

async fn database(world: &World, lasts: Duration) {
    let set = |is_down| {
        world.database().is_down = is_down;
        *world.database_changed.lock().unwrap() = Instant::now();
    };
    // A record that fails again and again while others pass is set aside; that is not what is to be seen here.
    if world.database_changed.lock().unwrap().elapsed() < Duration::from_secs(10) {
        return;
    }
    set(true);
    sleep(lasts).await;
    set(false);
}

async fn process(world: &Arc<World>, machine: usize, loss: Loss, lasts: Duration) {
    machine::lose(world, machine, loss);
    sleep(lasts).await;
    machine::start(world, machine);
}

async fn disk(world: &World, machine: usize, lasts: Duration) {
    let place = &world.machines[machine];
    let set = |trouble| {
        place.disk.trouble(trouble);
        *place.disk_changed.lock().unwrap() = Some(Instant::now());
    };
    set(world.dice.pick(&[Trouble::Full, Trouble::Unsynced]));
    sleep(lasts).await;
    set(Trouble::None);
}

/// Rotates the key of a replica; the new secret comes into its file before the old one's grace is over, or after it.
async fn rotation(world: &World, machine: usize, grace: Duration) {
    let key = world.machines[machine].key;
    let secret = GatewayKeySecret::generate(&world.ambient);
    world.database().rotate(key, secret.clone(), Instant::now() + grace);
    sleep(grace.mul_f64(f64::from(world.dice.pick(&[10, 50, 99, 150])) / 100.0)).await;
    give(world, key, &secret);
}

/// Writes a secret into the key files of all replicas that have this key.
pub(super) fn give(world: &World, key: usize, secret: &GatewayKeySecret) {
    // Another rotation may have been faster.
    if world.database().secret(key).hash() != secret.hash() {
        return;
    }
    for (number, machine) in world
        .machines
        .iter()
        .enumerate()
        .filter(|(_, machine)| machine.key == key)
    {
        if machine.key_file.borrow().hash() != secret.hash() {
            world.log(&format!("replica {number} is given another secret"));
            world.mirror(number).key_changed();
            machine.key_file.send_replace(secret.clone());
        }
    }
}

async fn disabled(world: &World, machine: usize, lasts: Duration) {
    let key = world.machines[machine].key;
    world.database().change_key(key, |key| key.is_disabled = true);
    sleep(lasts).await;
    world.database().change_key(key, |key| key.is_disabled = false);
}

fn deleted(world: &World, machine: usize) {
    // Some replica is to be left.
    let key = world.machines[machine].key;
    if key == 0 {
        return;
    }
    world.database().change_key(key, |key| key.is_deleted = true);
    let out = world.machines.iter().filter(|machine| machine.key == key);
    out.for_each(|machine| machine.is_out.store(true, Ordering::Relaxed));
    if let Some(plane) = world.plane(0) {
        plane.attachments.close_key(world.database().keys[key].id);
    }
}

async fn drain(world: &Arc<World>, machine: usize, number: usize) {
    let (Some(replica), Some(plane)) = (world.replica(machine), world.plane(number)) else {
        return;
    };
    let drained = plane.serve(async {
        world.look_up().await?;
        world.database().drain(replica.gateway().replica_id());
        plane.catch_up().await
    });
    drop(drained.await);
}

/// Puts everything right.
pub(super) fn heal(world: &Arc<World>) {
    world.log("everything is put right");
    world.is_calm.store(true, Ordering::Relaxed);
    world.database().is_down = false;
    *world.database_changed.lock().unwrap() = Instant::now();
    for key in 0..world.settings.keys {
        let secret = {
            let mut database = world.database();
            if database.keys[key].is_disabled {
                database.change_key(key, |key| key.is_disabled = false);
            }
            database.secret(key)
        };
        give(world, key, &secret);
    }
    for number in 0..world.settings.planes {
        let leaving = |plane: &Arc<Plane>| plane.is_leaving.load(Ordering::Relaxed);
        if let Some(plane) = world.plane(number).filter(leaving) {
            plane.kill();
            world.set_plane(number, None);
        }
        begin(world, number);
    }
    for (number, machine) in world.machines.iter().enumerate() {
        machine.disk.trouble(Trouble::None);
        *machine.disk_changed.lock().unwrap() = Some(Instant::now());
        for edge in &machine.edges {
            edge.slow_down(None);
            edge.set(State::Open);
        }
        machine::start(world, number);
    }
}
