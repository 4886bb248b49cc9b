//! Lychgate as a target of the load: one control plane, one standalone replica, the owner's token on every request,
//! everything recorded.

use crate::host::machine::built;
use crate::targets::deployment::{Deployment, Ground};
use crate::targets::target::Target;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Both processes.
pub(crate) struct Lychgate(Deployment);

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
    /// Starts both, on a new PostgreSQL or on SQLite.
    pub(crate) async fn start(ground: Ground, provider: SocketAddr) -> anyhow::Result<(Self, Target)> {
        let mut deployment = Deployment::start(ground, provider).await?;
        deployment.start_replicas(1, &[]).await?;
        let target = deployment.target(0, deployment.owner())?;
        Ok((Self(deployment), target))
    }

    /// Stops the replica, which delivers what it still holds, and counts what the control plane has recorded.
    pub(crate) async fn recorded(mut self) -> anyhow::Result<u64> {
        self.0.stop_replicas();
        let mut count = 0;
        let mut after = String::new();
        loop {
            let page = self
                .0
                .get(&format!("/api/v1/ai-gateway/interceptions?limit=200{after}"))
                .await?;
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
