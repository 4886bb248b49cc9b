//! The control plane through its front door: a real listener, both engines. One binary, so that it is linked once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]

mod audit_entries;
mod bench;
mod checklists;
mod generated;
mod http_edges;
mod idempotency;
mod interceptions;
mod key_rotation;
mod key_updates;
mod keys;
mod link;
mod matrix;
mod policies;
mod providers;
mod replicas;
mod routes;
mod start;
mod tokens;
mod users;
