//! A deterministic simulation of the control link under failures: replicas and control planes, the product's own code on both
//! ends, in one thread, with a clock that stands still while anything runs and all randomness from one seed. A seed that fails
//! fails every time.
//!
//! The product's own: all of a replica except HTTP (attaching, link state, leases, spool, delivery, starting offline); the link
//! client (choice of control plane, failover, backoff, keys); and of a control plane its attachments, mailboxes, key sessions,
//! reading of the feed and order of look-ups. Simulated: the database (`database`), the network (`network`, `transport`,
//! `stream`), disk failures (`disk`), and people and clients (`scenario`, `changes`, `requests`, `faults`).
//!
//! Checked: `model` says what each replica should do, `tokens` how late a revocation may arrive, `ledger` what becomes of every
//! record, `client_checks` that calls reach a control plane, and `checks` what must hold at the end.

mod changes;
mod checks;
mod client_checks;
mod cluster;
mod control_plane;
mod database;
mod disk;
mod faults;
mod host;
mod ledger;
mod model;
mod network;
mod observed_link;
mod requests;
mod rng;
mod scenario;
mod signal;
mod stream;
mod tokens;
mod transport;

use cluster::{Cluster, Settings};
use faults::Fault;
use lychgate_gateway::Options;
use lychgate_gateway::harness::simulated::Outside;
use rng::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::Builder;

/// How many seeds are run, and the first one.
const SEEDS: &str = "LYCHGATE_SIMULATION_SEEDS";
const FIRST: &str = "LYCHGATE_SIMULATION_FIRST";
/// The seeds that every change is tested with.
const USUAL: u64 = 100;

/// The result of one seed.
struct Outcome {
    violations: Vec<String>,
    events: String,
    records: usize,
    committed: usize,
    admitted: u64,
}

#[test]
fn no_fault_loses_a_record_or_serves_a_revoked_token() {
    let (first, count) = (from_environment(FIRST, 1), from_environment(SEEDS, USUAL));
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let sums = [const { AtomicU64::new(0) }; 3];
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let outcome = run(seed);
            for (sum, more) in sums
                .iter()
                .zip([outcome.records as u64, outcome.committed as u64, outcome.admitted])
            {
                sum.fetch_add(more, Ordering::Relaxed);
            }
            if !outcome.violations.is_empty() {
                failed.lock().unwrap().push((seed, outcome));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (0..threads.min(4)).for_each(|_| drop(scope.spawn(work)));
    });
    let [records, committed, admitted] = sums.map(AtomicU64::into_inner);
    eprintln!(
        "simulation: {count} seeds from {first} on, {admitted} requests admitted, {records} records, {committed} committed"
    );
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(seed, _)| *seed);
    let summary: Vec<_> = failed
        .iter()
        .map(|(seed, outcome)| format!("{FIRST}={seed}: {}", outcome.violations[0]))
        .collect();
    if let Some((seed, outcome)) = failed.first() {
        eprintln!("everything that happened with seed {seed}:\n{}", outcome.events);
        panic!("{} of {count} seeds fail:\n{}", failed.len(), summary.join("\n"));
    }
    // A simulation in which hardly anything happens would prove nothing.
    assert!(count < USUAL || (admitted > 20 * count && committed > 10 * count));
}

/// Seeds beyond the usual ones that once failed.
#[test]
fn seeds_that_once_failed_pass() {
    for seed in [322, 395, 1783, 7734, 8972] {
        let outcome = run(seed);
        assert!(
            outcome.violations.is_empty(),
            "{FIRST}={seed}: {}\n{}",
            outcome.violations[0],
            outcome.events
        );
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let first = from_environment(FIRST, 1);
    for seed in first..first + 8 {
        let (one, other) = (run(seed).events, run(seed).events);
        let difference = one.lines().zip(other.lines()).position(|(one, other)| one != other);
        if let Some(line) = difference {
            let around = |text: &str| {
                text.lines()
                    .skip(line.saturating_sub(5))
                    .take(8)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            panic!(
                "seed {seed}, from line {line} on:\n{}\n\nand\n\n{}",
                around(&one),
                around(&other)
            );
        }
        assert_eq!(one.lines().count(), other.lines().count());
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|why| panic!("{name}={text}: {why}")),
        Err(_) => otherwise,
    }
}

fn run(seed: u64) -> Outcome {
    // Syncing the snapshot costs nothing if files are in memory.
    let memory = Path::new("/dev/shm");
    let within = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let directory = tempfile::tempdir_in(within).unwrap();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let run = || {
        runtime.block_on(async {
            let rng = Arc::new(Rng::new(seed));
            let (settings, faults) = lay_out(&rng);
            let cluster = Cluster::new(settings, rng, outside(), directory.path().to_owned());
            cluster.log(&format!("{:?}, {faults:?}", cluster.settings));
            scenario::run(&cluster, faults).await;
            cluster.drop_processes();
            let (records, committed) = cluster.ledger().counts();
            let admitted = cluster.hosts.iter().map(|host| *host.admitted.lock().unwrap()).sum();
            Outcome {
                violations: cluster.violations(),
                events: cluster.events(),
                records,
                committed,
                admitted,
            }
        })
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| panic!("{FIRST}={seed} panicked"))
}

/// Made once for all runs: it takes longer than a run.
fn outside() -> Outside {
    static OUTSIDE: OnceLock<Outside> = OnceLock::new();
    OUTSIDE
        .get_or_init(|| Outside::new(&Options::new("", "", "")).unwrap())
        .clone()
}

/// The size of a run, and which faults happen in it.
fn lay_out(rng: &Rng) -> (Settings, Vec<Fault>) {
    let few = rng.percent(50);
    let faults: Vec<Fault> = faults::ALL
        .into_iter()
        .filter(|fault| match fault {
            Fault::Deleted | Fault::Clock => rng.percent(12),
            Fault::Drain => rng.percent(20),
            _ => rng.percent(if few { 20 } else { 50 }),
        })
        .collect();
    let second = Duration::from_secs(1);
    let replicas = rng.index(3) + 1;
    let settings = Settings {
        control_planes: rng.index(3) + 1,
        replicas,
        keys: rng.index(replicas) + 1,
        tokens: rng.index(9) + 2,
        users: rng.index(3) + 1,
        lease: second * rng.pick(&[2, 8, 60, 900]),
        max_offline: second * rng.pick(&[3, 15, 900]),
        starts_offline: rng.percent(80),
        syncs_always: rng.percent(30),
        goes_unrecorded: rng.percent(15),
        spool_is_small: rng.percent(20),
        link_ms: rng.pick(&[2, 20, 400]),
        database_ms: rng.pick(&[1, 8, 80]),
        lost_answers: rng.pick(&[0, 0, 5, 30]),
        lost_messages: rng.pick(&[0, 0, 0, 10]),
        odd_records: rng.pick(&[0, 0, 4]),
        lasts: second * rng.pick(&[15, 40]),
    };
    (settings, faults)
}
