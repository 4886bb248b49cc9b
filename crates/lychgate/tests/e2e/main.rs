//! The product from end to end: real processes of the binary on real sockets, a scripted provider behind them.
//!
//! One test binary, so that it is linked once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access_log;
mod bad_input;
mod canary;
mod chaos;
mod client_pages;
mod client_settings;
mod clients;
mod control_link;
mod conversations;
mod dev;
mod dice;
mod dumps;
mod examples;
mod faults;
mod flow;
mod full_disk;
mod gemini_cli;
mod identity;
mod interrupted;
mod keys;
mod leaving;
mod listings;
mod lost_responses;
mod machine;
mod metrics;
mod openapi;
mod opencode;
mod outage;
mod replicas;
mod request;
mod revoke;
mod routes;
mod sdk;
mod signed;
mod spool;
mod table;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_lychgate");
