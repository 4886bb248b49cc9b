//! The control plane: API, control link and embedded gateway on one listener, background work behind it.
//!
//! [`Control::start`] is the whole of it; the binary calls that and nothing else. Who may do what is decided in the store
//! (crate `authz` has the table), so a handler here can't forget to ask. Not here: SQL, and the data plane itself.

mod api;
mod audit;
mod bootstrap;
mod jobs;
#[cfg(test)]
mod limits_reference;
mod link;
mod metrics;
mod server;
#[cfg(test)]
mod simulation;
mod state;

pub use api::openapi::openapi;
pub use bootstrap::{BootstrapError, OWNER_TOKEN_FILE};
pub use server::{Control, Options, StartError};
