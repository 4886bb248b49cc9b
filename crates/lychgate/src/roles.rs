//! The long-running roles: settings in, a running thing out, a clean end on a signal. What they run is in the crates beneath.

pub(crate) mod dev;
pub(crate) mod gateway;
pub(crate) mod master_key;
pub(crate) mod net;
pub(crate) mod server;

use crate::failure::{Failure, Outcome};
use std::time::Duration;

/// How long requests in flight may go on once the end was asked for.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The product's version, as replicas tell it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a role on a runtime with a thread per processor.
pub(crate) fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failure::Failed(format!("can't start: {why}")))?;
    let outcome = runtime.block_on(work);
    // Whatever still runs was given its time by the role itself.
    runtime.shutdown_background();
    outcome
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Starts logging to standard error.
fn log() {}

/// Starts logging to standard error, only what goes wrong.
fn log_quietly() {}
