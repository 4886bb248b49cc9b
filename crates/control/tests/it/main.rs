//! The control plane through its front door: a real listener, both engines. One binary, so that it is linked once.

mod audit_entries;
mod bench;
mod generated;
mod http_edges;
mod interceptions;
mod keys;
mod link;
mod matrix;
mod providers;
mod start;
mod tokens;
mod users;
