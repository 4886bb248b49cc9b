//! The data plane through its own front door: real sockets on both sides, a control plane that the test plays.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod attachment;
mod credentials;
mod delivery;
mod ending;
mod failures;
mod fidelity;
mod leaving;
mod link;
mod proxied;
mod records;
mod refusals;
mod resilience;
mod serving;
mod upstream;
