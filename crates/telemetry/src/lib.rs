//! Tracing set-up: what a process writes to its log (standard error), and in which form.
//!
//! Not here: what is logged, which each crate decides beside the code it concerns. Nothing logs a secret; secrets are types
//! that print nothing of themselves, and this crate closes the two back doors: other crates' chatter ([`log`]) and panic
//! messages ([`panic`]).

pub mod log;
pub mod panic;

pub use log::{Format, LogError, start};
