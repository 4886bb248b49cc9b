//! A throw-away PostgreSQL with its default settings, under the bench's own roof.
//!
//! Found as `cargo xtask test` finds it, but never installed: where there is none the bench takes SQLite and says so.

use crate::host::machine::Core;
use crate::host::process::Process;
use lychgate_postgres::Cluster;
use nix::sys::signal::Signal;
use std::path::Path;

/// A running server. Dropping it stops it and removes all its files.
pub(crate) struct Postgres {
    // Stopped before its files are removed.
    _process: Process,
    cluster: Cluster,
}

/// Its version, for the report.
pub(crate) fn version(binaries: &Path) -> Option<String> {
    let text = crate::host::machine::output(binaries.join("postgres").to_str()?, &["--version"])?;
    let version = text.split_whitespace().nth(2)?;
    Some(format!("PostgreSQL {version}"))
}

impl Postgres {
    /// Makes a new, empty cluster and waits until it takes connections.
    pub(crate) async fn start(binaries: &Path, core: Option<Core>) -> anyhow::Result<Self> {
        let cluster = Cluster::create(binaries)?;
        let configure = |command: &mut _| cluster.configure(command);
        let mut process =
            Process::start("postgres", core, cluster.dir(), cluster.program(), configure)?.stopped_by(Signal::SIGINT);
        let pid = process.id();
        process.wait_until(async || cluster.is_ready(pid).then_some(())).await?;
        Ok(Self {
            _process: process,
            cluster,
        })
    }

    /// Where it is found.
    pub(crate) fn url(&self) -> String {
        self.cluster.url()
    }
}
