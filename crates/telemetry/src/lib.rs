//! What a process tells of itself: its log (standard error) and in which form, and its [`metrics`].
//!
//! Not here: what is logged or counted, which each crate decides beside the code it concerns. Nothing logs a secret; secrets are
//! types that print nothing of themselves, and this crate closes the two back doors: other crates' chatter ([`log`]) and panic
//! messages ([`panic`](mod@panic)).

pub mod error;
pub mod log;
pub mod metrics;
pub mod panic;

pub use log::{Format, LogError, start};
