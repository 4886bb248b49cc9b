//! The course of a run: requests, changes and faults; then everything is repaired, and checked.

use super::changes;
use super::checks;
use super::cluster::Cluster;
use super::faults::{self, Fault};
use super::host;
use super::requests::{self, Arrivals, Open};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// How long it may take until everything is delivered and attached again.
const SETTLE_LIMIT: Duration = Duration::from_secs(240);

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
    /// Copies the spools' cursor files.
    Copy,
}

struct Scenario {
    cluster: Arc<Cluster>,
    faults: Vec<Fault>,
    agenda: BTreeMap<(Instant, u64), Step>,
    open: BTreeMap<u64, Open>,
    arrivals: Arc<Arrivals>,
    under_way: JoinSet<()>,
    /// The longest time between two of a kind, in milliseconds.
    request_ms: u64,
    fault_ms: u64,
    change_ms: u64,
}

/// Runs it from beginning to end.
pub(super) async fn run(cluster: &Arc<Cluster>, faults: Vec<Fault>) {
    let rng = &cluster.rng;
    let mut scenario = Scenario {
        cluster: cluster.clone(),
        faults,
        agenda: BTreeMap::new(),
        open: BTreeMap::new(),
        arrivals: Arc::default(),
        under_way: JoinSet::new(),
        request_ms: rng.pick(&[60, 250, 1000]),
        fault_ms: rng.pick(&[1500, 6000]),
        change_ms: rng.pick(&[800, 4000]),
    };
    (0..cluster.settings.control_planes).for_each(|number| faults::start_control_plane(cluster, number));
    (0..cluster.settings.replicas).for_each(|number| host::start(cluster, number));
    for step in [Step::Request, Step::Fault, Step::Change, Step::Copy] {
        scenario.plan(step, Duration::ZERO);
    }
    scenario.run_until(cluster.begun + cluster.settings.lasts).await;
    scenario.under_way.abort_all();
    while scenario.under_way.join_next().await.is_some() {}
    faults::repair(cluster);
    scenario.settle().await;
    checks::check_end(cluster, &scenario.arrivals).await;
}

impl Scenario {
    fn plan(&mut self, step: Step, after: Duration) {
        self.agenda.insert((Instant::now() + after, self.cluster.next()), step);
    }

    async fn run_until(&mut self, end: Instant) {
        loop {
            let next = self.agenda.first_key_value().map_or(end, |((at, _), _)| (*at).min(end));
            tokio::select! {
                biased;
                () = sleep_until(next) => {}
                () = self.arrivals.bell.notified() => {
                    // Arrivals of one instant are taken together: their order is the runtime's choice.
                    sleep(Duration::from_millis(1)).await;
                    self.take_arrivals();
                    continue;
                }
            }
            if Instant::now() >= end {
                return;
            }
            self.take_arrivals();
            if let Some((_, step)) = self.agenda.pop_first() {
                self.step(step);
            }
            if !self.cluster.violations().is_empty() {
                return;
            }
        }
    }

    fn take_arrivals(&mut self) {
        for (number, open) in self.arrivals.take() {
            let rng = &self.cluster.rng;
            let most = match rng.below(20) {
                0 => 20_000,
                1..5 => 5000,
                _ => 500,
            };
            let after = rng.millis(1, most);
            let recorded = !rng.percent(8);
            self.open.insert(number, open);
            let end = Step::End {
                request: number,
                recorded,
            };
            self.plan(end, after);
        }
    }

    fn step(&mut self, step: Step) {
        let cluster = self.cluster.clone();
        let rng = &cluster.rng;
        match step {
            Step::Request => {
                let host = rng.index(cluster.settings.replicas);
                let known = !rng.percent(4);
                let token = known.then(|| rng.index(cluster.settings.tokens));
                // Often several arrive at once.
                for _ in 0..rng.pick(&[1, 1, 1, 3]) {
                    requests::send(&cluster, &self.arrivals, host, token);
                }
                self.plan(Step::Request, rng.millis(1, self.request_ms));
            }
            Step::End { request, recorded } => self.end(request, recorded),
            Step::Fault => {
                if !self.faults.is_empty() {
                    let fault = rng.pick(&self.faults);
                    self.under_way.spawn(faults::inject(cluster.clone(), fault));
                }
                self.plan(Step::Fault, rng.millis(1, self.fault_ms));
            }
            Step::Change => {
                let control_plane = rng.index(cluster.settings.control_planes);
                let token = rng.index(cluster.settings.tokens);
                match rng.below(4) {
                    0 => self
                        .under_way
                        .spawn(changes::revoke(cluster.clone(), control_plane, token)),
                    1 | 2 => self
                        .under_way
                        .spawn(changes::suspend(cluster.clone(), control_plane, token)),
                    _ => self.under_way.spawn(changes::configure(cluster.clone(), control_plane)),
                };
                self.plan(Step::Change, rng.millis(1, self.change_ms));
            }
            Step::Copy => {
                for (number, host) in cluster.hosts.iter().enumerate() {
                    *host.cursor.lock().unwrap() = std::fs::read(host::directory(&cluster, number).join("cursor")).ok();
                    self.check_bounds(number);
                }
                self.plan(Step::Copy, rng.millis(500, 5000));
            }
        }
    }

    fn check_bounds(&self, host: usize) {
        let cluster = &self.cluster;
        if !cluster.settings.spool_is_small {
            return;
        }
        let bytes = host::spooled(cluster, host);
        if bytes > host::SMALL {
            cluster.violation(format!("the spool of replica {host} has {bytes} bytes"));
        }
    }

    fn end(&mut self, request: u64, recorded: bool) {
        let Some(open) = self.open.remove(&request) else { return };
        let runs = self.cluster.model(open.host).process == Some(open.process);
        // A request that is cancelled before it was sent leaves no record.
        if runs && recorded {
            requests::finish(&self.cluster, request, open);
        }
    }

    async fn settle(&mut self) {
        let cluster = self.cluster.clone();
        self.agenda.clear();
        self.take_arrivals();
        let open: Vec<u64> = self.open.keys().copied().collect();
        open.into_iter().for_each(|request| self.end(request, true));
        let end = Instant::now() + SETTLE_LIMIT;
        while Instant::now() < end && cluster.violations().is_empty() {
            sleep(Duration::from_millis(500)).await;
            self.send_more();
            self.take_arrivals();
            let rest: Vec<u64> = self.open.keys().copied().collect();
            rest.into_iter().for_each(|request| self.end(request, true));
            if self.is_settled() {
                // Denials of tokens that are valid again have expired, and all changes have arrived.
                sleep(cluster.bound() + Duration::from_secs(6)).await;
                if self.is_settled() {
                    return;
                }
            }
        }
    }

    fn is_settled(&self) -> bool {
        let cluster = &self.cluster;
        cluster.hosts.iter().enumerate().all(|(number, host)| {
            // An orderly shutdown may still be going on.
            if cluster.replica(number).is_none() || cluster.model(number).is_stopping {
                host::start(cluster, number);
                return false;
            }
            if host.key_is_deleted.load(Ordering::Relaxed) {
                return cluster.model(number).is_refused();
            }
            let depth = cluster.replica(number).map(|replica| replica.gateway().spool_depth());
            let settled = depth == Some(0) || !checks::has_traffic(cluster, number);
            cluster.model(number).is_attached() && settled && cluster.ledger().waiting(number) == 0
        })
    }

    /// Sends requests to the replicas that still have records to deliver: other records show which ones fail.
    fn send_more(&self) {
        let cluster = &self.cluster;
        for number in 0..cluster.settings.replicas {
            let waits = cluster
                .replica(number)
                .is_some_and(|replica| replica.gateway().spool_depth() > 0);
            if let Some(token) = (0..cluster.settings.tokens)
                .find(|token| cluster.tokens().is_good(*token))
                .filter(|_| waits)
            {
                requests::send(cluster, &self.arrivals, number, Some(token));
            }
        }
    }
}
