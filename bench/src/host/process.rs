//! Processes that the bench starts, and what the kernel says of them.

use crate::host::machine::Core;
use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a process may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ports below those that Linux takes for outgoing connections.
const FIRST_PORT: u16 = 12_000;
const PORTS: u32 = 20_000;

/// A process in a process group of its own. Dropping it stops it.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
    end: Signal,
}

impl Process {
    /// Starts a program on a core. What it prints goes to a file in `dir`.
    ///
    /// `chrt` and `taskset` replace themselves by it, so the process is the program's own.
    pub(crate) fn start(
        name: &'static str,
        core: Option<Core>,
        dir: &Path,
        program: impl AsRef<OsStr>,
        configure: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).with_context(|| format!("can't make {}", log.display()))?;
        let mut command = match core {
            Some(core) => {
                // Of low priority is not enough: such a process keeps the core for milliseconds when others want it back.
                let policy = if core.stands_back { "--idle" } else { "--other" };
                let mut pinned = Command::new("chrt");
                pinned.args([policy, "0", "taskset", "--cpu-list", &core.number.to_string()]);
                pinned.arg(&program);
                pinned
            }
            None => Command::new(&program),
        };
        // Settings of the caller's own Lychgate have no place in a measurement.
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LYCHGATE_")) {
            command.env_remove(variable);
        }
        configure(&mut command);
        let errors = file.try_clone().context("can't share a log file")?;
        command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .process_group(0);
        let child = command.spawn().with_context(|| format!("can't start {name}"))?;
        Ok(Self {
            name,
            child,
            log,
            end: Signal::SIGTERM,
        })
    }

    /// Which signal asks it to end; `SIGTERM` where nothing is said.
    pub(crate) fn stopped_by(mut self, signal: Signal) -> Self {
        self.end = signal;
        self
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` answers something.
    pub(crate) async fn wait_until<T>(&mut self, mut ready: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(answer) = ready().await {
                return Ok(answer);
            }
            if let Some(status) = self.child.try_wait().context("can't look after a process")? {
                bail!("{} ended at once ({status}):\n{}", self.name, self.output());
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "{} was not ready after {} s:\n{}",
            self.name,
            PATIENCE.as_secs(),
            self.output()
        )
    }

    /// What it has printed, at most the last 4,000 characters.
    pub(crate) fn output(&self) -> String {
        let text = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned();
        let skip = text.chars().count().saturating_sub(4000);
        text.chars().skip(skip).collect()
    }

    /// The address that it says it listens on, once it says so.
    pub(crate) async fn address(&mut self) -> anyhow::Result<SocketAddr> {
        let log = self.log.clone();
        self.wait_until(async || {
            let text = std::fs::read_to_string(&log).ok()?;
            let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            lines.find_map(|line| line.strip_prefix("listening on http://")?.trim().parse().ok())
        })
        .await
    }

    /// Sends a signal, and waits for nothing.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _already_gone = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        // Fails only where somebody has waited for it already.
        let _ = self.child.wait();
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(&mut self) {
        for signal in [self.end, Signal::SIGKILL] {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            self.signal(signal);
            for _ in 0..PATIENCE.as_millis() / 20 {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A loopback port that was free a moment ago; not one of those from which connections go out (`ip_local_port_range`), so that
/// it still is when a process that was killed comes back to it.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS {
        let number = std::process::id()
            .wrapping_mul(101)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + u16::try_from(number % PORTS).unwrap_or(0);
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of 127.0.0.1 from {FIRST_PORT} on is free")
}

/// CPU time that a process has used, in user mode and in the kernel.
pub(crate) fn cpu(pid: u32, ticks_per_second: u64) -> anyhow::Result<Duration> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    ticks(&text)
        .map(|ticks| Duration::from_nanos(ticks * (1_000_000_000 / ticks_per_second)))
        .with_context(|| format!("/proc/{pid}/stat does not read"))
}

fn ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name, which may hold anything; counting starts after its parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Resident memory of a process, in bytes.
pub(crate) fn memory(pid: u32) -> anyhow::Result<u64> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kibibytes = line
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .context("VmRSS does not read")?;
    Ok(kibibytes * 1024)
}

/// The first child of a process.
pub(crate) fn first_child(pid: u32) -> Option<u32> {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernels_line_is_read_whatever_the_program_is_called() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 10 18446744073709551615";
        assert_eq!(super::ticks(stat), Some(300));
        assert_eq!(super::ticks("nonsense"), None);
    }
}
