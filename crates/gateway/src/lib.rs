//! The data plane: an AI client's request in, the provider's answer out, and one record of each exchange.
//!
//! [`Gateway`] is all of it, for both topologies: [`Gateway::front`] puts it on one listener with the control plane's router, or
//! with [`Gateway::standalone_router`] on a replica. It knows the control plane only as a
//! [`ControlLink`](lychgate_link::ControlLink).
//!
//! # One request, in the order in which it meets the folders
//!
//! ```text
//!    client
//!      │ POST /ai/anthropic/v1/messages
//!      ▼
//!  inbound/     listener ─ front ─ stack      accepts the connection, finds the provider
//!      ▼
//!  exchange/    admit                         may it be relayed at all? and its body
//!      │          ├─ routing/allow_list       … is the path allowed for this provider type?
//!      │          ├─ auth/credentials, leases … is the token good? Those not known yet wait in a few `auth/places`
//!      │          ├─ shared                   … is there a place among the requests in flight?
//!      │          ├─ spool/intake             … is there room for the record?
//!      │          └─ body_budget              … is there room for the body, as it comes?
//!      │        Exchange::new
//!      │          ├─ routing/routes           the candidates, in order
//!      │          └─ recorder                 opens the record
//!      │    ┌────────────────────────── Exchange::run, once per attempt ─────────────────────────┐
//!      │    │   selector                      plans an attempt: candidate, key, URL, body       │
//!      │    │     └─ resilience/breaker, key_pool, retry_budget                                 │
//!      │    │   attempt ─ upstream/           sends it and waits for the head of the answer      │
//!      │    │   resilience/decision           forward, rotate the key, retry or fail over?      │
//!      │    └───────────────────────────────────────────────────────────────────────────────────┘
//!      │        answer ─ tee                  the head goes to the client, then the body, read as it is relayed
//!      ▼        recorder ─ outcome            closes the record before the client sees the end
//!  spool/       intake                        sealed on disk
//!      ▼
//!  link/        deliver                       to the control plane, until it acknowledges
//! ```
//!
//! Requests that are not recorded (lists of models and the like) go from `admit` to `exchange/passthrough`, those for a WebSocket to
//! `exchange/socket`.
//!
//! Beside that way: `link/attach` follows what the control plane says and keeps `replica_state` (with the `routing/table`) and
//! the leases up to date; `snapshot` writes them to disk for a start without a control plane; `shared` is the state that all
//! of these share; `counts` and `metrics` are what can be observed; `gateway` starts and stops it all. `harness` has entrances
//! for `bench/`, `fuzz/` and the simulation, which the product does not use.
//!
//! Not here: how providers spell things (crate `wire`), and whose a token is (the control plane).
//!
//! *Architecture invariant:* this crate never depends on the store, and its folders don't import each other in a circle.

mod access_log;
mod auth;
mod body_budget;
mod cors;
mod counts;
mod error;
mod exchange;
mod fetched_keys;
mod gateway;
mod generations;
#[doc(hidden)]
pub mod harness;
mod inbound;
mod key_derivation;
mod limits;
mod link;
mod made_objects;
mod metrics;
mod model_lists;
mod object_lookups;
mod options;
mod replica_state;
mod resilience;
mod routing;
mod shared;
mod signing;
mod snapshot;
mod sockets;
mod spool;
#[cfg(test)]
mod testing;
mod upstream;

pub use access_log::{AccessLog, AccessLogGuard};
pub use body_budget::BodyBudgetLimits;
pub use cors::{CorsOrigin, CorsOriginError};
pub use gateway::{Gateway, StartError};
pub use inbound::front::Front;
pub use inbound::listener::{listen, serve};
pub use limits::limits;
pub use lychgate_link::places::PlaceLimits;
pub use metrics::exposition;
pub use options::{DrainLimits, Options};
pub use snapshot::OfflineStart;
pub use spool::{SpoolError, SpoolFull, SpoolOptions, SpoolSync};
pub use upstream::private_address::is_private;
pub use upstream::proxy::{OutboundProxy, ProxyError};
pub use upstream::tls_roots::{CaCertificates, CaError};
