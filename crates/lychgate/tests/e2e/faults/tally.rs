//! What many runs come to.

use super::check::Found;
use super::estimates::Estimates;
use super::plan::{Engine, Fault, Ill, Plan};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Sums over runs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    runs: usize,
    on_sqlite: usize,
    skewed: usize,
    hostile: usize,
    faults: BTreeMap<&'static str, usize>,
    records: usize,
    interrupted: usize,
    lost: usize,
    doubled: usize,
    lies: usize,
    forged: usize,
    displaced: usize,
    hung: usize,
    billed: u64,
    unbooked: u64,
    pub(super) estimates: Estimates,
    revoked_up: Vec<Duration>,
    revoked_ill: Vec<Duration>,
    refused: BTreeMap<String, usize>,
    /// Seeds that failed.
    pub(super) failed: Vec<u64>,
}

/// Every kind of fault, as it is counted.
pub(super) const KINDS: &[&str] = &[
    "kills (SIGKILL)",
    "ends (SIGTERM)",
    "ends at once (SIGTERM twice)",
    "stops (SIGSTOP)",
    "stops of PostgreSQL (SIGSTOP)",
    "partitions (cut)",
    "partitions (held)",
    "slow links",
    "disks of processes full, failing or read-only",
    "the same of PostgreSQL",
    "clock jumps",
    "key rotations",
    "keys replaced and deleted",
    "keys disabled",
    "revocations",
];

/// What a fault is counted as.
pub(super) fn kind(fault: Fault) -> &'static str {
    let at = match fault {
        Fault::Kill(_) | Fault::KillPostgres => 0,
        Fault::End(_) => 1,
        Fault::EndTwice(_) => 2,
        Fault::Stop(_) => 3,
        Fault::StopPostgres => 4,
        Fault::Network(_, Ill::Cut) => 5,
        Fault::Network(_, Ill::Held) => 6,
        Fault::Network(_, Ill::Slow) => 7,
        Fault::Disk(..) => 8,
        Fault::PostgresDisk(_) => 9,
        Fault::Jump(..) => 10,
        Fault::Rotate { .. } => 11,
        Fault::Replace { .. } => 12,
        Fault::Disable { .. } => 13,
        Fault::Revoke { .. } => 14,
    };
    KINDS[at]
}

impl Tally {
    /// Adds a run; `None`: it could not be brought to its end.
    pub(super) fn add(&mut self, plan: &Plan, found: Option<Found>) {
        self.runs += 1;
        self.on_sqlite += usize::from(plan.engine == Engine::Sqlite);
        self.skewed += usize::from(plan.skew.is_some());
        self.hostile += usize::from(plan.hostile);
        for act in &plan.acts {
            *self.faults.entry(kind(act.fault)).or_default() += 1;
        }
        let failed = found.as_ref().is_none_or(|found| !found.wrong.is_empty());
        if failed {
            self.failed.push(plan.seed);
        }
        let Some(found) = found else { return };
        self.records += found.records;
        self.interrupted += found.interrupted;
        self.lost += found.lost;
        self.doubled += found.doubled;
        self.lies += found.lies;
        self.forged += found.forged;
        self.displaced += found.displaced;
        self.hung += found.hung;
        self.billed += found.billed;
        self.unbooked += found.unbooked;
        self.estimates.add_all(found.estimates);
        self.revoked_up.extend(found.revoked_up);
        self.revoked_ill.extend(found.revoked_ill);
        for (said, count) in found.refused {
            *self.refused.entry(said).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<46}{value:>12}");
        line("runs", &self.runs)?;
        line("of them on SQLite", &self.on_sqlite)?;
        line("with a clock that is off", &self.skewed)?;
        line("with a hostile holder of a gateway key", &self.hostile)?;
        for kind in KINDS {
            line(kind, &self.faults.get(kind).copied().unwrap_or(0))?;
        }
        line("records checked", &self.records)?;
        line("of them of requests that were killed", &self.interrupted)?;
        line("records lost", &self.lost)?;
        line("records doubled", &self.doubled)?;
        line("records that a hostile key made up as his own", &self.lies)?;
        line("records forged in another's name or time", &self.forged)?;
        line("records displaced from their ids", &self.displaced)?;
        line("requests hung", &self.hung)?;
        line("tokens billed by the provider", &self.billed)?;
        line("of them of requests not on record", &self.unbooked)?;
        line("estimates", &self.estimates.count())?;
        line("estimates against the bill", &format!("  {}", self.estimates))?;
        line("revocations seen by a replica, link up", &self.revoked_up.len())?;
        line("revocations seen by a replica, in trouble", &self.revoked_ill.len())?;
        line("revocation, link up, p50", &Shown(at(&self.revoked_up, 50)))?;
        line("revocation, link up, p99", &Shown(at(&self.revoked_up, 99)))?;
        line("revocation, link up, worst", &Shown(at(&self.revoked_up, 100)))?;
        line("revocation, in trouble, worst", &Shown(at(&self.revoked_ill, 100)))?;
        let refused: usize = self.refused.values().sum();
        line("requests of good tokens refused", &refused)?;
        for (said, count) in &self.refused {
            line(&format!("  {said}"), count)?;
        }
        line("runs failed", &self.failed.len())
    }
}

/// So many of a hundred are at most this; `None`: there are none.
fn at(samples: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let place = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(place - 1).copied()
}

struct Shown(Option<Duration>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.map_or("-".to_owned(), |time| format!("{} ms", time.as_millis()));
        f.pad(&text)
    }
}
