//! What is to hold at the end of a run, when all has been put right.

use super::requests::{self, Arrivals};
use super::world::World;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// What is to hold in the end.
pub(super) async fn judge(world: &Arc<World>, arrivals: &Arc<Arrivals>) {
    if !world.violations().is_empty() {
        return;
    }
    world
        .books()
        .close(|machine| world.machines[machine].is_out.load(Ordering::Relaxed));
    for (number, machine) in world.machines.iter().enumerate() {
        let Some(replica) = world.replica(number) else {
            world.broken(format!("replica {number} does not run"));
            continue;
        };
        let (gateway, is_out) = (replica.gateway(), machine.is_out.load(Ordering::Relaxed));
        let drained = world.mirror(number).is_drained;
        let ready = gateway.readiness();
        if ready.is_ok() == (is_out || drained) {
            world.broken(format!(
                "replica {number}, out: {is_out}, drained: {drained}, is ready: {ready:?}"
            ));
        }
        if is_out {
            continue;
        }
        let (attached, depth) = (world.mirror(number).is_attached(), gateway.spool_depth());
        // While no other records pass it, none is to blame.
        let stuck = if has_traffic(world, number) { 0 } else { depth };
        if depth > stuck || !attached {
            world.broken(format!(
                "replica {number}, attached: {attached}, has {depth} records in its spool"
            ));
        }
        let ((least, most), aside) = (world.books().aside(number), replica.set_aside());
        if aside + stuck < least || (!machine.disk.is_damaged() && aside > most) {
            world.broken(format!("replica {number} has {aside} aside, not {least} to {most}"));
        }
        if replica.believed() > world.settings.tokens {
            world.broken(format!("replica {number} believes {} tokens", replica.believed()));
        }
        for token in 0..world.settings.tokens {
            requests::come(world, arrivals, number, Some(token));
        }
    }
    let before: Vec<u64> = world
        .machines
        .iter()
        .map(|machine| *machine.let_in.lock().unwrap())
        .collect();
    sleep(Duration::from_secs(6)).await;
    let good = (0..world.settings.tokens)
        .filter(|token| world.tokens().is_good(*token))
        .count() as u64;
    for (number, machine) in world.machines.iter().enumerate() {
        let closed = machine.is_out.load(Ordering::Relaxed) || world.mirror(number).is_drained;
        // Behind a message that got lost, a revocation may be hidden until the next one comes.
        if !closed && world.sound_since(number).is_none() {
            continue;
        }
        let let_in = *machine.let_in.lock().unwrap() - before[number];
        if let_in != if closed { 0 } else { good } {
            world.broken(format!("replica {number} lets {let_in} of {good} good tokens in"));
        }
    }
}

/// Whether requests are let in.
pub(super) fn has_traffic(world: &World, machine: usize) -> bool {
    let good = (0..world.settings.tokens).any(|token| world.tokens().is_good(token));
    good && !world.mirror(machine).is_drained
}
