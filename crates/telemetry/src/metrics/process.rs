//! Figures about the process itself, by the names that Prometheus' own libraries use. Memory and open files are told where
//! there is a `/proc`.

use super::list::Metric;
use super::page::{Label, Page};
use lychgate_types::Timestamp;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;
use std::time::Duration;

/// Writes what there is to tell. Reads files that the system makes on the spot, so it takes a moment in a process with very many
/// connections.
pub fn process(page: &mut Page, started: Timestamp) {
    page.family(Metric::BuildInfo, |samples| {
        samples.add(&[Label::fixed(env!("CARGO_PKG_VERSION"))], 1);
    });
    page.one(Metric::ProcessStart, Some(started));
    known(page, Metric::ProcessCpu, cpu());
    known(page, Metric::ProcessMemory, resident_bytes());
    known(page, Metric::ProcessOpenFiles, open_files());
    known(
        page,
        Metric::ProcessMaxFiles,
        getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
    );
}

fn known(page: &mut Page, metric: Metric, value: Option<impl super::page::Value>) {
    page.family(metric, |samples| {
        if let Some(value) = value {
            samples.add(&[], value);
        }
    });
}

fn cpu() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(micros).ok().map(Duration::from_micros)
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn open_files() -> Option<u64> {
    let listed = std::fs::read_dir("/proc/self/fd").ok()?;
    // One is the listing's own.
    u64::try_from(listed.count()).ok()?.checked_sub(1)
}
