//! Everything in a run: its parts, what is broken at present, and what was observed.

use super::control_plane::ControlPlane;
use super::database::Database;
use super::disk::SimulatedDisk;
use super::ledger::Ledger;
use super::model::Model;
use super::network::Connection;
use super::rng::{Rng, Wall};
use super::tokens::Tokens;
use lychgate_gateway::harness::simulated::{Outside, Replica};
use lychgate_link::{EncodedRecord, LinkError, Receipt};
use lychgate_types::clock::Clock;
use lychgate_types::random::SeededRandom;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use lychgate_types::{Ambient, GatewayKeyId, ReplicaId};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The parameters of a run, drawn from its seed.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) control_planes: usize,
    pub(super) replicas: usize,
    pub(super) keys: usize,
    pub(super) tokens: usize,
    pub(super) users: usize,
    pub(super) lease: Duration,
    pub(super) max_offline: Duration,
    pub(super) starts_offline: bool,
    pub(super) syncs_always: bool,
    pub(super) goes_unrecorded: bool,
    pub(super) spool_is_small: bool,
    /// The longest time that a message, and a look-up in the database, takes one way, in milliseconds.
    pub(super) link_ms: u64,
    pub(super) database_ms: u64,
    /// How many percent of answers to calls, and of messages down, get lost.
    pub(super) lost_answers: u64,
    pub(super) lost_messages: u64,
    pub(super) odd_records: u64,
    pub(super) lasts: Duration,
}

pub(super) struct Cluster {
    pub(super) settings: Settings,
    pub(super) rng: Arc<Rng>,
    pub(super) begun: Instant,
    /// The control planes' clocks, which are right, and their randomness.
    pub(super) ambient: Ambient,
    pub(super) outside: Outside,
    pub(super) directory: PathBuf,
    database: Mutex<Database>,
    /// When the database last went down or came up.
    pub(super) database_changed: Mutex<Instant>,
    control_planes: Vec<Mutex<Option<Arc<ControlPlane>>>>,
    pub(super) hosts: Vec<Host>,
    pub(super) ledger: Mutex<Ledger>,
    tokens: Mutex<Tokens>,
    /// A token that the database does not know.
    pub(super) stranger: String,
    /// From now on nothing gets lost.
    pub(super) is_calm: AtomicBool,
    next: AtomicU64,
    log: Mutex<Vec<(Duration, String)>>,
    violations: Mutex<Vec<String>>,
}

/// Where a replica's processes run, one after another.
pub(super) struct Host {
    pub(super) wall: Arc<Wall>,
    pub(super) ambient: Ambient,
    pub(super) disk: SimulatedDisk,
    pub(super) connections: Vec<Connection>,
    pub(super) model: Mutex<Model>,
    pub(super) replica: Mutex<Option<Replica>>,
    /// The key file, and the key that its secret belongs to.
    pub(super) key_file: watch::Sender<GatewayKeySecret>,
    pub(super) key: usize,
    /// When a message to this host last got lost, and which control plane the replica is attached to.
    pub(super) missed: Mutex<Option<Instant>>,
    pub(super) attached_to: Mutex<Option<usize>>,
    /// A copy of the spool's cursor file, from some time ago.
    pub(super) cursor: Mutex<Option<Vec<u8>>>,
    /// When the process started that runs, or ran last.
    pub(super) started: Mutex<Instant>,
    /// When a disk failure last began or ended.
    pub(super) disk_changed: Mutex<Option<Instant>>,
    /// Admitted requests.
    pub(super) admitted: Mutex<u64>,
    /// Whether its gateway key was deleted, so that it never attaches again.
    pub(super) key_is_deleted: AtomicBool,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

impl Cluster {
    pub(super) fn new(settings: Settings, rng: Arc<Rng>, outside: Outside, directory: PathBuf) -> Arc<Self> {
        let begun = Instant::now();
        let wall = Arc::new(Wall::new(begun));
        let ambient = Ambient::new(wall, Arc::new(SeededRandom::new(rng.below(u64::MAX))));
        let database = Database::new(&ambient, settings.tokens, settings.users, settings.keys);
        let host = |number: usize| {
            let wall = Arc::new(Wall::new(begun));
            let random = Arc::new(SeededRandom::new(rng.below(u64::MAX)));
            let key = number % settings.keys;
            Host {
                ambient: Ambient::new(Arc::<Wall>::clone(&wall) as Arc<dyn Clock>, random),
                wall,
                disk: SimulatedDisk::new(rng.clone()),
                connections: (0..settings.control_planes)
                    .map(|_| Connection::new(rng.clone(), settings.link_ms))
                    .collect(),
                model: Mutex::new(Model::new(settings.max_offline, settings.starts_offline)),
                replica: Mutex::default(),
                key_file: watch::Sender::new(database.secret(key)),
                key,
                missed: Mutex::default(),
                attached_to: Mutex::default(),
                cursor: Mutex::default(),
                started: Mutex::new(begun),
                disk_changed: Mutex::default(),
                admitted: Mutex::default(),
                key_is_deleted: AtomicBool::new(false),
            }
        };
        let hosts = (0..settings.replicas).map(host).collect();
        Arc::new(Self {
            hosts,
            control_planes: (0..settings.control_planes).map(|_| Mutex::default()).collect(),
            ledger: Mutex::default(),
            database: Mutex::new(database),
            database_changed: Mutex::new(begun),
            tokens: Mutex::default(),
            stranger: UserTokenSecret::generate(&ambient).expose().to_owned(),
            is_calm: AtomicBool::new(false),
            next: AtomicU64::new(1),
            log: Mutex::default(),
            violations: Mutex::default(),
            settings,
            rng,
            begun,
            ambient,
            outside,
            directory,
        })
    }

    pub(super) fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap()
    }

    /// Whether something gets lost, with this probability.
    pub(super) fn gets_lost(&self, percent: u64) -> bool {
        self.rng.percent(percent) && !self.is_calm.load(Ordering::Relaxed)
    }

    pub(super) fn model(&self, host: usize) -> MutexGuard<'_, Model> {
        self.hosts[host].model.lock().unwrap()
    }

    pub(super) fn control_plane(&self, number: usize) -> Option<Arc<ControlPlane>> {
        self.control_planes[number].lock().unwrap().clone()
    }

    pub(super) fn set_control_plane(&self, number: usize, control_plane: Option<Arc<ControlPlane>>) {
        *self.control_planes[number].lock().unwrap() = control_plane;
    }

    pub(super) fn replica(&self, host: usize) -> Option<Replica> {
        self.hosts[host].replica.lock().unwrap().clone()
    }

    /// Drops all processes. They refer to the cluster, and would keep it and their files for ever.
    pub(super) fn drop_processes(&self) {
        self.control_planes
            .iter()
            .for_each(|control_plane| *control_plane.lock().unwrap() = None);
        let replicas = self.hosts.iter().map(|host| &host.replica);
        replicas.for_each(|replica| *replica.lock().unwrap() = None);
    }

    /// A unique number.
    pub(super) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for a query to the database.
    pub(super) async fn look_up(&self) -> Result<(), LinkError> {
        self.rng.takes(self.settings.database_ms).await;
        if self.database().is_down {
            return Err(LinkError::Internal {
                request_id: String::new(),
            });
        }
        Ok(())
    }

    /// Waits for the database's answer on its way back.
    pub(super) async fn answer(&self) {
        self.rng.takes(self.settings.database_ms).await;
    }

    /// Stores records; `None` if the database fails.
    pub(super) fn ingest(&self, by: (GatewayKeyId, ReplicaId), records: &[EncodedRecord]) -> Option<Receipt> {
        let (new, receipt) = self.database().ingest(by, records)?;
        for (id, model) in new {
            self.log(&format!("{model} is committed"));
            self.ledger().committed(id, &model);
        }
        Some(receipt)
    }

    /// Since when nothing can keep a change from the replica; `None` if something does.
    pub(super) fn sound_since(&self, host: usize) -> Option<Instant> {
        let place = &self.hosts[host];
        let (_, since) = self.model(host).live?;
        let control_plane = (*place.attached_to.lock().unwrap())?;
        let missed = place.missed.lock().unwrap().is_some_and(|at| at >= since);
        let reachable = self.reachable_since(host, control_plane).filter(|_| !missed)?;
        Some(since.max(reachable))
    }

    /// Since when nothing can keep the control plane from answering the replica; `None` if something does.
    pub(super) fn reachable_since(&self, host: usize, control_plane: usize) -> Option<Instant> {
        let process = self.control_plane(control_plane)?;
        let connection = self.hosts[host].connections[control_plane].open_since()?;
        if self.database().is_down {
            return None;
        }
        let database = *self.database_changed.lock().unwrap();
        Some(process.since.max(connection).max(database))
    }

    /// How long a change may take from its commit to a replica while nothing is broken.
    pub(super) fn bound(&self) -> Duration {
        Duration::from_millis(1500 + 12 * self.settings.database_ms + 5 * self.settings.link_ms)
    }

    pub(super) fn log(&self, what: &str) {
        self.log.lock().unwrap().push((self.begun.elapsed(), what.to_owned()));
    }

    pub(super) fn violation(&self, what: String) {
        self.log(&format!("BROKEN: {what}"));
        self.violations.lock().unwrap().push(what);
    }

    /// What was found to be wrong so far.
    pub(super) fn violations(&self) -> Vec<String> {
        for (number, host) in self.hosts.iter().enumerate() {
            let found = std::mem::take(&mut host.model.lock().unwrap().violations);
            found
                .into_iter()
                .for_each(|what| self.violation(format!("replica {number}: {what}")));
        }
        let found = self.ledger().take_violations();
        found.into_iter().for_each(|what| self.violation(what));
        self.violations.lock().unwrap().clone()
    }

    /// Everything that happened. Events of the same instant are sorted: waiters for the same thing are woken in an order that the
    /// runtime chooses.
    pub(super) fn events(&self) -> String {
        let mut log = self.log.lock().unwrap().clone();
        log.sort();
        let mut text = String::new();
        for (at, what) in log {
            writeln!(text, "{:9.3} {what}", at.as_secs_f64()).unwrap();
        }
        text
    }
}
