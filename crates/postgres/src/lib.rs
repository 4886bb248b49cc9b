//! A throw-away PostgreSQL: in memory if there is room, with only a socket in its own directory, so that it can't conflict with
//! another server. PostgreSQL refuses to run as root; as root we start it as `postgres`, else `nobody`.
//!
//! Not here: installing it (`xtask`), and what is in it. Used by `xtask`, the fault suite and the bench, so it knows nothing of
//! Lychgate and blocks.

mod cluster;
mod leftovers;
mod server;

pub use cluster::Cluster;
pub use server::Server;

use std::path::{Path, PathBuf};

/// The directory with `initdb` and `postgres`: `PG_BIN`, the newest of Debian's, or one in `PATH`. If `PG_BIN` is set, no other is
/// tried.
pub fn find() -> Option<PathBuf> {
    if let Some(chosen) = std::env::var_os("PG_BIN") {
        return Some(chosen.into()).filter(|dir: &PathBuf| is_server(dir));
    }
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, dir)| is_server(dir))
        .collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .pop()
        .map(|(_, dir)| dir)
        .or_else(|| std::env::split_paths(&path).find(|dir| is_server(dir)))
}

fn is_server(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}
