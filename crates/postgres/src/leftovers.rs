//! Removes what is left of servers whose owners were killed before they could clean up.

use crate::server::{gone_within, signal};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The directories' names: this, the process id of the owner, a dash and a number.
pub(crate) const DIRECTORY: &str = "lychgate-pg-";

/// Removes what is in `base` or in memory and whose owner no longer runs.
pub(crate) fn sweep(base: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for base in [PathBuf::from("/dev/shm"), base.to_owned()] {
        for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(DIRECTORY)) else {
                continue;
            };
            let owner = rest.split('-').next().unwrap_or_default();
            if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
                remove_abandoned(&entry.path());
            }
        }
    }
}

fn remove_abandoned(dir: &Path) {
    let pid = std::fs::read_to_string(dir.join("data/postmaster.pid"))
        .ok()
        .and_then(|text| text.lines().next().and_then(|line| line.parse::<u32>().ok()));
    // The number may belong to somebody else by now: only a process started with this very directory is the server.
    if let Some(pid) = pid
        && let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline"))
        && String::from_utf8_lossy(&line).contains(&dir.display().to_string())
    {
        signal(pid, Signal::SIGQUIT);
        gone_within(pid, Duration::from_secs(5));
    }
    let _not_ours = std::fs::remove_dir_all(dir);
}
