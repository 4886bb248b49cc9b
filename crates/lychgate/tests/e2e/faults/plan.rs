//! What happens in one run, and when: drawn from its seed.

use crate::dice::Dice;
use lychgate_testkit::disk::Illness;
use std::fmt;
use std::time::Duration;

/// Gateway keys of a run. The first is shared by two replicas, where there are three.
pub(super) const KEYS: usize = 2;
/// Until then nothing goes wrong, so that it is seen what revocations take when all is well.
const CALM_MS: usize = 450;
/// After that, by when the last fault begins.
const SPAN_MS: usize = 2800;
/// Faults that are drawn for a run; those that would meet another one at the same place are left out.
const DRAWN: usize = 24;
/// Between two faults at the same place.
const APART_MS: usize = 250;

/// Where a run's records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// In a file of the only control plane.
    Sqlite,
    /// On a server that two control planes share.
    Postgres,
}

/// A process that can be killed, stopped, and have its clock set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Who {
    Replica(usize),
    Plane(usize),
}

/// A connection's two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// From a replica to a control plane.
    Control(usize, usize),
    /// From a replica to all of them.
    EveryControl(usize),
    /// From a control plane to the database.
    Database(usize),
}

/// What a connection suffers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ill {
    Cut,
    Held,
    Slow,
}

/// What goes wrong, or what somebody does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, and a new start.
    Kill(Who),
    /// SIGTERM, and a new start.
    End(Who),
    /// SIGTERM, and again while it waits for its streams, and a new start.
    EndTwice(Who),
    /// SIGSTOP, and SIGCONT.
    Stop(Who),
    /// SIGKILL of all of PostgreSQL, and a new start.
    KillPostgres,
    /// SIGSTOP of all of PostgreSQL, and SIGCONT.
    StopPostgres,
    /// And back to fair weather.
    Network(Link, Ill),
    /// What a process keeps can't be written, and can again.
    Disk(Who, Illness),
    /// The same under all of PostgreSQL, which may end by it.
    PostgresDisk(Illness),
    /// The clock goes on by so many seconds, and back.
    Jump(Who, i64),
    /// The key gets a new secret, which its replicas find in their files.
    Rotate { key: usize, by: usize, grace_seconds: u32 },
    /// Another key takes its place, and it is deleted.
    Replace { key: usize, by: usize },
    /// And enabled again.
    Disable { key: usize, by: usize },
    /// A token is used at all replicas for a while and then revoked.
    Revoke { by: usize, whole_user: bool },
}

/// A fault and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    /// When it begins, after the clients did.
    pub(super) at: Duration,
    /// How long it lasts.
    pub(super) lasts: Duration,
    pub(super) fault: Fault,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) engine: Engine,
    /// `--max-offline` of each replica; as many as there are replicas.
    pub(super) max_offline: Vec<Duration>,
    /// `--drain-timeout` of each replica; as many.
    pub(super) drain_timeout: Vec<Duration>,
    /// Whether a replica's spool is as small as it may be; as many.
    pub(super) tiny_spool: Vec<bool>,
    /// A process whose clock is off all the time, by so many seconds.
    pub(super) skew: Option<(Who, i64)>,
    /// Whether somebody who means harm has a gateway key of his own.
    pub(super) hostile: bool,
    /// In the order of their beginnings.
    pub(super) acts: Vec<Act>,
}

impl Plan {
    pub(super) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let engine = dice.of(&[Engine::Sqlite, Engine::Postgres, Engine::Postgres]);
        let replicas = dice.of(&[2, 3]);
        let max_offline = (0..replicas).map(|_| Duration::from_secs(dice.of(&[1, 900, 900])));
        let mut plan = Self {
            seed,
            engine,
            max_offline: max_offline.collect(),
            drain_timeout: Vec::new(),
            tiny_spool: Vec::new(),
            skew: None,
            hostile: dice.percent(40),
            acts: Vec::new(),
        };
        // Shorter and longer than the longest stream.
        let drain_timeout = (0..replicas).map(|_| dice.of(&[1, 600]));
        plan.drain_timeout = drain_timeout.map(Duration::from_secs).collect();
        plan.tiny_spool = (0..replicas).map(|_| dice.percent(20)).collect();
        if dice.percent(30) {
            let who = dice.of(&[Who::Replica(0), Who::Replica(1), Who::Plane(plan.planes() - 1)]);
            // Control planes agree on the time to within five minutes, or tokens seem to end long before they do.
            let off: &[i64] = match who {
                Who::Replica(_) => &[-1_200, -45, 45, 1_200],
                Who::Plane(_) => &[-240, -45, 45, 240],
            };
            plan.skew = Some((who, dice.of(off)));
        }
        let calm = |by| {
            let whole_user = by > 0;
            (Fault::Revoke { by, whole_user }, 0, 150 + 30 * by)
        };
        let mut taken: Vec<(Fault, usize, usize)> = (0..plan.planes()).map(calm).collect();
        let mut acts = Vec::new();
        if dice.percent(12) {
            // Longer than a replica takes to find out that nobody answers.
            let lasts = dice.of(&[2_500, 14_000]);
            acts.push((
                CALM_MS,
                lasts,
                Fault::Network(Link::EveryControl(0), dice.of(&[Ill::Cut, Ill::Held])),
            ));
        }
        acts.extend((0..DRAWN).filter_map(|_| draw(&mut dice, &plan)));
        for (at, lasts, fault) in acts {
            let free = |(other, from, to): &(Fault, usize, usize)| {
                !meet(fault, *other) || at > to + APART_MS || at + lasts + APART_MS < *from
            };
            if taken.iter().all(free) {
                taken.push((fault, at, at + lasts));
            }
        }
        taken.sort_by_key(|(_, at, _)| *at);
        let millis = |count: usize| Duration::from_millis(count as u64);
        plan.acts = taken
            .into_iter()
            .map(|(fault, at, to)| Act {
                at: millis(at),
                lasts: millis(to - at),
                fault,
            })
            .collect();
        plan
    }

    pub(super) fn replicas(&self) -> usize {
        self.max_offline.len()
    }

    pub(super) fn planes(&self) -> usize {
        match self.engine {
            Engine::Sqlite => 1,
            Engine::Postgres => 2,
        }
    }

    /// By how much this process's clock is off as a rule; `None`: not at all, and nobody ever sets it.
    pub(super) fn clock_of(&self, who: Who) -> Option<i64> {
        let skew = self.skew.filter(|(other, _)| *other == who).map(|(_, seconds)| seconds);
        let sets = |act: &Act| matches!(act.fault, Fault::Jump(other, _) if other == who);
        skew.or_else(|| self.acts.iter().any(sets).then_some(0))
    }

    /// How many tokens are revoked.
    pub(super) fn revocations(&self) -> usize {
        let revokes = |act: &&Act| matches!(act.fault, Fault::Revoke { .. });
        self.acts.iter().filter(revokes).count()
    }
}

/// Which key a replica shows.
pub(super) fn key_of(replica: usize) -> usize {
    usize::from(replica == 1)
}

/// When, for how long (both in milliseconds), and what; `None` where the run has nothing that it could befall.
fn draw(dice: &mut Dice, plan: &Plan) -> Option<(usize, usize, Fault)> {
    let (replica, plane) = (dice.below(plan.replicas()), dice.below(plan.planes()));
    let who = if dice.percent(60) {
        Who::Replica(replica)
    } else {
        Who::Plane(plane)
    };
    let (at, lasts) = (CALM_MS + dice.below(SPAN_MS), 100 + dice.below(1000));
    let fault = match dice.below(100) {
        0..19 => Fault::Kill(who),
        19..23 => Fault::End(who),
        23..25 => Fault::EndTwice(who),
        25..32 => Fault::Stop(who),
        32..35 => Fault::KillPostgres,
        35..37 => Fault::StopPostgres,
        37..41 => Fault::PostgresDisk(illness(dice)),
        41..61 => Fault::Network(
            link(dice, replica, plane),
            dice.of(&[Ill::Cut, Ill::Cut, Ill::Held, Ill::Held, Ill::Slow]),
        ),
        // What a control plane writes is in its database.
        61..69 => match (who, plan.engine) {
            (Who::Plane(_), Engine::Postgres) => Fault::PostgresDisk(illness(dice)),
            (who, _) => Fault::Disk(who, illness(dice)),
        },
        69..77 => Fault::Jump(who, jump(dice)),
        77..81 => Fault::Rotate {
            key: key_of(replica),
            by: plane,
            grace_seconds: dice.of(&[0, 60, 86_400]),
        },
        81..83 => Fault::Replace {
            key: key_of(replica),
            by: plane,
        },
        83..87 => Fault::Disable {
            key: key_of(replica),
            by: plane,
        },
        _ => Fault::Revoke {
            by: plane,
            whole_user: dice.percent(40),
        },
    };
    let of_postgres = matches!(
        fault,
        Fault::KillPostgres | Fault::StopPostgres | Fault::PostgresDisk(_) | Fault::Network(Link::Database(_), _)
    );
    (plan.engine == Engine::Postgres || !of_postgres).then_some((at, lasts, fault))
}

fn link(dice: &mut Dice, replica: usize, plane: usize) -> Link {
    match dice.below(10) {
        0..4 => Link::Control(replica, plane),
        4..7 => Link::EveryControl(replica),
        _ => Link::Database(plane),
    }
}

fn illness(dice: &mut Dice) -> Illness {
    dice.of(&[Illness::Full, Illness::Full, Illness::Failing, Illness::ReadOnly])
}

/// Seconds.
fn jump(dice: &mut Dice) -> i64 {
    let far = dice.of(&[2, 45, 1_200, 5 * 3_600]);
    if dice.percent(50) { far } else { -far }
}

/// Whether two faults may not go on at the same time: both are the same process's, the same connection's or the same key's.
fn meet(one: Fault, other: Fault) -> bool {
    use Fault::{
        Disable, Disk, End, EndTwice, Jump, Kill, KillPostgres, Network, PostgresDisk, Replace, Rotate, Stop,
        StopPostgres,
    };
    match (one, other) {
        (Kill(a) | End(a) | EndTwice(a) | Stop(a), Kill(b) | End(b) | EndTwice(b) | Stop(b))
        | (Jump(a, _), Jump(b, _)) => a == b,
        (KillPostgres | StopPostgres | PostgresDisk(_), KillPostgres | StopPostgres | PostgresDisk(_)) => true,
        (Network(a, _), Network(b, _)) => match (a, b) {
            (Link::Control(a, _), Link::EveryControl(b)) | (Link::EveryControl(b), Link::Control(a, _)) => a == b,
            (a, b) => a == b,
        },
        // A process that finds its disk ill does not start.
        (Disk(a, _), Disk(b, _) | Kill(b) | End(b) | EndTwice(b)) | (Kill(b) | End(b) | EndTwice(b), Disk(a, _)) => {
            a == b
        }
        (
            Rotate { key: a, .. } | Replace { key: a, .. } | Disable { key: a, .. },
            Rotate { key: b, .. } | Replace { key: b, .. } | Disable { key: b, .. },
        ) => a == b,
        _ => false,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?}, {} replicas, max-offline {:?}, drain-timeout {:?}, tiny spools {:?}, clock off {:?}, hostile {}",
            self.engine,
            self.replicas(),
            self.max_offline,
            self.drain_timeout,
            self.tiny_spool,
            self.skew,
            self.hostile
        )?;
        for act in &self.acts {
            writeln!(
                f,
                "  {:>5} ms, for {:>5} ms: {:?}",
                act.at.as_millis(),
                act.lasts.as_millis(),
                act.fault
            )?;
        }
        Ok(())
    }
}
