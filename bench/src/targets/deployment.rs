//! Lychgate as it is used: a database, control planes on it, and standalone replicas with one gateway key, each a
//! process of its own. What is started first knows one provider and one owner.

use crate::args::Kind;
use crate::host::machine::{Core, Cores};
use crate::host::postgres::Postgres;
use crate::host::process::{Process, free_port};
use crate::targets::api::{call, is_ready};
use crate::targets::target::Target;
use anyhow::Context as _;
use bytes::Bytes;
use hyper::Method;
use lychgate_types::{Ambient, secret::UserTokenSecret};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What is needed to start one.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// The `lychgate` binary.
    pub(crate) binary: PathBuf,
    /// The directory of PostgreSQL's binaries; none: SQLite.
    pub(crate) postgres: Option<PathBuf>,
    pub(crate) cores: Cores,
    /// Where the processes have their files.
    pub(crate) dir: PathBuf,
}

/// All processes but the provider. Dropping it stops them.
pub(crate) struct Deployment {
    // Stopped in this order, so that replicas can deliver their last records.
    replicas: Vec<Replica>,
    servers: Vec<Server>,
    postgres: Option<Postgres>,
    ground: Ground,
    owner: String,
    key_file: PathBuf,
}

struct Server {
    process: Process,
    address: SocketAddr,
    dir: PathBuf,
}

/// A standalone replica.
pub(crate) struct Replica {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Replica {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged, from the end.
    pub(crate) fn output(&self) -> String {
        self.process.output()
    }
}

impl Deployment {
    /// Starts database and control plane, and makes what a request needs: a provider, a gateway key, an owner.
    pub(crate) async fn start(ground: Ground, provider: SocketAddr) -> anyhow::Result<Self> {
        let dir = ground.dir.join(format!("lychgate-{}", free_port()?));
        std::fs::create_dir(&dir).context("can't make a directory")?;
        let postgres = match &ground.postgres {
            Some(binaries) => Some(Postgres::start(binaries, ground.cores.control).await?),
            None => None,
        };
        let secret = UserTokenSecret::generate(&Ambient::system());
        let mut deployment = Self {
            replicas: Vec::new(),
            servers: Vec::new(),
            postgres,
            key_file: dir.join("gateway-key"),
            ground: Ground { dir, ..ground },
            owner: secret.expose().to_owned(),
        };
        deployment.add_server().await?;
        let wanted = json!({
            "name": "openai", "type": "openai", "base_url": format!("http://{provider}/v1"),
            "keys": ["sk-bench-0123456789abcdef0123456789abcdef"], "allow_private": true,
        });
        deployment.post("/api/v1/ai-gateway/providers", wanted).await?;
        let answer = deployment
            .post("/api/v1/ai-gateway/keys", json!({"name": "bench"}))
            .await?;
        let key = answer["key"].as_str().context("no key in the answer")?;
        std::fs::write(&deployment.key_file, key).context("can't write the key")?;
        Ok(deployment)
    }

    /// Starts one more control plane on the same database.
    pub(crate) async fn add_server(&mut self) -> anyhow::Result<()> {
        let dir = self.ground.dir.join(format!("server-{}", self.servers.len()));
        std::fs::create_dir(&dir).context("can't make a directory")?;
        let address = (Ipv4Addr::LOCALHOST, free_port()?).into();
        let process = self.serve(address, &dir)?;
        self.servers.push(Server { process, address, dir });
        self.server_ready(self.servers.len() - 1).await
    }

    fn serve(&self, address: SocketAddr, dir: &Path) -> anyhow::Result<Process> {
        Process::start(
            "server",
            self.ground.cores.control,
            dir,
            &self.ground.binary,
            |command| {
                command.args(["server", "--listen", &address.to_string(), "--data-dir"]);
                command.arg(dir.join("data"));
                if let Some(first) = self.servers.first().filter(|first| first.dir != dir) {
                    command.arg("--master-key-file").arg(first.dir.join("data/master-key"));
                }
                command.env("LYCHGATE_BOOTSTRAP_TOKEN", &self.owner);
                if let Some(postgres) = &self.postgres {
                    command.env("LYCHGATE_DATABASE_URL", postgres.url());
                }
            },
        )
    }

    /// Waits until a control plane takes requests.
    pub(crate) async fn server_ready(&mut self, at: usize) -> anyhow::Result<()> {
        let server = self.servers.get_mut(at).context("no such control plane")?;
        let address = server.address;
        let ready = async || is_ready(address).await.then_some(());
        server.process.wait_until(ready).await
    }

    /// Kills a control plane without a word.
    pub(crate) fn kill_server(&mut self, at: usize) -> anyhow::Result<()> {
        let server = self.servers.get_mut(at).context("no such control plane")?;
        server.process.kill();
        Ok(())
    }

    /// Starts a control plane that was killed again, at its old address.
    pub(crate) fn restart_server(&mut self, at: usize) -> anyhow::Result<()> {
        let server = self.servers.get(at).context("no such control plane")?;
        let process = self.serve(server.address, &server.dir)?;
        let server = self.servers.get_mut(at).context("no such control plane")?;
        server.process = process;
        Ok(())
    }

    pub(crate) fn server_pid(&self) -> Option<u32> {
        self.servers.first().map(|server| server.process.id())
    }

    /// Where a replica keeps its records.
    pub(crate) fn spool_of(&self, replica: usize) -> PathBuf {
        self.ground.dir.join(format!("replica-{replica}")).join("spool")
    }

    /// Starts further replicas at the same time, attached to the first control plane, and waits until they take requests.
    pub(crate) async fn start_replicas(&mut self, count: usize, flags: &[&str]) -> anyhow::Result<()> {
        let first = self.servers.first().context("no control plane")?.address;
        let mut starting = Vec::with_capacity(count);
        for number in self.replicas.len()..self.replicas.len() + count {
            let spool = self.spool_of(number);
            let dir = spool.parent().unwrap_or(&spool);
            std::fs::create_dir_all(dir).context("can't make a directory")?;
            let core: Option<Core> = self.ground.cores.measured;
            let process = Process::start("gateway", core, dir, &self.ground.binary, |command| {
                command.args([
                    "gateway",
                    "--listen",
                    "127.0.0.1:0",
                    "--name",
                    &format!("replica-{number}"),
                ]);
                command.args(["--control-url", &format!("http://{first}"), "--key-file"]);
                command.arg(&self.key_file).arg("--spool-dir").arg(&spool).args(flags);
            })?;
            starting.push(process);
        }
        for mut process in starting {
            let address = process.address().await?;
            let ready = async || is_ready(address).await.then_some(());
            process.wait_until(ready).await?;
            self.replicas.push(Replica { process, address });
        }
        Ok(())
    }

    pub(crate) fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// Kills all replicas at once, for nothing more is wanted of them: asked to end, hundreds take long.
    pub(crate) fn kill_replicas(&mut self) {
        for replica in &self.replicas {
            replica.process.signal(Signal::SIGKILL);
        }
        self.replicas.clear();
    }

    /// Stops the replicas, which deliver what they still hold.
    pub(crate) fn stop_replicas(&mut self) {
        self.replicas.clear();
    }

    /// Where a request of this token goes in at a replica.
    pub(crate) fn target(&self, replica: usize, token: &str) -> anyhow::Result<Target> {
        let replica = self.replicas.get(replica).context("no such replica")?;
        Ok(Target {
            kind: Kind::Lychgate,
            address: replica.address,
            prefix: "/ai/openai",
            token: token.to_owned(),
            measured: Some(replica.pid()),
            control: self.server_pid(),
        })
    }

    /// The owner's token.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    pub(crate) fn server_address(&self, at: usize) -> anyhow::Result<SocketAddr> {
        Ok(self.servers.get(at).context("no such control plane")?.address)
    }

    /// What the gateway key is.
    pub(crate) fn key(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(&self.key_file).context("can't read the key")
    }

    /// Calls the API of a control plane as the owner.
    pub(crate) async fn call(
        &self,
        server: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Bytes> {
        call(self.server_address(server)?, method, path, &self.owner, body).await
    }

    /// Posts to the first control plane.
    pub(crate) async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let answer = self.call(0, Method::POST, path, Some(body)).await?;
        serde_json::from_slice(&answer).with_context(|| format!("what {path} answers does not read"))
    }

    /// Gets from the first control plane.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.call(0, Method::GET, path, None).await?;
        serde_json::from_slice(&answer).with_context(|| format!("what {path} answers does not read"))
    }

    /// Runs SQL in the database, past the product; each text in a transaction of its own. Gives what it answers, bare.
    pub(crate) async fn sql(&self, texts: &[&str]) -> anyhow::Result<String> {
        let (Some(postgres), Some(binaries)) = (&self.postgres, &self.ground.postgres) else {
            anyhow::bail!("this needs PostgreSQL");
        };
        let mut psql = tokio::process::Command::new(binaries.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &postgres.url()]);
        for text in texts {
            psql.args(["-c", text]);
        }
        let done = psql.kill_on_drop(true).output().await.context("can't start psql")?;
        if !done.status.success() {
            anyhow::bail!("psql: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }
}
