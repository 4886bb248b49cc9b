//! The long-running roles: read the settings, start, and stop cleanly on a signal. What they run is in the crates below.

mod access_log;
pub(crate) mod args;
mod data_dir;
pub(crate) mod dev;
pub(crate) mod gateway;
mod inbound;
mod key_file;
mod master_key;
mod metrics;
mod net;
pub(crate) mod server;
mod spool;
mod upstream;

use crate::config::{Settings, UnknownVariable};
use crate::failure::{Failure, Outcome};
use args::CommonArgs;
use lychgate_telemetry::error::chain;
use std::time::Duration;

/// How long requests in flight may continue after a stop was requested: long answers of models take minutes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The product's version, which replicas report.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a role on a runtime with a thread per processor.
pub(crate) fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    raise_open_files();
    leave_no_dumps();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failure::Failed(format!("can't start: {why}")))?;
    let outcome = runtime.block_on(work);
    // The role has already waited for whatever still runs.
    runtime.shutdown_background();
    outcome
}

/// Provider keys and tokens are in memory. No other process of the same user may read it (`ptrace`, `/proc/PID/mem`), and none of
/// it is written into a core file.
fn leave_no_dumps() {
    use nix::sys::resource::{Resource, setrlimit};
    let done = nix::sys::prctl::set_dumpable(false).and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0));
    if let Err(error) = done {
        // If logging has not started yet, this is not logged.
        tracing::warn!(%error, "the process's memory can be read by others of its user");
    }
}

/// Each request being served takes two connections, and many systems start programs with 1,024 open files where they would allow
/// more. If the limit can't be raised, connections wait to be accepted.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        // If logging has not started yet, this is not logged.
        tracing::debug!(%error, "the limit on open files can't be raised");
    }
}

/// Reads what to log. With `quiet`, for commands whose standard error a person reads, the default is to log only warnings and
/// errors.
fn read_log(settings: &mut Settings, args: CommonArgs, quiet: bool) -> LogSettings {
    let level = settings
        .text("log", args.log)
        .map(|given| given.text)
        .or_else(|| quiet.then(|| "warn".to_owned()));
    let format = settings.value("log-format", args.log_format).unwrap_or_default();
    LogSettings {
        level,
        format,
        unknown_variables: settings.unknown_variables(&args::configuration_keys()),
    }
}

/// What to log.
#[derive(Debug)]
struct LogSettings {
    level: Option<String>,
    format: lychgate_telemetry::Format,
    unknown_variables: Vec<UnknownVariable>,
}

impl LogSettings {
    /// Starts logging to standard error.
    fn start(&self) -> Outcome {
        lychgate_telemetry::start(self.level.as_deref(), self.format).map_err(|why| Failure::Usage(chain(&why)))?;
        for unknown in &self.unknown_variables {
            tracing::warn!("{unknown}");
        }
        Ok(())
    }
}
