//! Provider formats: bytes in, facts out.
//!
//! This crate knows what requests to each type of provider look like ([`provider`]), and how they spell a request, a usage
//! count, a tool call, an error. It reads beside the relay: what it can't read it skips, and nothing it does changes a byte
//! that goes to the client, but for the one usage chunk that [`UsageChunkFilter`] takes out because [`ask_for_usage`] had asked
//! for it.
//!
//! Everything that is particular to one provider type is in its folder under `providers`; `providers.rs` has an entry for each
//! type, API and wire family.
//!
//! Not here: sockets, and acting by a description (crate `gateway`); what becomes of the facts (crates `link` and `store`).
//!
//! *Architecture invariant:* no I/O, no clock, no runtime, and no input makes it fail, recurse deeply or hold more than the
//! limits in [`limits`].

mod capture;
pub mod client;
pub mod error;
pub mod estimate;
pub mod filler;
mod form;
mod format;
mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod json;
pub mod limits;
mod model;
pub mod model_list;
mod named;
pub mod provider;
mod providers;
mod request;
mod response;
pub mod socket;
mod sse;
#[cfg(test)]
mod testing;
pub mod verdict;

pub use model::with_model;
pub use providers::UsageChunkFilter;
pub use request::{MalformedBody, RequestFacts, ask_for_usage, may_spell_usage, member_names, read_request};
pub use response::{ErrorFacts, ReaderOptions, ResponseFacts, ResponseReader};
