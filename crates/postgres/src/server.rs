//! A running server: started, stopped, killed, and started again over the same data.

use crate::cluster::Cluster;
use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A server over a cluster of its own. Dropping it stops it and removes all its files.
#[derive(Debug)]
pub struct Server {
    // Stopped before its files are removed.
    process: Option<Child>,
    cluster: Cluster,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Server {
    /// Creates a cluster with the programs in `binaries` and waits until its server accepts connections. `settings`: `name=value`.
    /// `environment`: what the server has besides that of this process.
    ///
    /// # Errors
    /// A description of what failed.
    pub fn start(binaries: &Path, settings: &[&str], environment: &[(&str, String)]) -> anyhow::Result<Self> {
        let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        let mut server = Self {
            environment: environment.iter().map(owned).collect(),
            process: None,
            cluster: Cluster::create(binaries)?,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        };
        server.start_again()?;
        Ok(server)
    }

    /// Where it is found.
    pub fn url(&self) -> String {
        self.cluster.url()
    }

    /// Its socket, which stays the same over all starts.
    pub fn socket(&self) -> PathBuf {
        self.cluster.socket()
    }

    /// Starts it again over what is there, and waits until it takes connections.
    ///
    /// # Errors
    /// It did not start; with its log.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.cluster.dir().join("log")).context("can't make the server's log")?;
        let mut postgres = Command::new(self.cluster.program());
        self.cluster.configure(&mut postgres);
        postgres.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        // A group of its own keeps a Ctrl-C of the terminal away: the server must outlive the tests that use it.
        postgres.process_group(0).stdout(Stdio::null()).stderr(log);
        self.process = Some(postgres.spawn().context("can't start postgres")?);
        self.wait_until_ready()
    }

    /// Starts it again where it does not run.
    ///
    /// # Errors
    /// It did not start; with its log.
    pub fn ensure_started(&mut self) -> anyhow::Result<()> {
        self.thaw();
        let runs = matches!(self.process.as_mut().map(Child::try_wait), Some(Ok(None)));
        if runs { Ok(()) } else { self.start_again() }
    }

    /// Kills all its processes without warning, and waits until they are gone. What was committed is in its files.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let leader = process.id();
        // While stopped, it neither starts another process nor asks the others to shut down properly.
        signal(leader, Signal::SIGSTOP);
        let all = children(leader);
        for pid in all.iter().copied().chain([leader]) {
            signal(pid, Signal::SIGKILL);
        }
        let _reaped = process.wait();
        for pid in all {
            gone_within(pid, Duration::from_secs(5));
        }
    }

    /// Stops all its processes where they are: connections stay, and nothing answers.
    pub fn freeze(&self) {
        self.tell_all(Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.tell_all(Signal::SIGCONT);
    }

    fn tell_all(&self, what: Signal) {
        let Some(process) = &self.process else { return };
        // First the one that makes the others.
        signal(process.id(), what);
        for pid in children(process.id()) {
            signal(pid, what);
        }
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        for _ in 0..3000 {
            if let Some(process) = &mut self.process {
                if self.cluster.is_ready(process.id()) {
                    return Ok(());
                }
                if process.try_wait().context("can't look after postgres")?.is_some() {
                    break;
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let log = std::fs::read_to_string(self.cluster.dir().join("log")).unwrap_or_default();
        bail!("PostgreSQL did not start:\n{log}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        if let Some(process) = &mut self.process {
            stop(process);
        }
    }
}

/// First asks for a fast shutdown, then for one without niceties, then kills.
fn stop(process: &mut Child) {
    for wanted in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
        signal(process.id(), wanted);
        for _ in 0..500 {
            if !matches!(process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _already_gone = kill(Pid::from_raw(pid), signal);
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Waits until a process that is not our child is gone, or nothing is left of it but its number.
pub(crate) fn gone_within(pid: u32, limit: Duration) {
    for _ in 0..limit.as_millis() / LOOK_EVERY.as_millis() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the program's name, which may hold anything.
        let state = stat.rsplit_once(')').map_or("", |(_, rest)| rest.trim_start());
        if state.is_empty() || state.starts_with('Z') {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
