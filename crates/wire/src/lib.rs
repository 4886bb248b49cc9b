//! Provider formats: bytes in, facts out.
//!
//! This crate knows how Anthropic and OpenAI spell a request, a usage count, a tool call, an error. It reads beside the
//! relay: what it can't read it skips, and nothing it does changes a byte that goes to the client, but for the one usage
//! chunk that [`UsageChunkFilter`] takes out because [`ask_for_usage`] had asked for it.
//!
//! Not here: sockets, headers, routes (crate `gateway`), what becomes of the facts (crates `link` and `store`).
//!
//! *Architecture invariant:* no I/O, no clock, no runtime, and no input makes it fail, recurse deeply or hold more than the
//! limits in [`limits`].

mod capture;
pub mod client;
pub mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod json;
pub mod limits;
mod model;
mod providers;
mod request;
mod response;
mod sse;
#[cfg(test)]
mod testing;

pub use model::with_model;
pub use providers::openai::chat::UsageChunkFilter;
pub use request::{MalformedBody, RequestFacts, ask_for_usage, read_request};
pub use response::{ErrorFacts, ReaderOptions, ResponseFacts, ResponseReader};
