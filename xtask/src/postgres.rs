//! The throw-away PostgreSQL of one run of the tests: found, or installed where there is none.

use anyhow::{Context as _, bail};
use lychgate_postgres::Server;
use std::path::{Path, PathBuf};

const SETTINGS: &[&str] = &[
    "max_connections=300",
    "shared_buffers=64MB",
    // Nothing here outlives the run, so nothing needs to reach a disk.
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "log_min_messages=warning",
];

/// The directory that holds `initdb` and `postgres`: `PG_BIN`, the newest of Debian's, or that of `PATH`; installed where
/// there is none.
pub(crate) fn find_or_install() -> anyhow::Result<PathBuf> {
    if let Some(dir) = lychgate_postgres::find() {
        return Ok(dir);
    }
    if let Some(dir) = std::env::var_os("PG_BIN") {
        bail!("PG_BIN is {}, which does not hold initdb and postgres", dir.display());
    }
    crate::apt::install("postgresql", "a PostgreSQL server")?;
    lychgate_postgres::find()
        .context("PostgreSQL was installed, but there is no /usr/lib/postgresql/*/bin/postgres: set PG_BIN")
}

/// Starts a server with nothing in it.
pub(crate) fn start(binaries: &Path) -> anyhow::Result<Server> {
    Server::start(binaries, SETTINGS, &[])
}
