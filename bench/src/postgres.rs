//! A throw-away PostgreSQL for one run, with its own settings for safety (a commit is on the disk), reached by a socket in
//! its own directory only. PostgreSQL refuses to run as root; as root we start it as `postgres`, else `nobody`.
//!
//! Found as `cargo xtask test` finds it, but never installed: where there is none the bench takes SQLite and says so.

use crate::machine::Core;
use crate::process::Process;
use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A running server. Dropping it stops it and removes all its files.
pub(crate) struct Postgres {
    // Stopped before its directory goes.
    _process: Process,
    dir: TempDir,
}

/// The directory that holds `initdb` and `postgres`: `PG_BIN`, the newest of Debian's, or that of `PATH`.
pub(crate) fn find() -> Option<PathBuf> {
    let chosen = std::env::var_os("PG_BIN").map(PathBuf::from);
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    chosen
        .into_iter()
        .chain(debian.into_iter().rev().map(|(_, dir)| dir))
        .chain(std::env::split_paths(&path))
        .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
}

/// Its version, for the report.
pub(crate) fn version(binaries: &Path) -> Option<String> {
    let text = crate::machine::output(binaries.join("postgres").to_str()?, &["--version"])?;
    let version = text.split_whitespace().nth(2)?;
    Some(format!("PostgreSQL {version}"))
}

impl Postgres {
    /// Makes a new, empty cluster and waits until it takes connections.
    pub(crate) async fn start(binaries: &Path, core: Option<Core>) -> anyhow::Result<Self> {
        // Not within the bench's own directory, which the server's user can't enter.
        let dir = tempfile::Builder::new()
            .prefix("lychgate-bench-pg-")
            .tempdir_in(if std::env::temp_dir().as_os_str().len() < 60 {
                std::env::temp_dir()
            } else {
                PathBuf::from("/tmp") // a socket's path must be short
            })
            .context("can't make a temporary directory")?;
        let user = unprivileged()?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(dir.path(), Some(uid.as_raw()), Some(gid.as_raw()))
                .context("can't give a directory to the user of PostgreSQL")?;
        }
        let become_user = |command: &mut Command| {
            command.env_remove("PGDATA");
            if let Some((uid, gid)) = user {
                command.uid(uid.as_raw()).gid(gid.as_raw());
            }
        };
        let data = dir.path().join("data");
        let mut initdb = Command::new(binaries.join("initdb"));
        initdb
            .args([
                "-U",
                "lychgate",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .current_dir(dir.path());
        become_user(&mut initdb);
        let made = initdb.output().context("can't start initdb")?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        let mut process = Process::start("postgres", core, dir.path(), binaries.join("postgres"), |command| {
            command
                .arg("-D")
                .arg(&data)
                .arg("-k")
                .arg(dir.path())
                .args(["-c", "listen_addresses="]);
            become_user(command);
        })?
        .stopped_by(Signal::SIGINT);
        let status = data.join("postmaster.pid");
        process
            .wait_until(async || {
                // The eighth line of this file is the server's state.
                let text = std::fs::read_to_string(&status).ok()?;
                text.lines()
                    .nth(7)
                    .is_some_and(|line| line.trim() == "ready")
                    .then_some(())
            })
            .await?;
        Ok(Self { _process: process, dir })
    }

    /// Where it is found. The socket's directory stands in the place of the host.
    pub(crate) fn url(&self) -> String {
        let socket = self.dir.path().display().to_string().replace('/', "%2F");
        format!("postgres://lychgate@{socket}/postgres")
    }
}

/// Whom the server runs as; none: as ourselves.
fn unprivileged() -> anyhow::Result<Option<(Uid, Gid)>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).context("can't read the list of users")? {
            return Ok(Some((user.uid, user.gid)));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}
