//! A provider that answers from a script: it speaks Anthropic Messages, OpenAI Chat Completions, Responses and Embeddings
//! faithfully, event by event, Responses also over WebSockets, and fails, breaks off and stalls on request. `lychgate dev` serves it to newcomers, the tests and
//! `bench/` measure against it.
//!
//! What is sent depends only on the scenario and on what the request says, never on time or chance: the same request gets the
//! same bytes, so that a test can ask for them beforehand ([`bytes_of`], `GET /__scripted/scripts/{api}/{name}`) and compare.
//! Only the credentials that its authority hands out expire, and signatures.
//!
//! Not here: anything that the gateway itself uses, and any knowledge of the gateway.

mod answer;
mod ask;
mod authority;
mod bench;
mod body;
mod error;
mod families;
mod fault;
mod host;
mod introspection;
mod json;
mod perform;
mod provider;
mod scenario;
mod script;
mod seed;
mod seen;
mod service;
mod socket;
mod tool;
mod websocket;

pub use families::Endpoint;
pub use perform::bytes_of;
pub use provider::ScriptedProvider;
pub use scenario::Scenario;
pub use script::{Gate, Script, Step};
pub use seen::SeenRequest;
