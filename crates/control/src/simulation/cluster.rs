//! All of a run: what it is made of, what is wrong with it at present, and what was seen.

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
use lychgate_types::Ambient;
use lychgate_types::clock::Clock;
use lychgate_types::random::SeededRandom;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a run is laid out; drawn from its seed.
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
    /// Longest ways of a message and of a look-up in the database, in milliseconds.
    pub(super) link_ms: u64,
    pub(super) database_ms: u64,
    /// Times of a hundred that the answer to a call, or a message down, gets lost.
    pub(super) lost_answers: u64,
    pub(super) lost_messages: u64,
    pub(super) odd_records: u64,
    pub(super) lasts: Duration,
}

pub(super) struct Cluster {
    pub(super) settings: Settings,
    pub(super) rng: Arc<Rng>,
    pub(super) begun: Instant,
    /// Of the control planes, whose clocks are right.
    pub(super) ambient: Ambient,
    pub(super) outside: Outside,
    pub(super) directory: PathBuf,
    database: Mutex<Database>,
    /// When the database went down or came up last.
    pub(super) database_changed: Mutex<Instant>,
    control_planes: Vec<Mutex<Option<Arc<ControlPlane>>>>,
    pub(super) hosts: Vec<Host>,
    pub(super) ledger: Mutex<Ledger>,
    tokens: Mutex<Tokens>,
    /// A token that the database does not know.
    pub(super) stranger: String,
    /// No message gets lost any more.
    pub(super) is_calm: AtomicBool,
    next: AtomicU64,
    log: Mutex<Vec<(Duration, String)>>,
    violations: Mutex<Vec<String>>,
}

/// Where a replica runs, again and again.
pub(super) struct Host {
    pub(super) wall: Arc<Wall>,
    pub(super) ambient: Ambient,
    pub(super) disk: SimulatedDisk,
    pub(super) connections: Vec<Connection>,
    pub(super) model: Mutex<Model>,
    pub(super) replica: Mutex<Option<Replica>>,
    /// The key file; and which key's secret it holds.
    pub(super) key_file: watch::Sender<GatewayKeySecret>,
    pub(super) key: usize,
    /// When a message was lost on its way here, and which control plane is attached to.
    pub(super) missed: Mutex<Option<Instant>>,
    pub(super) attached_to: Mutex<Option<usize>>,
    /// What the cursor was once.
    pub(super) cursor: Mutex<Option<Vec<u8>>>,
    /// When trouble with the disk began or ended last.
    pub(super) disk_changed: Mutex<Option<Instant>>,
    /// Requests that were admitted.
    pub(super) admitted: Mutex<u64>,
    /// Whether its gateway key was deleted, so that nothing becomes of it any more.
    pub(super) is_out: AtomicBool,
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
                disk_changed: Mutex::default(),
                admitted: Mutex::default(),
                is_out: AtomicBool::new(false),
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

    /// Whether something gets lost, of which so many of a hundred do.
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

    /// Lets go of all processes. They hold on to the cluster, and would keep it and their files for ever.
    pub(super) fn take_apart(&self) {
        self.control_planes
            .iter()
            .for_each(|control_plane| *control_plane.lock().unwrap() = None);
        let replicas = self.hosts.iter().map(|host| &host.replica);
        replicas.for_each(|replica| *replica.lock().unwrap() = None);
    }

    /// A number that no other thing has.
    pub(super) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for the database.
    pub(super) async fn look_up(&self) -> Result<(), LinkError> {
        self.rng.takes(self.settings.database_ms).await;
        if self.database().is_down {
            return Err(LinkError::Internal {
                request_id: String::new(),
            });
        }
        Ok(())
    }

    /// Waits for an answer of the database on its way.
    pub(super) async fn answer(&self) {
        self.rng.takes(self.settings.database_ms).await;
    }

    /// Takes records in; `None`: it fails inside.
    pub(super) fn ingest(&self, records: &[EncodedRecord]) -> Option<Receipt> {
        let (new, receipt) = self.database().ingest(records)?;
        for (id, model) in new {
            self.log(&format!("{model} is committed"));
            self.ledger().committed(id, &model);
        }
        Some(receipt)
    }

    /// Since when nothing that is wrong can keep a change from the replica.
    pub(super) fn sound_since(&self, host: usize) -> Option<Instant> {
        let place = &self.hosts[host];
        let (_, since) = self.model(host).live?;
        let control_plane = (*place.attached_to.lock().unwrap())?;
        let process = self.control_plane(control_plane)?;
        let connection = place.connections[control_plane].open_since()?;
        let missed = place.missed.lock().unwrap().is_some_and(|at| at >= since);
        if missed || self.database().is_down {
            return None;
        }
        let database = *self.database_changed.lock().unwrap();
        Some(since.max(process.since).max(connection).max(database))
    }

    /// How long a change may take from its commit to a replica while nothing is wrong.
    pub(super) fn bound(&self) -> Duration {
        Duration::from_millis(1500 + 12 * self.settings.database_ms + 5 * self.settings.link_ms)
    }

    pub(super) fn log(&self, what: &str) {
        self.log.lock().unwrap().push((self.begun.elapsed(), what.to_owned()));
    }

    pub(super) fn broken(&self, what: String) {
        self.log(&format!("BROKEN: {what}"));
        self.violations.lock().unwrap().push(what);
    }

    /// What was broken so far.
    pub(super) fn violations(&self) -> Vec<String> {
        for (number, host) in self.hosts.iter().enumerate() {
            let found = std::mem::take(&mut host.model.lock().unwrap().violations);
            found
                .into_iter()
                .for_each(|what| self.broken(format!("replica {number}: {what}")));
        }
        let found = self.ledger().take_violations();
        found.into_iter().for_each(|what| self.broken(what));
        self.violations.lock().unwrap().clone()
    }

    /// All that happened. In one instant several things may have happened in any order: waiters for the same thing are woken
    /// as the runtime likes.
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
