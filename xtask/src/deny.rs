//! `cargo xtask deny`: what must not be in the tree. Foreign packages are judged by cargo-deny and cargo-shear, our own code by
//! the checks in this folder.

mod cycles;
mod house;
mod modules;
mod packages;
mod sizes;
mod unfinished;

use crate::steps::{self, Step};
use anyhow::bail;
use std::ffi::OsString;
use std::process::ExitCode;

type Check = fn() -> anyhow::Result<Outcome>;

/// What a check comes to.
enum Outcome {
    /// All the problems that it found.
    Checked(Vec<String>),
    /// It could not be made, for this reason.
    Skipped(String),
}

const CHECKS: &[Step<Check>] = &[
    Step {
        name: "packages",
        about: "licences, bans, versions and sources of dependencies, by deny.toml",
        run: packages::check,
    },
    Step {
        name: "advisories",
        about: "known vulnerabilities of dependencies, where the advisory database can be had",
        run: packages::check_advisories,
    },
    Step {
        name: "unused",
        about: "dependencies that are declared and not used",
        run: packages::check_unused,
    },
    Step {
        name: "layers",
        about: "the direction of our own crates",
        run: house::check,
    },
    Step {
        name: "cycles",
        about: "import cycles between the modules of a crate",
        run: cycles::check,
    },
    Step {
        name: "sizes",
        about: "lengths of files, and lines of tests per line of code",
        run: sizes::check,
    },
    Step {
        name: "unfinished",
        about: "what `cargo xtask new` left to be filled in",
        run: unfinished::check,
    },
];

/// Runs the named checks, all of them by default, and reports all problems at once.
pub(crate) fn run(names: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut problems = Vec::new();
    for check in steps::choose(CHECKS, names)? {
        match (check.run)()? {
            Outcome::Skipped(reason) => crate::say(&format!("{:<11} SKIPPED: {reason}", check.name)),
            Outcome::Checked(found) => {
                let verdict = if found.is_empty() { "ok" } else { "FAILED" };
                crate::say(&format!("{:<11} {verdict}", check.name));
                problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", check.name)));
            }
        }
    }
    if !problems.is_empty() {
        bail!("problems found: {}\n  {}", problems.len(), problems.join("\n  "));
    }
    Ok(ExitCode::SUCCESS)
}
