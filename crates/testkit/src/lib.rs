//! Test bench: a fresh database per test, real processes on real sockets, an HTTP client that shows every byte.
//!
//! What a failing bench can't give, it says in a panic: its callers are tests.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failing bench fails the test, and says why"
)]

pub mod app;
pub mod db;
pub mod disk;
pub mod dump;
pub mod http;
pub mod metrics;
pub mod network;
pub mod process;
pub mod wait;
