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

mod address;
mod answers;
#[doc(hidden)]
pub mod appender;
mod attach;
mod attempt;
mod auth;
#[doc(hidden)]
pub mod bare;
mod breaker;
mod budget;
mod call;
mod candidates;
#[doc(hidden)]
pub mod checker;
mod core;
mod counts;
mod deliver;
mod derived;
mod error;
mod front;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gateway;
mod headers;
mod itinerary;
mod kept;
mod lease;
mod meter;
mod metrics;
mod offline;
mod options;
mod outcome;
mod peek;
mod pool;
mod provider;
mod proxy;
mod relay;
mod retry;
mod roots;
mod route;
mod serve;
#[doc(hidden)]
pub mod simulated;
mod snapshot;
mod spool;
mod stack;
mod tee;
mod upstream;

pub use front::Front;
pub use gateway::{Gateway, StartError};
pub use metrics::exposition;
pub use offline::OfflineStart;
pub use options::{DrainLimits, Options, SpoolFull, SpoolOptions, SpoolSync};
pub use proxy::{OutboundProxy, ProxyError};
pub use roots::{CaCertificates, CaError};
pub use serve::{listen, serve};
pub use spool::SpoolError;
