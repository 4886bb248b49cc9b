//! Does what a plan says, and undoes it; notes whom it troubles meanwhile.

use super::keys::{disable, replace, rotate};
use super::load::probe;
use super::log::{Kind, Troubles};
use super::node::Ending;
use super::plan::{Act, Fault, Ill, Link, Who};
use super::world::{LOOK_EVERY, World};
use lychgate_testkit::network::Weather;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long a replica may take to be ready after what troubled it is over; others may trouble it meanwhile.
const RECOVERY: Duration = Duration::from_secs(60);
/// A control plane that has lost its database looks for changes every second.
const LISTENS_AGAIN: Duration = Duration::from_millis(1500);
/// How long a control plane may take to write once its disk is well.
const WRITES_AGAIN: Duration = Duration::from_secs(5);
/// How long a control plane may need its database to come back for its start.
const STARTS: Duration = Duration::from_secs(40);

/// Those who ask with tokens that are to be revoked.
pub(super) type Probes = JoinSet<()>;

/// Does one act from its beginning to the recovery of all that it troubled. `token` is the one to revoke.
pub(super) async fn perform(world: &Arc<World>, act: Act, token: usize, stop: watch::Receiver<bool>) -> Probes {
    match act.fault {
        Fault::Kill(who) | Fault::End(who) | Fault::EndTwice(who) => go_away(world, act, who).await,
        Fault::Stop(who) => {
            let turn = world.node(who).turn.lock().await;
            let process = world.node(who).process();
            let troubles = trouble(world, who);
            process.signal(Signal::SIGSTOP);
            sleep(act.lasts).await;
            process.signal(Signal::SIGCONT);
            drop(turn);
            recover(world, &troubles, Duration::ZERO).await;
        }
        Fault::KillPostgres => {
            let turn = world.postgres_turn.lock().await;
            let troubles = world.log.begins(Kind::Deaf, world.everybody());
            world.postgres(|server| server.kill()).await;
            sleep(act.lasts).await;
            world
                .postgres(|server| server.start_again().expect("PostgreSQL recovers"))
                .await;
            drop(turn);
            recover(world, &troubles, LISTENS_AGAIN).await;
        }
        Fault::StopPostgres => {
            let turn = world.postgres_turn.lock().await;
            let troubles = world.log.begins(Kind::Deaf, world.everybody());
            world.postgres(|server| server.freeze()).await;
            sleep(act.lasts).await;
            world.postgres(|server| server.thaw()).await;
            drop(turn);
            recover(world, &troubles, LISTENS_AGAIN).await;
        }
        Fault::Network(link, ill) => fall_ill(world, act, link, ill).await,
        Fault::Disk(who, illness) => {
            let node = world.node(who);
            let turn = node.turn.lock().await;
            let troubles = match who {
                Who::Replica(replica) => world.log.begins(Kind::Disk, [replica]),
                Who::Plane(_) => world.log.begins(Kind::Deaf, world.everybody()),
            };
            node.set_disk(Some(illness));
            sleep(act.lasts).await;
            node.set_disk(None);
            if let Who::Plane(plane) = who {
                writes_again(world, plane).await;
            }
            drop(turn);
            recover(world, &troubles, Duration::ZERO).await;
        }
        Fault::PostgresDisk(illness) => {
            let turn = world.postgres_turn.lock().await;
            let troubles = world.log.begins(Kind::Deaf, world.everybody());
            world.machine.postgres_disk.set(Some(illness));
            sleep(act.lasts).await;
            world.machine.postgres_disk.set(None);
            world.postgres_answers(STARTS).await;
            drop(turn);
            recover(world, &troubles, LISTENS_AGAIN).await;
        }
        Fault::Jump(who, seconds) => {
            world.node(who).set_clock(seconds);
            sleep(act.lasts).await;
            world.node(who).set_clock(0);
        }
        Fault::Rotate { key, by, grace_seconds } => rotate(world, key, by, grace_seconds).await,
        Fault::Replace { key, by } => replace(world, key, by).await,
        Fault::Disable { key, by } => disable(world, key, by, act.lasts).await,
        Fault::Revoke { by, whole_user } => return revoke(world, act, token, by, whole_user, stop).await,
    }
    Probes::new()
}

/// A control plane whose disk is well writes again, and says so.
async fn writes_again(world: &World, plane: usize) {
    let (node, room) = (&world.planes[plane], Instant::now());
    while node.ready_since().await.is_none() {
        if room.elapsed() > WRITES_AGAIN {
            return world.log.wrong(format!(
                "{} does not write {WRITES_AGAIN:?} after its disk was well",
                node.name
            ));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A process goes, and comes again.
async fn go_away(world: &World, act: Act, who: Who) {
    let node = world.node(who);
    let turn = node.turn.lock().await;
    let process = node.process();
    let mut troubles = trouble(world, who);
    match act.fault {
        Fault::Kill(_) => {
            if let Who::Replica(replica) = who {
                world.log.was_killed(replica, &mut troubles);
            }
            node.ends(Ending::Killed);
            process.kill().await;
        }
        Fault::EndTwice(_) => {
            node.ends(Ending::EndedTwice);
            process.signal(Signal::SIGTERM);
            sleep(act.lasts / 4).await;
            process.terminate().await;
        }
        _ => {
            node.ends(Ending::Ended);
            process.terminate().await;
        }
    }
    sleep(act.lasts).await;
    match who {
        Who::Replica(number) => {
            let started = world.replicas[number].start().await;
            assert!(
                started.is_some(),
                "{} ended at its start: {}",
                node.name,
                node.process().stderr()
            );
        }
        Who::Plane(number) => start_plane(world, number).await,
    }
    drop(turn);
    recover(world, &troubles, Duration::ZERO).await;
}

/// Starts a control plane as its supervisor would: where it finds no database it says so, and is started again.
async fn start_plane(world: &World, number: usize) {
    let until = Instant::now() + STARTS;
    while !world.start_plane(number).await {
        let node = &world.planes[number];
        let said = node.process().stderr();
        assert!(
            said.contains("database") && Instant::now() < until,
            "{} does not start: {said}",
            node.name
        );
        node.ends(Ending::NotStarted);
        sleep(Duration::from_millis(200)).await;
    }
}

async fn fall_ill(world: &World, act: Act, link: Link, ill: Ill) {
    let (networks, replicas, settling) = match link {
        Link::Control(replica, plane) => (vec![&world.controls[replica][plane]], vec![replica], Duration::ZERO),
        Link::EveryControl(replica) => (world.controls[replica].iter().collect(), vec![replica], Duration::ZERO),
        Link::Database(plane) => (
            vec![&world.databases[plane]],
            world.everybody().collect(),
            LISTENS_AGAIN,
        ),
    };
    let troubles = world.log.begins(Kind::Deaf, replicas.clone());
    let alone =
        (matches!(link, Link::EveryControl(_)) && ill == Ill::Cut).then(|| world.log.begins(Kind::Alone, replicas));
    let weather = match ill {
        Ill::Cut => Weather::Cut,
        Ill::Held => Weather::Held,
        Ill::Slow => Weather::Slow {
            delay: Duration::from_millis(60),
            bytes_per_second: 200_000,
        },
    };
    networks.iter().for_each(|network| network.set(weather));
    sleep(act.lasts).await;
    if let (Some(alone), Link::EveryControl(replica)) = (alone, link) {
        world.log.ends(&alone, replica, Duration::ZERO);
    }
    networks.iter().for_each(|network| network.set(Weather::Fair));
    recover(world, &troubles, settling).await;
}

async fn revoke(
    world: &Arc<World>,
    act: Act,
    token: usize,
    by: usize,
    whole_user: bool,
    stop: watch::Receiver<bool>,
) -> Probes {
    let mut probes = Probes::new();
    for replica in world.everybody() {
        let (world, stop) = (Arc::clone(world), stop.clone());
        probes.spawn(async move { probe(&world, replica, token, stop).await });
    }
    sleep(act.lasts).await;
    let whose = &world.tokens[token];
    world.log.revocation(token);
    let (method, path) = if whole_user {
        ("POST", format!("users/{}/suspend", whose.user))
    } else {
        ("DELETE", format!("tokens/{}", whose.id))
    };
    let (status, answer) = world.insist(by, method, &path, &Value::Null).await;
    // An earlier attempt may have done it, and its answer been lost.
    assert!(
        (200..300).contains(&status) || status == 404,
        "{method} {path}: {status} {answer}"
    );
    world.log.revoked(token);
    probes
}

/// Whom it troubles when this process does not run.
fn trouble(world: &World, who: Who) -> Troubles {
    match who {
        Who::Replica(replica) => world.log.begins(Kind::Down, [replica]),
        Who::Plane(_) => world.log.begins(Kind::Deaf, world.everybody()),
    }
}

/// Waits until those who were troubled are ready.
pub(super) async fn recover(world: &World, troubles: &Troubles, settling: Duration) {
    let recovering = troubles.replicas(&world.log).into_iter().map(async |replica| {
        if !world.ready_within(replica, RECOVERY).await {
            let why = world.replicas[replica].process().stderr();
            let last: Vec<_> = why.lines().rev().take(3).collect();
            world.log.wrong(format!(
                "replica {replica} is not ready {RECOVERY:?} after all was well: {last:?}"
            ));
        }
        world.log.ends(troubles, replica, settling);
    });
    futures_util::future::join_all(recovering).await;
}
