//! The data plane from outside: real sockets on both sides, and a control plane played by the test.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod admission;
mod attachment;
mod background;
mod bedrock;
mod bedrock_refusals;
mod codings;
mod credentials;
mod delivery;
mod disconnects;
mod failures;
mod families;
mod fidelity;
mod gemini;
mod link;
mod listener;
mod models;
mod models_relayed;
mod objects;
mod outbound_proxy;
mod records;
mod refusals;
mod resilience;
mod shutdown;
mod types;
mod upstream;
mod websockets;
