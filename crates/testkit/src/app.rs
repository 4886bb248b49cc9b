//! The whole product as users run it: a control plane, replicas, the command line, and a scripted provider.

use crate::http::{self, Call};
use crate::metrics::Scrape;
use crate::process::{Finished, Process, finish};
use crate::wait::eventually;
use lychgate_scripted::ScriptedProvider;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The provider key that the scripted providers are configured with.
pub const PROVIDER_KEY: &str = "sk-testkit-0123456789-central";

/// A control plane with two providers (`anthropic`, `openai`) that are scripted, and a member (`alice`) with a token.
#[derive(Debug)]
pub struct App {
    /// The control plane.
    pub server: Process,
    /// Its address, `http://…`.
    pub url: String,
    /// The first owner's token.
    pub owner: String,
    /// The member's token.
    pub token: String,
    /// The scripted provider behind the gateway.
    pub scripted: ScriptedProvider,
    program: PathBuf,
    database_url: Option<String>,
    directory: TempDir,
}

/// A running replica.
#[derive(Debug)]
pub struct Replica {
    /// The process.
    pub process: Process,
    /// Its address, `http://…`.
    pub url: String,
}

/// The program with nothing of this process's environment but the path, and with backtraces enabled, so that a test would see one.
/// `home` is where it may keep files.
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("RUST_BACKTRACE", "1").current_dir(home);
    command
}

impl App {
    /// Starts everything on the database; `None`: SQLite in the data directory.
    pub async fn start(program: &str, database_url: Option<&str>) -> Self {
        let scripted = ScriptedProvider::start(([127, 0, 0, 1], 0).into())
            .await
            .expect("the scripted provider starts");
        let mut app = Self::bare(program, database_url, scripted).await;
        app.set_up().await;
        app
    }

    /// What `/readyz` of the control plane says, or a part of it (`/gateway`): status and text.
    pub async fn readiness(&self, part: &str) -> (u16, String) {
        probe(&self.url, part).await
    }

    /// Only the control plane: no provider, no member (so [`Self::token`] is empty).
    pub async fn bare(program: &str, database_url: Option<&str>, scripted: ScriptedProvider) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = PathBuf::from(program);
        let database_url = database_url.map(str::to_owned);
        let server = server(&program, directory.path(), database_url.as_deref(), "127.0.0.1:0");
        let url = server.line("listening on ").await;
        let owner = std::fs::read_to_string(directory.path().join("data/owner-token")).expect("the owner's token");
        let owner = owner.trim().to_owned();
        Self {
            server,
            url,
            owner,
            token: String::new(),
            scripted,
            program,
            database_url,
            directory,
        }
    }

    async fn set_up(&mut self) {
        let key = self.write("provider-key", PROVIDER_KEY);
        for (name, base) in [("anthropic", ""), ("openai", "/v1")] {
            let base = format!("http://{}{base}", self.scripted.addr());
            let key = key.to_str().expect("plain paths");
            self.cli_ok(&[
                "providers",
                "create",
                name,
                "--type",
                name,
                "--base-url",
                &base,
                "--allow-private",
                "--key-file",
                key,
            ])
            .await;
        }
        self.cli_ok(&["users", "create", "alice"]).await;
        self.token = self
            .cli_ok(&["tokens", "create", "--user", "alice"])
            .await
            .trim()
            .to_owned();
    }

    /// The directory for everything of this app; the control plane's own is `data` in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Puts a file into the directory, readable by its owner only.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("the file is written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("the file is made private");
        path
    }

    /// The program, ready for arguments.
    pub fn command(&self) -> Command {
        command(&self.program, self.directory.path())
    }

    /// Runs a command as the owner.
    pub async fn cli(&self, args: &[&str]) -> Finished {
        let mut command = self.command();
        command
            .args(args)
            .env("LYCHGATE_URL", &self.url)
            .env("LYCHGATE_TOKEN", &self.owner);
        finish(command, "").await
    }

    /// Runs a command that must succeed, and returns its standard output.
    #[track_caller]
    pub fn cli_ok(&self, args: &[&str]) -> impl Future<Output = String> {
        let what = args.join(" ");
        let caller = std::panic::Location::caller();
        let run = self.cli(args);
        async move {
            let finished = run.await;
            assert_eq!(finished.code, 0, "{caller}: {what}: {}", finished.all());
            finished.stdout
        }
    }

    /// Runs a command that must print JSON.
    pub async fn cli_json(&self, args: &[&str]) -> Value {
        let text = self.cli_ok(&[args, &["-o", "json"]].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
    }

    /// A call of the API as the owner; `path` is what follows `/api/v1/`.
    pub fn api(&self, path: &str) -> Call {
        http::get(format!("{}/api/v1/{path}", self.url)).bearer(&self.owner)
    }

    /// Changes what is given of a provider's policy. A replica that starts afterwards has it from the start.
    pub async fn set_policy(&self, provider: &str, change: &Value) {
        let url = format!("{}/api/v1/ai-gateway/providers/{provider}", self.url);
        let patch = Call::new(::http::Method::PATCH, url).bearer(&self.owner);
        patch
            .json(&serde_json::json!({ "policy": change }))
            .send()
            .await
            .expect(200);
    }

    /// Every interception on record, newest first, as the listing has them.
    pub async fn interceptions(&self) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("ai-gateway/interceptions?limit=200{after}");
            let page = self.api(&path).send().await.expect(200).value();
            all.extend(page["interceptions"].as_array().expect("a list").iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    }

    /// A whole interception, as soon as it is recorded.
    pub async fn interception(&self, id: &str) -> Value {
        let path = format!("ai-gateway/interceptions/{id}");
        eventually(&format!("interception {id} is on record"), async || {
            let answer = self.api(&path).send().await;
            (answer.status == 200).then(|| answer.value())
        })
        .await
    }

    /// The control plane's metrics.
    pub async fn metrics(&self) -> Scrape {
        Scrape::of(&self.server.line("metrics on ").await).await
    }

    /// Makes a gateway key and leaves it in a file.
    pub async fn key_file(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(format!("{name}.key"));
        self.cli_ok(&["keys", "create", name, "--out", path.to_str().expect("plain paths")])
            .await;
        path
    }

    /// Starts another control plane on the same database (PostgreSQL), at `listen` (`IP:PORT`): the process and its address.
    pub async fn another_server(&self, name: &str, listen: &str) -> (Process, String) {
        let mut command = self.command();
        command
            .args(["server", "--listen", listen])
            .arg("--data-dir")
            .arg(self.directory.path().join(name))
            .arg("--master-key-file")
            .arg(self.directory.path().join("data/master-key"))
            .env(
                "LYCHGATE_DATABASE_URL",
                self.database_url.as_deref().expect("PostgreSQL"),
            );
        let server = Process::start(&mut command);
        let url = server.line("listening on ").await;
        (server, url)
    }

    /// Starts a replica with a key of its own and waits until it may receive traffic.
    pub async fn replica(&self, key_name: &str) -> Replica {
        let key = self.key_file(key_name).await;
        self.replica_of(&[&self.url], &key).await
    }

    /// Starts a replica that knows these control planes, and waits until it may receive traffic.
    pub async fn replica_of(&self, control_urls: &[&str], key_file: &Path) -> Replica {
        let mut command = self.command();
        command
            .args(["gateway", "--listen", "127.0.0.1:0", "--key-file"])
            .arg(key_file)
            .arg("--spool-dir")
            .arg(self.fresh_spool());
        for url in control_urls {
            command.args(["--control-url", url]);
        }
        let process = Process::start(&mut command);
        let url = process.line("listening on ").await;
        let replica = Replica { process, url };
        eventually("the replica is ready", async || {
            (replica.readiness().await.0 == 200).then_some(())
        })
        .await;
        replica
    }

    /// A directory for one more replica's records.
    pub fn fresh_spool(&self) -> PathBuf {
        let directory = tempfile::Builder::new()
            .prefix("spool-")
            .tempdir_in(self.directory.path());
        directory.expect("a directory").keep()
    }

    /// Starts a replica with the key of this file and this spool; gives it once it listens.
    pub async fn replica_on(&self, key_file: &Path, spool: &Path, more: &[&str]) -> Replica {
        let mut command = self.command();
        command
            .args(["gateway", "--listen", "127.0.0.1:0", "--control-url", &self.url])
            .arg("--key-file")
            .arg(key_file)
            .arg("--spool-dir")
            .arg(spool)
            .args(more);
        let process = Process::start(&mut command);
        let url = process.line("listening on ").await;
        Replica { process, url }
    }

    /// Ends the control plane as an operator would, and starts it again at the same address.
    pub async fn restart(&mut self) {
        assert_eq!(self.server.terminate().await, 0, "{}", self.server.stderr());
        self.start_again().await;
    }

    /// Starts the control plane again, at the address that it had.
    pub async fn start_again(&mut self) {
        let listen = self.url.trim_start_matches("http://").to_owned();
        self.server = server(
            &self.program,
            self.directory.path(),
            self.database_url.as_deref(),
            &listen,
        );
        assert_eq!(self.server.line("listening on ").await, self.url);
    }

    /// The newest interception, whole, once there are `count` in all.
    pub async fn newest_interception(&self, count: usize) -> Value {
        let listing = eventually("the interceptions are recorded", async || {
            let listing = self
                .api("ai-gateway/interceptions?limit=200")
                .send()
                .await
                .expect(200)
                .value();
            let recorded = listing["interceptions"].as_array().map_or(0, Vec::len);
            assert!(
                recorded <= count,
                "{recorded} interceptions instead of {count}: {listing:#}"
            );
            (recorded == count).then_some(listing)
        })
        .await;
        let id = listing["interceptions"][0]["id"].as_str().expect("an id").to_owned();
        self.api(&format!("ai-gateway/interceptions/{id}"))
            .send()
            .await
            .expect(200)
            .value()
    }
}

impl Replica {
    /// How often it attached so far, and to which control plane last.
    pub fn attached(&self) -> (usize, String) {
        let log = self.process.stderr();
        let attached: Vec<_> = log.split("attached url=\"").skip(1).collect();
        let last = attached.last().and_then(|rest| rest.split_once('"'));
        (attached.len(), last.map(|(url, _)| url.to_owned()).unwrap_or_default())
    }

    /// Its metrics, if it was started with `--metrics-listen`.
    pub async fn metrics(&self) -> Scrape {
        Scrape::of(&self.process.line("metrics on ").await).await
    }

    /// What `/readyz` says: status and text.
    pub async fn readiness(&self) -> (u16, String) {
        probe(&self.url, "").await
    }
}

async fn probe(url: &str, part: &str) -> (u16, String) {
    let answer = http::get(format!("{url}/readyz{part}")).send().await;
    (answer.status, answer.text())
}

fn server(program: &Path, directory: &Path, database_url: Option<&str>, listen: &str) -> Process {
    let mut command = command(program, directory);
    command
        .args(["server", "--listen", listen])
        .arg("--data-dir")
        .arg(directory.join("data"))
        .env("LYCHGATE_METRICS_LISTEN", "127.0.0.1:0");
    if let Some(url) = database_url {
        command.env("LYCHGATE_DATABASE_URL", url);
    }
    Process::start(&mut command)
}
