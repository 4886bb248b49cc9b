//! The processes of one run and the networks between them: one control plane on SQLite or two on one PostgreSQL, replicas that know
//! all of them, and clients' and operators' ways to them, which never fail.

use super::hostile::{self, Hostile};
use super::keys::key_name;
use super::log::Log;
use super::machine::Machine;
use super::node::{Ending, Node};
use super::plan::{Engine, KEYS, Plan, Who, key_of};
use crate::PROGRAM;
use futures_util::future::join_all;
use lychgate_postgres::Server;
use lychgate_scripted::ScriptedProvider;
use lychgate_testkit::app::{PROVIDER_KEY, command};
use lychgate_testkit::db;
use lychgate_testkit::network::{Network, Target};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, sleep_until};

/// Users whose tokens are never revoked.
pub(super) const GOOD: usize = 3;
/// How long a replica may take to be ready when all is well.
const SETTLES: Duration = Duration::from_secs(30);
/// A replica that says for so long that it is ready is so: what broke while nothing passed is noticed a moment after that.
const STEADY: Duration = Duration::from_millis(300);
/// How often something is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Everything of one run.
pub(super) struct World {
    pub(super) planes: Vec<Node>,
    pub(super) replicas: Vec<Node>,
    /// By replica, then by control plane.
    pub(super) controls: Vec<Vec<Network>>,
    /// By control plane; none on SQLite.
    pub(super) databases: Vec<Network>,
    /// The first [`GOOD`] are good to the end.
    pub(super) tokens: Vec<Token>,
    pub(super) hostile: Option<Hostile>,
    pub(super) provider: ScriptedProvider,
    pub(super) machine: Arc<Machine>,
    pub(super) log: Log,
    /// Held while something is done to PostgreSQL.
    pub(super) postgres_turn: tokio::sync::Mutex<()>,
    /// Held while a key is changed: how often it was replaced, by key.
    pub(super) key_turns: [tokio::sync::Mutex<usize>; KEYS],
    /// The token of the deployment's owner.
    pub(super) owner: String,
    /// The database's name on PostgreSQL.
    name: Option<String>,
    directory: TempDir,
}

/// A user's only token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) user: String,
    pub(super) id: String,
    pub(super) secret: String,
}

impl World {
    /// Starts everything, and waits until all replicas are ready.
    pub(super) async fn start(plan: &Plan, machine: &Arc<Machine>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (url, socket) = machine.postgres(|server| (server.url(), server.socket()));
        let name = match plan.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(db::clone_on(&url).await),
        };
        let mut world = Self {
            planes: Vec::new(),
            replicas: Vec::new(),
            controls: Vec::new(),
            databases: Vec::new(),
            tokens: Vec::new(),
            hostile: None,
            provider: ScriptedProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap(),
            machine: Arc::clone(machine),
            log: Log::default(),
            postgres_turn: tokio::sync::Mutex::default(),
            key_turns: Default::default(),
            owner: String::new(),
            name,
            directory,
        };
        for plane in 0..plan.planes() {
            let mut database = None;
            if let Some(name) = &world.name {
                let network = Network::start().await;
                network.lead_to(Target::Unix(socket.clone()));
                database = Some(format!("postgres://lychgate@{}/{name}", network.addr()));
                world.databases.push(network);
            }
            world.planes.push(world.plane(plan, plane, database));
        }
        for replica in 0..plan.replicas() {
            let mut networks = Vec::new();
            for _ in 0..plan.planes() {
                networks.push(Network::start().await);
            }
            world.replicas.push(world.replica(plan, replica, &networks));
            world.controls.push(networks);
        }
        world.found(plan).await;
        world
    }

    fn plane(&self, plan: &Plan, number: usize, database: Option<String>) -> Node {
        let home = self.directory.path().to_owned();
        let name = format!("plane-{number}");
        let skew = plan.clock_of(Who::Plane(number));
        Node::new(
            name.clone(),
            self.directory.path(),
            &self.machine.disks,
            skew,
            move || {
                let mut command = command(Path::new(PROGRAM), &home);
                command.args(["server", "--listen", "127.0.0.1:0", "--data-dir"]);
                command.arg(home.join(&name));
                if let Some(url) = &database {
                    command.env("LYCHGATE_DATABASE_URL", url);
                }
                if number > 0 {
                    command.arg("--master-key-file").arg(home.join("plane-0/master-key"));
                }
                command
            },
        )
    }

    fn replica(&self, plan: &Plan, number: usize, controls: &[Network]) -> Node {
        let home = self.directory.path().to_owned();
        let name = format!("replica-{number}");
        let skew = plan.clock_of(Who::Replica(number));
        let max_offline = format!("{}s", plan.max_offline[number].as_secs());
        let drain_timeout = format!("{}s", plan.drain_timeout[number].as_secs());
        let urls: Vec<_> = controls
            .iter()
            .map(|network| format!("http://{}", network.addr()))
            .collect();
        let key_file = self.key_file(key_of(number));
        let tiny_spool = plan.tiny_spool[number];
        Node::new(
            name.clone(),
            self.directory.path(),
            &self.machine.disks,
            skew,
            move || {
                let mut command = command(Path::new(PROGRAM), &home);
                command.args([
                    "gateway",
                    "--listen",
                    "127.0.0.1:0",
                    "--name",
                    &name,
                    "--max-offline",
                    &max_offline,
                    "--drain-timeout",
                    &drain_timeout,
                ]);
                command.arg("--key-file").arg(&key_file);
                if tiny_spool {
                    command.args(["--spool-max-bytes", "1MiB"]);
                }
                command.arg("--spool-dir").arg(home.join(format!("{name}-spool")));
                for url in &urls {
                    command.args(["--control-url", url]);
                }
                command
            },
        )
    }

    /// Starts the processes for the first time, and makes what they need.
    async fn found(&mut self, plan: &Plan) {
        assert!(self.start_plane(0).await, "{}", self.planes[0].process().stderr());
        let owner = self.directory.path().join("plane-0/owner-token");
        std::fs::read_to_string(owner)
            .unwrap()
            .trim()
            .clone_into(&mut self.owner);
        let others = join_all((1..self.planes.len()).map(|plane| self.start_plane(plane)));
        let tokens = self.make_tokens(GOOD + plan.revocations());
        let (others, tokens, ()) = tokio::join!(others, tokens, self.make_the_rest());
        assert!(!others.contains(&false), "{}", self.planes[1].process().stderr());
        self.tokens = tokens;
        if plan.hostile {
            self.hostile = Some(self.make_hostile().await);
        }
        let starts = (0..self.replicas.len()).map(|replica| self.replicas[replica].start());
        for started in join_all(starts).await {
            started.expect("a replica starts");
        }
        let ready = join_all(self.everybody().map(|replica| self.ready_within(replica, SETTLES))).await;
        assert!(!ready.contains(&false), "not ready at the start");
    }

    async fn make_tokens(&self, count: usize) -> Vec<Token> {
        join_all((0..count).map(|number| self.make_token(format!("user-{number}")))).await
    }

    async fn make_token(&self, user: String) -> Token {
        self.make("users", json!({"username": user, "role": "member"})).await;
        let made = self.make("tokens", json!({"user": user, "name": "only"})).await;
        Token {
            user,
            id: text(&made["id"]),
            secret: text(&made["token"]),
        }
    }

    async fn make_hostile(&self) -> Hostile {
        let made = self.make("ai-gateway/keys", json!({"name": hostile::USER})).await;
        let mut controls = Vec::new();
        for plane in &self.planes {
            let network = Network::start().await;
            network.lead_to(Target::Tcp(address(&plane.url())));
            controls.push(network);
        }
        Hostile {
            key: text(&made["key"]),
            token: self.make_token(hostile::USER.to_owned()).await,
            controls,
        }
    }

    async fn make_the_rest(&self) {
        for (name, path) in [("anthropic", ""), ("openai", "/v1")] {
            let base_url = format!("http://{}{path}", self.provider.addr());
            let wanted = json!({"name": name, "type": name, "base_url": base_url, "keys": [PROVIDER_KEY], "allow_private": true});
            self.make("ai-gateway/providers", wanted).await;
        }
        for key in 0..KEYS {
            let made = self.make("ai-gateway/keys", json!({"name": key_name(key, 0)})).await;
            self.write_key(key, &text(&made["key"]));
        }
    }

    /// Starts a control plane and leads all replicas to it; whether it came to listen.
    pub(super) async fn start_plane(&self, number: usize) -> bool {
        let Some(url) = self.planes[number].start().await else {
            return false;
        };
        let hostile = self.hostile.iter().map(|hostile| &hostile.controls);
        for networks in self.controls.iter().chain(hostile) {
            networks[number].lead_to(Target::Tcp(address(&url)));
        }
        true
    }

    pub(super) fn node(&self, who: Who) -> &Node {
        match who {
            Who::Replica(number) => &self.replicas[number],
            Who::Plane(number) => &self.planes[number],
        }
    }

    /// All processes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.planes.iter().chain(&self.replicas)
    }

    /// Returns once all troubles are over and every replica is ready.
    pub(super) async fn settled(&self) {
        sleep_until(self.log.last_trouble()).await;
        let ready = self.everybody().map(async |replica| {
            if !self.ready_within(replica, SETTLES).await {
                self.log
                    .wrong(format!("replica {replica} is not ready, all being well"));
            }
        });
        join_all(ready).await;
    }

    /// The numbers of all replicas.
    pub(super) fn everybody(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.replicas.len()
    }

    /// Whether a replica is attached and ready, and stays so; it is asked until it is or the time is over.
    pub(super) async fn ready_within(&self, replica: usize, limit: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            let since = self.replicas[replica].ready_since().await;
            if since.is_some_and(|since| since.max(began).elapsed() >= STEADY) {
                return true;
            }
            sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Does something that blocks to PostgreSQL.
    pub(super) async fn postgres(&self, work: impl FnOnce(&mut Server) + Send + 'static) {
        let machine = Arc::clone(&self.machine);
        tokio::task::spawn_blocking(move || machine.postgres(work))
            .await
            .unwrap();
    }

    /// Looks after PostgreSQL until it answers: where it can't write its log of changes it ends, and does so when it has found out.
    pub(super) async fn postgres_answers(&self, limit: Duration) {
        let url = self.machine.postgres(|server| server.url());
        let until = Instant::now() + limit;
        loop {
            self.postgres(|server| server.ensure_started().expect("PostgreSQL recovers"))
                .await;
            if db::answers(&url).await {
                return;
            }
            assert!(Instant::now() < until, "PostgreSQL does not recover");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Ends all control planes, and removes the database on PostgreSQL.
    pub(super) async fn tear_down(&self) {
        for plane in &self.planes {
            plane.ends(Ending::Ended);
        }
        join_all(self.planes.iter().map(async |plane| plane.process().terminate().await)).await;
        if let Some(name) = &self.name {
            let url = self.machine.postgres(|server| server.url());
            db::remove_from(&url, name).await;
        }
    }

    /// The directory for all files of the run.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where a replica puts what it can't deliver.
    pub(super) fn set_aside(&self, replica: usize) -> PathBuf {
        self.directory.path().join(format!("replica-{replica}-spool/set-aside"))
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
