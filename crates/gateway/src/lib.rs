//! The data plane: an AI client's request in, the provider's answer out byte for byte, and one record of each exchange.
//!
//! [`Gateway`] is the whole of it for both topologies: a control plane merges [`Gateway::router`] into its own router, a
//! standalone replica serves [`Gateway::standalone_router`]. It knows the control plane only as a
//! [`ControlLink`](lychgate_link::ControlLink).
//!
//! Where to look: `stack` has the order in which a request passes; `route`, `auth`, `lease`, `headers`, `upstream` and
//! `tee` its stations; `candidates`, `itinerary` and `attempt` the way from provider to provider, with `retry`, `budget`,
//! `pool` and `breaker` to decide by; `meter`, `spool` and `deliver` the way of a record; `attach` the long stream from
//! the control plane; `counts` and `metrics` what is told of all of it.
//!
//! Not here: how providers spell things (crate `wire`), who a token belongs to (the control plane).
//!
//! *Architecture invariant:* this crate can't reach the store.

mod auth;
mod counts;
mod error;
mod exchange;
mod gateway;
#[doc(hidden)]
pub mod harness;
mod inbound;
mod key_derivation;
mod link;
mod metrics;
mod options;
mod replica_state;
mod resilience;
mod routing;
mod shared;
mod snapshot;
mod spool;
#[cfg(test)]
mod testing;
mod upstream;

pub use gateway::{Gateway, StartError};
pub use inbound::front::Front;
pub use inbound::listener::{listen, serve};
pub use metrics::exposition;
pub use options::{DrainLimits, Options};
pub use snapshot::OfflineStart;
pub use spool::{SpoolError, SpoolFull, SpoolOptions, SpoolSync};
pub use upstream::proxy::{OutboundProxy, ProxyError};
pub use upstream::tls_roots::{CaCertificates, CaError};
