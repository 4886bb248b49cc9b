//! One run: starts everything, executes the plan under load, repairs all faults, shuts down properly, and checks.

use super::act::{Probes, perform};
use super::bill::bills;
use super::check::{Bounds, Evidence, Found};
use super::hostile::lie;
use super::load::{client, send};
use super::log::End;
use super::machine::Machine;
use super::node::{Ending, Node};
use super::plan::{Fault, Plan};
use super::world::{GOOD, World};
use crate::dice::Dice;
use crate::request::Ask;
use futures_util::future::join_all;
use lychgate_scripted::{Endpoint, Scenario, SeenRequest};
use lychgate_testkit::http;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Of each replica.
const CLIENTS: usize = 3;
/// How long the last revoked token may take to be refused everywhere, once all is well.
const REFUSED: Duration = Duration::from_secs(20);
/// A provider keeps its newest requests only, so they are taken this often.
const HARVEST_EVERY: Duration = Duration::from_millis(200);

/// Does the plan, and says what was found.
pub(super) async fn run(plan: &Plan, machine: &Arc<Machine>, bounds: Bounds) -> Found {
    let world = Arc::new(World::start(plan, machine).await);
    let (same, doing) = (Arc::clone(&world), plan.clone());
    // A task of its own: if it panics, what the processes said is worth the more.
    let ended = tokio::spawn(async move { through(&same, &doing, bounds).await }).await;
    let mut found = ended.unwrap_or_else(|why| Found {
        wrong: [
            vec![format!("the run did not come to its end: {why}")],
            world.log.all_wrong(),
        ]
        .concat(),
        ..Found::default()
    });
    if !found.wrong.is_empty() {
        let kept = keep_logs(&world, plan.seed);
        found
            .wrong
            .push(format!("what the processes said is in {}", kept.display()));
    }
    found
}

async fn through(world: &Arc<World>, plan: &Plan, bounds: Bounds) -> Found {
    let came = Arc::<Mutex<Vec<SeenRequest>>>::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(harvest(Arc::clone(world), Arc::clone(&came)));
    every_replica_serves(world, "at the start").await;
    under_load(world, plan).await;
    every_replica_serves(world, "at the end").await;
    end_replicas(world).await;
    look_after(world).await;
    let listing = world.interceptions().await;
    let sent = world.log.all_sent();
    let (bills, unknown) = {
        let mut came = came.lock().unwrap();
        came.extend(world.provider.take_requests());
        bills(&came, &sent)
    };
    for request in unknown {
        world.log.wrong(format!("the provider was asked by nobody: {request}"));
    }
    let evidence = Evidence {
        sent,
        troubles: (0..plan.replicas())
            .map(|replica| world.log.troubles(replica))
            .collect(),
        revocations: world.log.revocations(),
        users: world.tokens.iter().map(|token| token.user.clone()).collect(),
        listing,
        bills,
        max_offline: plan.max_offline.clone(),
        tiny_spool: plan.tiny_spool.clone(),
    };
    let mut found = Found::check(&evidence, bounds);
    found.wrong.extend(world.log.all_wrong());
    world.tear_down().await;
    for node in world.nodes() {
        check_lives(node, &mut found);
    }
    found
}

/// Every good token is served everywhere; afterwards every replica knows them all.
async fn every_replica_serves(world: &World, when: &str) {
    let all = (0..world.replicas.len()).flat_map(|replica| (0..GOOD).map(move |token| (replica, token)));
    let asking = all.map(async |(replica, token)| {
        let ask = |marker: &str| Ask::new(Endpoint::Responses, Scenario::Text, true, marker);
        let sent = send(world, replica, token, ask).await;
        if sent.end != End::Complete {
            world.log.wrong(format!("{when}, all being well: {sent:?}"));
        }
    });
    join_all(asking).await;
}

async fn under_load(world: &Arc<World>, plan: &Plan) {
    let mut dice = Dice::new(plan.seed).another();
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..plan.replicas() * CLIENTS {
        let (world, dice, stopped) = (Arc::clone(world), dice.another(), stopped.clone());
        clients.spawn(async move { client(&world, number % world.replicas.len(), dice, stopped).await });
    }
    let (same, stopped_too) = (Arc::clone(world), stopped.clone());
    clients.spawn(async move { lie(&same, stopped_too).await });
    let begin = Instant::now();
    let mut acts = JoinSet::new();
    let mut tokens = GOOD..;
    for act in plan.acts.iter().copied() {
        let token = match act.fault {
            Fault::Revoke { .. } => tokens.next().unwrap_or(GOOD),
            _ => GOOD,
        };
        let (world, stopped) = (Arc::clone(world), stopped.clone());
        acts.spawn(async move {
            sleep_until(begin + act.at).await;
            perform(&world, act, token, stopped).await
        });
    }
    let probes = acts.join_all().await;
    let refused = join_all(probes.into_iter().map(Probes::join_all));
    if timeout(REFUSED, refused).await.is_err() {
        world.log.wrong(format!(
            "a revoked token is not refused everywhere {REFUSED:?} after all was well"
        ));
    }
    world.settled().await;
    stop.send_replace(true);
    clients.join_all().await;
}

/// Replicas that shut down properly have delivered everything.
async fn end_replicas(world: &World) {
    let ends = world.replicas.iter().enumerate().map(async |(number, node)| {
        let process = node.process();
        if !process.is_running() {
            world.log.wrong(format!("{} ended by itself", node.name));
        }
        node.ends(Ending::Ended);
        process.terminate().await;
        let said = process.stderr();
        if said.contains("could not be delivered before shutdown") || said.contains("could not be written to the spool")
        {
            world
                .log
                .wrong(format!("{} ended with records in its spool", node.name));
        }
        if std::fs::read_dir(world.set_aside(number)).is_ok_and(|mut entries| entries.next().is_some()) {
            world.log.wrong(format!("{} has set records aside", node.name));
        }
    });
    join_all(ends).await;
}

/// Control planes are there and ready.
async fn look_after(world: &World) {
    for plane in &world.planes {
        let until = Instant::now() + Duration::from_secs(15);
        loop {
            let url = format!("{}/readyz", plane.url());
            let said = match http::get(url).try_open().await {
                Ok(open) if open.status == 200 => break,
                Ok(open) => open.rest().await.text(),
                Err(why) => why,
            };
            if Instant::now() > until {
                world.log.wrong(format!("{} is not ready: {said}", plane.name));
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn check_lives(node: &Node, found: &mut Found) {
    for (number, life) in node.lives().into_iter().enumerate() {
        let said = life.process.stderr();
        if said.contains("panicked") {
            found.wrong.push(format!("{}, life {number}, panicked", node.name));
        }
        let code = life.process.ended_with();
        match (life.ending, code) {
            (Ending::Killed, Some(137))
            | (Ending::Ended, Some(0))
            | (Ending::EndedTwice, Some(0 | 143))
            | (Ending::NotStarted, Some(1)) => {}
            (ending, code) => found.wrong.push(format!(
                "{}, life {number}: {ending:?}, but its code is {code:?}",
                node.name
            )),
        }
    }
}

async fn harvest(world: Arc<World>, came: Arc<Mutex<Vec<SeenRequest>>>) {
    loop {
        came.lock().unwrap().extend(world.provider.take_requests());
        sleep(HARVEST_EVERY).await;
    }
}

fn keep_logs(world: &World, seed: u64) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("lychgate-faults-{}/seed-{seed}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for node in world.nodes() {
        for (number, life) in node.lives().into_iter().enumerate() {
            let path = directory.join(format!("{}-{number}.log", node.name));
            std::fs::write(path, life.process.stderr()).unwrap();
        }
    }
    directory
}
