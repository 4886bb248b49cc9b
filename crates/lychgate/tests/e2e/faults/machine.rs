//! What the runs of one job share, one after the other: a PostgreSQL, which may be killed, and disks that may fall ill.

use lychgate_postgres::Server;
use lychgate_testkit::disk::{Disk, DiskLibrary};
use parking_lot::Mutex;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// Like any server, it waits for no disk here; but what it has committed survives its own end.
const SETTINGS: &[&str] = &[
    "max_connections=120",
    "shared_buffers=32MB",
    "fsync=off",
    "autovacuum=off",
    "log_min_messages=warning",
];

pub(super) struct Machine {
    postgres: Mutex<Server>,
    pub(super) postgres_disk: Disk,
    pub(super) disks: DiskLibrary,
    _directory: TempDir,
}

impl Machine {
    /// Blocks until PostgreSQL takes connections.
    pub(super) fn start() -> Self {
        let binaries = lychgate_postgres::find().expect("a PostgreSQL: `cargo xtask test` installs one");
        // PostgreSQL runs as another user.
        let readable = std::fs::Permissions::from_mode(0o755);
        let directory = tempfile::Builder::new().permissions(readable).tempdir().unwrap();
        let disks = DiskLibrary::build(directory.path());
        let postgres_disk = disks.disk(directory.path().join("postgres.disk"));
        let server = Server::start(&binaries, SETTINGS, &postgres_disk.environment(&[]));
        Self {
            postgres: Mutex::new(server.expect("PostgreSQL starts")),
            postgres_disk,
            disks,
            _directory: directory,
        }
    }

    /// Does something to PostgreSQL; what blocks, blocks.
    pub(super) fn postgres<T>(&self, work: impl FnOnce(&mut Server) -> T) -> T {
        work(&mut self.postgres.lock())
    }

    /// After a run that broke off.
    pub(super) fn repair(&self) {
        self.postgres_disk.set(None);
        self.postgres(|server| server.ensure_started().expect("PostgreSQL starts"));
    }
}
