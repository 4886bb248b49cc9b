//! The machine, who runs on which of its cores, and the tree that is measured.

use anyhow::{Context as _, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a process runs, and with which priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Core {
    pub(crate) number: usize,
    /// Whether it takes only what others leave.
    pub(crate) stands_back: bool,
}

/// Who runs where. What is measured has a core for itself; the others share what is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) measured: Option<Core>,
    pub(crate) load: Option<Core>,
    pub(crate) provider: Option<Core>,
    /// The control plane and its database.
    pub(crate) control: Option<Core>,
}

impl Cores {
    /// Nobody is pinned on a machine of one core or without `taskset`. Where the control plane has to share the load's core
    /// it has low priority: in real life it is on another machine, and requests do not wait for it.
    pub(crate) fn plan(count: usize) -> Self {
        let at = |wanted: usize, stands_back| {
            let number = wanted.min(count.saturating_sub(1));
            (count > 1).then_some(Core { number, stands_back })
        };
        Self {
            measured: at(0, false),
            load: at(1, false),
            provider: at(2, false),
            control: at(3, count <= 3),
        }
    }

    /// For this machine.
    pub(crate) fn here() -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        Self::plan(if output("taskset", &["--version"]).is_some() {
            count
        } else {
            1
        })
    }
}

/// Puts this process on a core.
pub(crate) fn pin_self(core: Option<Core>) -> anyhow::Result<()> {
    let Some(core) = core else { return Ok(()) };
    let id = std::process::id().to_string();
    if output(
        "taskset",
        &["--all-tasks", "--cpu-list", "--pid", &core.number.to_string(), &id],
    )
    .is_none()
    {
        bail!("taskset could not move the load generator to core {}", core.number);
    }
    Ok(())
}

/// Lets this process, and what it starts, open that many files.
pub(crate) fn allow_open_files(count: usize) -> anyhow::Result<()> {
    let count = count as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("can't read the limit of open files")?;
    if soft >= count {
        return Ok(());
    }
    if hard < count {
        bail!("{count} open files are needed and {hard} are allowed: raise the limit or ask for fewer --streams");
    }
    setrlimit(Resource::RLIMIT_NOFILE, count, hard).context("can't raise the limit of open files")
}

/// Ticks in which the kernel counts CPU time.
pub(crate) fn ticks_per_second() -> u64 {
    output("getconf", &["CLK_TCK"])
        .and_then(|text| text.parse().ok())
        .unwrap_or(100)
}

/// What is written beside the numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) commit: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let field = |path: &str, key: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
            line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim().to_owned()))
                .unwrap_or_default()
        };
        let memory = field("/proc/meminfo", "MemTotal")
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .unwrap_or(0)
            / 1024;
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
        let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory,
            kernel: output("uname", &["-sr"]).unwrap_or_default(),
            commit: if changed {
                format!("{commit} with changes")
            } else {
                commit
            },
        }
    }
}

/// Builds a binary of this tree for release, where it is missing or old; answers where it is.
pub(crate) fn built(package: &str, binary: &str) -> anyhow::Result<PathBuf> {
    crate::progress(&format!("building {binary} for release …"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked", "--package", package, "--bin", binary])
        .current_dir(root())
        .status()
        .context("can't start Cargo")?;
    if !status.success() {
        bail!("{binary} does not build");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir));
    Ok(target.join("release").join(binary))
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench.parent().unwrap_or(bench)
}

/// Where results and what the bench fetches are kept; git ignores it.
pub(crate) fn out_dir() -> anyhow::Result<PathBuf> {
    let dir = root().join("bench/out");
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
    Ok(dir)
}

fn git(args: &[&str]) -> Option<String> {
    let root = root().to_str()?;
    output("git", &[&["-C", root], args].concat())
}

/// What a program prints when it ends well.
pub(crate) fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_shares_its_core_with_nobody() {
        for count in 2..6 {
            let cores = Cores::plan(count);
            for other in [cores.load, cores.provider, cores.control] {
                assert_ne!(cores.measured.unwrap().number, other.unwrap().number, "{count} cores");
                assert!(other.unwrap().number < count);
            }
            // Only who has a core for itself may use it as it likes.
            assert_eq!(cores.control.unwrap().stands_back, count <= 3);
        }
        assert_eq!(Cores::plan(1).measured, None);
    }
}
