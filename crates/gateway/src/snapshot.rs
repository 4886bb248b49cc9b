//! The snapshot: what a replica knew when it was last attached, sealed on disk, so that it can start while no control plane can be
//! reached.
//!
//! A replica that reaches a control plane no longer needs it; one that is refused deletes it.
//!
//! Not here: when it is written and restored (`link::offline`), the state in memory (`replica_state`), and how long that is valid
//! (`replica_state` for the configuration, `auth::leases` for a token).

mod cache;
mod contents;
mod file;
#[cfg(test)]
mod tests;

pub use cache::OfflineStart;
pub(crate) use cache::SnapshotCache;
pub(crate) use contents::Snapshot;
