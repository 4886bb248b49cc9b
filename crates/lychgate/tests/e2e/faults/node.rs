//! One process of the run over all its lives, and the clock that it reads.

use super::world::LOOK_EVERY;
use lychgate_testkit::disk::{Disk, DiskLibrary, Illness};
use lychgate_testkit::http;
use lychgate_testkit::process::Process;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Where `cargo xtask` has found libfaketime.
const FAKETIME: &str = "LYCHGATE_TEST_FAKETIME";
/// How long a process may take to say whether it is ready; stopped, it does not.
const PROBE: Duration = Duration::from_secs(2);

/// A control plane or a replica.
pub(super) struct Node {
    pub(super) name: String,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    clock: Option<Clock>,
    disk: Disk,
    /// Held while something is done to the process: one at a time, however long a start takes.
    pub(super) turn: tokio::sync::Mutex<()>,
    lives: Mutex<Vec<Life>>,
    url: Mutex<String>,
    /// Whoever wants to know looks himself, unless another just did.
    looked: tokio::sync::Mutex<Looked>,
}

/// What it last said of itself.
#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    ready_since: Option<Instant>,
}

/// From one start to its end.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) process: Arc<Process>,
    pub(super) ending: Ending,
}

/// How a life is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is not: the process runs.
    None,
    /// By SIGKILL.
    Killed,
    /// By SIGTERM.
    Ended,
    /// By SIGTERM, and a second one where it did not end at once.
    EndedTwice,
    /// It was started while the database could not be reached, and said so.
    NotStarted,
}

impl Node {
    /// Not running yet. `skew`: so many seconds its clock is off; `None`: it can't be set.
    pub(super) fn new(
        name: String,
        directory: &Path,
        disks: &DiskLibrary,
        skew: Option<i64>,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        let clock = skew.map(|skew| Clock::new(directory.join(format!("{name}.clock")), skew));
        let disk = disks.disk(directory.join(format!("{name}.disk")));
        Self {
            name,
            command: Box::new(command),
            clock,
            disk,
            turn: tokio::sync::Mutex::default(),
            lives: Mutex::default(),
            url: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
        }
    }

    /// Starts it; the address where it listens, or `None` where it ended without.
    pub(super) async fn start(&self) -> Option<String> {
        let mut command = (self.command)();
        let preloaded = self.clock.as_ref().map(|clock| clock.give(&mut command));
        command.envs(self.disk.environment(preloaded.as_slice()));
        let process = Arc::new(Process::start(&mut command));
        self.lives.lock().unwrap().push(Life {
            process: Arc::clone(&process),
            ending: Ending::None,
        });
        let url = process.line_unless_ended("listening on ").await?;
        self.url.lock().unwrap().clone_from(&url);
        Some(url)
    }

    /// Where it listened last.
    pub(super) fn url(&self) -> String {
        self.url.lock().unwrap().clone()
    }

    /// Since when it says that it is ready, at every look; `None`: it does not.
    pub(super) async fn ready_since(&self) -> Option<Instant> {
        let mut looked = self.looked.lock().await;
        if looked.at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            let url = format!("{}/readyz", self.url());
            let asked = timeout(PROBE, async {
                Some(http::get(url).try_open().await.ok()?.rest().await)
            });
            let is_ready = matches!(asked.await, Ok(Some(answer)) if answer.body == b"ready\n");
            let since = looked.ready_since.unwrap_or_else(Instant::now);
            *looked = Looked {
                at: Some(Instant::now()),
                ready_since: is_ready.then_some(since),
            };
        }
        looked.ready_since
    }

    /// The process of its present life.
    pub(super) fn process(&self) -> Arc<Process> {
        let lives = self.lives.lock().unwrap();
        Arc::clone(&lives.last().expect("it was started").process)
    }

    /// All its lives so far.
    pub(super) fn lives(&self) -> Vec<Life> {
        self.lives.lock().unwrap().clone()
    }

    /// Says how its present life is to end.
    pub(super) fn ends(&self, ending: Ending) {
        self.lives.lock().unwrap().last_mut().expect("it was started").ending = ending;
    }

    /// What its disk suffers from.
    pub(super) fn set_disk(&self, illness: Option<Illness>) {
        self.disk.set(illness);
    }

    /// Sets its clock so many seconds off what it is as a rule.
    pub(super) fn set_clock(&self, seconds: i64) {
        self.clock.as_ref().expect("the plan says that it is set").set(seconds);
    }
}

/// A clock that can be set while its process runs: libfaketime's, which reads the file each time it is asked. Only the time of
/// day is changed, as by an operator or by NTP; what measures durations goes on.
struct Clock {
    library: PathBuf,
    file: PathBuf,
    /// So many seconds it is off as a rule.
    skew: i64,
}

impl Clock {
    fn new(file: PathBuf, skew: i64) -> Self {
        let library = std::env::var_os(FAKETIME).unwrap_or_else(|| {
            panic!(
                "{FAKETIME} is not set, so there is no clock to set: run `cargo xtask test`, which installs libfaketime"
            )
        });
        let clock = Self {
            library: library.into(),
            file,
            skew,
        };
        clock.set(0);
        clock
    }

    fn set(&self, seconds: i64) {
        // Never half written.
        let fresh = self.file.with_extension("fresh");
        std::fs::write(&fresh, format!("{:+}\n", self.skew + seconds)).unwrap();
        std::fs::rename(fresh, &self.file).unwrap();
    }

    /// The library that is to be loaded.
    fn give(&self, command: &mut Command) -> &Path {
        command
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            // Else it leaves files in shared memory behind when it is killed.
            .env("FAKETIME_DISABLE_SHM", "1");
        &self.library
    }
}
