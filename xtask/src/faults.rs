//! `cargo xtask faults`: many runs of the fault suite, which `cargo xtask test` runs a few of.

use crate::{faketime, postgres, runner::Runner};
use anyhow::{Context as _, bail};
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// What to run.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    seeds: u64,
    first: u64,
    jobs: u64,
    release: bool,
}

/// Runs as many seeds as `args` say; the test prints what they come to, and fails where one does.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let wanted = read(args)?;
    let runner = Runner::new()?;
    let prepared = faketime::find_or_install().and_then(|library| Ok((library, postgres::find_or_install()?)));
    if let Some(code) = runner.interrupted() {
        return Ok(ExitCode::from(code));
    }
    let (library, _) = prepared?;
    let mut command = suite(&wanted);
    command.env("LYCHGATE_TEST_FAKETIME", library);
    Ok(ExitCode::from(runner.run(command)?))
}

fn suite(wanted: &Wanted) -> Command {
    let mut command = crate::cargo();
    command.args(["test", "--quiet", "-p", "lychgate", "--test", "e2e"]);
    if wanted.release {
        // A busy machine is no excuse any more: the bounds that are stated are held.
        command.arg("--release").env("LYCHGATE_FAULT_STRICT", "1");
    }
    command.args([
        "--",
        "--exact",
        "faults::nothing_is_lost_and_nobody_is_stale",
        "--nocapture",
    ]);
    command
        .env("LYCHGATE_FAULT_SEEDS", wanted.seeds.to_string())
        .env("LYCHGATE_FAULT_FIRST", wanted.first.to_string())
        .env("LYCHGATE_FAULT_JOBS", wanted.jobs.to_string());
    command
}

fn read(args: &[OsString]) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted {
        seeds: 0,
        first: 1,
        // A run mostly waits.
        jobs: std::thread::available_parallelism().map_or(1, usize::from) as u64 * 3,
        release: false,
    };
    let mut args = args.iter().map(|arg| arg.to_string_lossy());
    while let Some(arg) = args.next() {
        let number = match &*arg {
            "--seeds" => &mut wanted.seeds,
            "--first" => &mut wanted.first,
            "--jobs" => &mut wanted.jobs,
            "--release" => {
                wanted.release = true;
                continue;
            }
            other => bail!(
                "I don't understand {other}; write cargo xtask faults --seeds N [--first SEED] [--jobs N] [--release]"
            ),
        };
        let text = args.next().with_context(|| format!("{arg} needs a number"))?;
        *number = text.parse().with_context(|| format!("{arg} {text}"))?;
    }
    if wanted.seeds == 0 {
        bail!("how many runs? write cargo xtask faults --seeds N");
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> anyhow::Result<Wanted> {
        super::read(&args.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read_and_what_is_wrong_with_them_is_told() {
        let wanted = read(&["--seeds", "20", "--release", "--first", "7", "--jobs", "2"]).unwrap();
        let same = Wanted {
            seeds: 20,
            first: 7,
            jobs: 2,
            release: true,
        };
        assert_eq!(wanted, same);
        for (args, told) in [
            (&[][..], "how many"),
            (&["--seeds"], "--seeds needs a number"),
            (&["--seeds", "x"], "--seeds x"),
            (&["--seed", "1"], "don't understand --seed"),
        ] {
            let error = read(args).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn only_a_release_build_is_held_to_the_bounds_without_an_excuse() {
        for release in [false, true] {
            let wanted = Wanted {
                seeds: 1,
                first: 1,
                jobs: 1,
                release,
            };
            let command = suite(&wanted);
            assert_eq!(command.get_args().any(|arg| arg == "--release"), release);
            assert_eq!(
                command.get_envs().any(|(name, _)| name == "LYCHGATE_FAULT_STRICT"),
                release
            );
        }
    }
}
