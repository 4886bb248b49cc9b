//! `cargo xtask ci`: what every change must pass, as steps, in the order of what fails soonest.

use crate::steps::{self, Step};
use anyhow::Context as _;
use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};

/// A step answers with the exit code to end with.
type Run = fn() -> anyhow::Result<ExitCode>;

const STEPS: &[Step<Run>] = &[
    Step {
        name: "fetch",
        about: "download all dependencies; fails where Cargo.lock is stale",
        run: || cargo("fetch --quiet --locked"),
    },
    Step {
        name: "fmt",
        about: "check the formatting",
        run: || cargo("fmt --all --check"),
    },
    Step {
        name: "deny",
        about: "cargo xtask deny: dependencies and structure",
        run: || crate::deny::run(&[]),
    },
    Step {
        name: "clippy",
        about: "lints, with warnings denied",
        run: || cargo("clippy --workspace --all-targets --locked -- -D warnings"),
    },
    Step {
        name: "fuzz",
        about: "compile the fuzz targets, which are a workspace of their own",
        run: fuzz_targets,
    },
    Step {
        name: "doc",
        about: "API documentation, with warnings and broken links denied",
        run: || documentation("doc --quiet --workspace --no-deps --document-private-items --locked"),
    },
    Step {
        name: "doctest",
        about: "examples in documentation",
        run: || documentation("test --doc --quiet --workspace --locked"),
    },
    // Last, so that the test runner's summary is the end of the output.
    Step {
        name: "test",
        about: "cargo xtask test: all tests; generated files are checked for drift here too",
        run: || crate::test::run(&["--locked".into()]),
    },
];

/// Runs the named steps, all of them by default, up to the first that fails.
pub(crate) fn run(names: &[OsString]) -> anyhow::Result<ExitCode> {
    for step in steps::choose(STEPS, names)? {
        crate::say(&format!("\n== {}", step.name));
        let code = (step.run)().with_context(|| format!("step {}", step.name))?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cargo(args: &str) -> anyhow::Result<ExitCode> {
    status(crate::cargo().args(args.split(' ')))
}

/// With the stable compiler, so without coverage: fuzzing itself needs nightly.
fn fuzz_targets() -> anyhow::Result<ExitCode> {
    let mut command = crate::cargo();
    command
        .args([
            "check",
            "--quiet",
            "--locked",
            "--all-targets",
            "--manifest-path",
            "fuzz/Cargo.toml",
        ])
        .arg("--target-dir")
        .arg(crate::target_dir().join("fuzz"))
        .env("RUSTFLAGS", "--cfg fuzzing");
    status(&mut command)
}

fn documentation(args: &str) -> anyhow::Result<ExitCode> {
    // The command line's help is written as doc comments, with URLs as users type them.
    let flags = "-D warnings -A rustdoc::bare-urls";
    status(crate::cargo().args(args.split(' ')).env("RUSTDOCFLAGS", flags))
}

fn status(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command.stdin(Stdio::null()).status().context("can't start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
