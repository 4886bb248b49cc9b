//! The course of a run: requests, changes and faults, then peace, and a look at what is left.

use super::changes;
use super::faults::{self, Fault};
use super::machine;
use super::requests::{self, Arrivals, Open};
use super::verdict;
use super::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// How long it may take until nothing waits any more.
const PEACE: Duration = Duration::from_secs(240);

#[derive(Debug, Clone, Copy)]
enum Step {
    Request,
    /// A request ends, with or without its record.
    End {
        request: u64,
        recorded: bool,
    },
    Fault,
    Change,
    /// A copy of the cursors is made.
    Copy,
}

struct Story {
    world: Arc<World>,
    faults: Vec<Fault>,
    agenda: BTreeMap<(Instant, u64), Step>,
    open: BTreeMap<u64, Open>,
    arrivals: Arc<Arrivals>,
    under_way: JoinSet<()>,
    /// Longest waits between two of a kind, in milliseconds.
    request_ms: u64,
    fault_ms: u64,
    change_ms: u64,
}

/// Runs it from the beginning to the end.
pub(super) async fn run(world: &Arc<World>, faults: Vec<Fault>) {
    let dice = &world.dice;
    let mut story = Story {
        world: world.clone(),
        faults,
        agenda: BTreeMap::new(),
        open: BTreeMap::new(),
        arrivals: Arc::default(),
        under_way: JoinSet::new(),
        request_ms: dice.pick(&[60, 250, 1000]),
        fault_ms: dice.pick(&[1500, 6000]),
        change_ms: dice.pick(&[800, 4000]),
    };
    (0..world.settings.planes).for_each(|number| faults::begin(world, number));
    (0..world.settings.replicas).for_each(|number| machine::start(world, number));
    for step in [Step::Request, Step::Fault, Step::Change, Step::Copy] {
        story.plan(step, Duration::ZERO);
    }
    story.go_on(world.begun + world.settings.lasts).await;
    story.under_way.abort_all();
    while story.under_way.join_next().await.is_some() {}
    faults::heal(world);
    story.make_peace().await;
    verdict::judge(world, &story.arrivals).await;
}

impl Story {
    fn plan(&mut self, step: Step, after: Duration) {
        self.agenda.insert((Instant::now() + after, self.world.next()), step);
    }

    async fn go_on(&mut self, end: Instant) {
        loop {
            let next = self.agenda.first_key_value().map_or(end, |((at, _), _)| (*at).min(end));
            tokio::select! {
                biased;
                () = sleep_until(next) => {}
                () = self.arrivals.bell.notified() => {
                    // All that comes in this instant is taken together: its order is the runtime's.
                    sleep(Duration::from_millis(1)).await;
                    self.take_in();
                    continue;
                }
            }
            if Instant::now() >= end {
                return;
            }
            self.take_in();
            if let Some((_, step)) = self.agenda.pop_first() {
                self.step(step);
            }
            if !self.world.violations().is_empty() {
                return;
            }
        }
    }

    fn take_in(&mut self) {
        for (number, open) in self.arrivals.take() {
            let dice = &self.world.dice;
            let most = match dice.below(20) {
                0 => 20_000,
                1..5 => 5000,
                _ => 500,
            };
            let after = dice.millis(1, most);
            let recorded = !dice.percent(8);
            self.open.insert(number, open);
            let end = Step::End {
                request: number,
                recorded,
            };
            self.plan(end, after);
        }
    }

    fn step(&mut self, step: Step) {
        let world = self.world.clone();
        let dice = &world.dice;
        match step {
            Step::Request => {
                let machine = dice.index(world.settings.replicas);
                let known = !dice.percent(4);
                let token = known.then(|| dice.index(world.settings.tokens));
                // Often several come at once.
                for _ in 0..dice.pick(&[1, 1, 1, 3]) {
                    requests::come(&world, &self.arrivals, machine, token);
                }
                self.plan(Step::Request, dice.millis(1, self.request_ms));
            }
            Step::End { request, recorded } => self.end(request, recorded),
            Step::Fault => {
                if !self.faults.is_empty() {
                    let fault = dice.pick(&self.faults);
                    self.under_way.spawn(faults::happen(world.clone(), fault));
                }
                self.plan(Step::Fault, dice.millis(1, self.fault_ms));
            }
            Step::Change => {
                let plane = dice.index(world.settings.planes);
                let token = dice.index(world.settings.tokens);
                match dice.below(4) {
                    0 => self.under_way.spawn(changes::revoke(world.clone(), plane, token)),
                    1 | 2 => self.under_way.spawn(changes::suspend(world.clone(), plane, token)),
                    _ => self.under_way.spawn(changes::configure(world.clone(), plane)),
                };
                self.plan(Step::Change, dice.millis(1, self.change_ms));
            }
            Step::Copy => {
                for (number, machine) in world.machines.iter().enumerate() {
                    *machine.cursor.lock().unwrap() =
                        std::fs::read(machine::directory(&world, number).join("cursor")).ok();
                    self.check_bounds(number);
                }
                self.plan(Step::Copy, dice.millis(500, 5000));
            }
        }
    }

    fn check_bounds(&self, machine: usize) {
        let world = &self.world;
        if !world.settings.spool_is_small {
            return;
        }
        let bytes = machine::spooled(world, machine);
        if bytes > machine::SMALL {
            world.broken(format!("the spool of replica {machine} has {bytes} bytes"));
        }
    }

    fn end(&mut self, request: u64, recorded: bool) {
        let Some(open) = self.open.remove(&request) else { return };
        let runs = self.world.mirror(open.machine).process == Some(open.process);
        // A request that is given up before it went anywhere leaves no record.
        if runs && recorded {
            requests::finish(&self.world, request, open);
        }
    }

    async fn make_peace(&mut self) {
        let world = self.world.clone();
        self.agenda.clear();
        self.take_in();
        let open: Vec<u64> = self.open.keys().copied().collect();
        open.into_iter().for_each(|request| self.end(request, true));
        let end = Instant::now() + PEACE;
        while Instant::now() < end && world.violations().is_empty() {
            sleep(Duration::from_millis(500)).await;
            self.pass_by();
            self.take_in();
            let rest: Vec<u64> = self.open.keys().copied().collect();
            rest.into_iter().for_each(|request| self.end(request, true));
            if self.at_peace() {
                // What is said of tokens that work again is forgotten, and all changes have come.
                sleep(world.bound() + Duration::from_secs(6)).await;
                if self.at_peace() {
                    return;
                }
            }
        }
    }

    fn at_peace(&self) -> bool {
        let world = &self.world;
        world.machines.iter().enumerate().all(|(number, machine)| {
            // An orderly end may still be under way.
            if world.replica(number).is_none() || world.mirror(number).is_stopping {
                machine::start(world, number);
                return false;
            }
            if machine.is_out.load(Ordering::Relaxed) {
                return world.mirror(number).is_refused();
            }
            let depth = world.replica(number).map(|replica| replica.gateway().spool_depth());
            let settled = depth == Some(0) || !verdict::has_traffic(world, number);
            world.mirror(number).is_attached() && settled && world.books().waiting(number) == 0
        })
    }

    /// Has further records come to those that still wait.
    fn pass_by(&self) {
        let world = &self.world;
        for number in 0..world.settings.replicas {
            let waits = world
                .replica(number)
                .is_some_and(|replica| replica.gateway().spool_depth() > 0);
            if let Some(token) = (0..world.settings.tokens)
                .find(|token| world.tokens().is_good(*token))
                .filter(|_| waits)
            {
                requests::come(world, &self.arrivals, number, Some(token));
            }
        }
    }
}
