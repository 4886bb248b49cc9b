//! Lychgate as it is used: a control plane on PostgreSQL (or SQLite), a standalone replica let in by a gateway key, a user's token on every
//! request, everything recorded.

use crate::api::{call, is_ready};
use crate::args::Kind;
use crate::machine::{Cores, built};
use crate::postgres::Postgres;
use crate::process::{Process, free_port};
use crate::target::Target;
use anyhow::Context as _;
use hyper::Method;
use lychgate_types::{Ambient, secret::UserTokenSecret};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Both processes.
pub(crate) struct Lychgate {
    // Stopped in this order, so that the replica can deliver its last records.
    gateway: Process,
    _server: Process,
    _postgres: Option<Postgres>,
    server_address: SocketAddr,
    token: String,
}

/// The binary given, else this tree's, which Cargo builds where it is missing or old.
pub(crate) fn binary(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    match given {
        Some(given) => given
            .canonicalize()
            .with_context(|| format!("there is no {}", given.display())),
        None => built("lychgate", "lychgate"),
    }
}

impl Lychgate {
    /// Starts both, on a new PostgreSQL of these binaries or on SQLite, and makes what a request needs: a provider, a gateway key, an owner whose token is used.
    pub(crate) async fn start(
        binary: &Path,
        cores: Cores,
        dir: &Path,
        provider: SocketAddr,
        postgres: Option<&Path>,
    ) -> anyhow::Result<(Self, Target)> {
        let dir = dir.join(format!("lychgate-{}", free_port()?));
        std::fs::create_dir(&dir).context("can't make a directory")?;
        let postgres = match postgres {
            Some(binaries) => Some(Postgres::start(binaries, cores.control).await?),
            None => None,
        };
        let secret = UserTokenSecret::generate(&Ambient::system());
        let token = secret.expose().to_owned();
        let server_address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()?).into();
        let mut server = Process::start("server", cores.control, &dir, binary, |command| {
            command
                .args(["server", "--listen", &server_address.to_string(), "--data-dir"])
                .arg(dir.join("data"));
            command.env("LYCHGATE_BOOTSTRAP_TOKEN", &token);
            if let Some(postgres) = &postgres {
                command.env("LYCHGATE_DATABASE_URL", postgres.url());
            }
        })?;
        server
            .wait_until(async || is_ready(server_address).await.then_some(()))
            .await?;
        let post = async |path: &str, body| call(server_address, Method::POST, path, &token, Some(body)).await;
        let wanted = serde_json::json!({
            "name": "openai", "type": "openai", "base_url": format!("http://{provider}/v1"),
            "keys": ["sk-bench-0123456789abcdef0123456789abcdef"], "allow_private": true,
        });
        post("/api/v1/ai-gateway/providers", wanted).await?;
        let answer = post("/api/v1/ai-gateway/keys", serde_json::json!({"name": "bench"})).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer).context("a key does not read")?;
        let key_file = dir.join("gateway-key");
        std::fs::write(&key_file, answer["key"].as_str().context("no key in the answer")?)
            .context("can't write the key")?;
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()?).into();
        let mut gateway = Process::start("gateway", cores.measured, &dir, binary, |command| {
            command.args([
                "gateway",
                "--control-url",
                &format!("http://{server_address}"),
                "--listen",
                &address.to_string(),
            ]);
            command.arg("--key-file").arg(&key_file);
            command.arg("--spool-dir").arg(dir.join("spool"));
        })?;
        gateway
            .wait_until(async || is_ready(address).await.then_some(()))
            .await?;
        let target = Target {
            kind: Kind::Lychgate,
            address,
            prefix: "/ai/openai",
            token: token.clone(),
            measured: Some(gateway.id()),
            control: Some(server.id()),
        };
        Ok((
            Self {
                gateway,
                _server: server,
                _postgres: postgres,
                server_address,
                token,
            },
            target,
        ))
    }

    /// Stops the replica, which delivers what it still holds, and counts what the control plane has recorded.
    pub(crate) async fn recorded(mut self) -> anyhow::Result<u64> {
        self.gateway.stop();
        let mut count = 0;
        let mut after = String::new();
        loop {
            let path = format!("/api/v1/ai-gateway/interceptions?limit=200{after}");
            let page = call(self.server_address, Method::GET, &path, &self.token, None).await?;
            let page: serde_json::Value = serde_json::from_slice(&page).context("a page does not read")?;
            count += page["interceptions"]
                .as_array()
                .context("a page without interceptions")?
                .len() as u64;
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(count),
            }
        }
    }
}
