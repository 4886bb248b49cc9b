//! `cargo xtask test`: all that the tests need, then the tests, then nothing left behind.

use crate::{faketime, node, postgres, python, runner::Runner};
use lychgate_postgres::Server;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Runs the tests; `args` go to the runner (cargo-nextest where it is installed, else `cargo test`).
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let runner = Runner::new()?;
    let prepared = prepare();
    // An interrupted preparation fails in odd ways that nobody wants to read.
    if let Some(code) = runner.interrupted() {
        return Ok(ExitCode::from(code));
    }
    let prepared = prepared?;
    let mut command = tests(args, crate::exists("cargo-nextest"));
    command
        .env("TEST_DATABASE_URL", prepared.server.url())
        .env("LYCHGATE_TEST_PYTHON", prepared.python)
        .env("LYCHGATE_TEST_SCHEMATHESIS", prepared.schemathesis)
        .env("LYCHGATE_TEST_NODE", prepared.node.program)
        .env("LYCHGATE_TEST_NODE_MODULES", prepared.node.modules)
        .env("LYCHGATE_TEST_CLIENTS", prepared.clients)
        .env("LYCHGATE_TEST_FAKETIME", prepared.faketime);
    Ok(ExitCode::from(runner.run(command)?))
}

/// What the tests need.
struct Prepared {
    python: PathBuf,
    schemathesis: PathBuf,
    node: node::Node,
    /// Empty where the coding agents can't be installed, as on a system that they are not made for.
    clients: PathBuf,
    faketime: PathBuf,
    /// Stopped and removed when dropped, in whichever way the run ends.
    server: Server,
}

fn prepare() -> anyhow::Result<Prepared> {
    let python = python::interpreter(python::SDKS)?;
    let schemathesis = python::interpreter(python::SCHEMATHESIS)?.with_file_name("st");
    let node = node::prepare()?;
    let clients = node::clients().unwrap_or_else(|why| {
        crate::tell(&format!("SKIPPED: the tests with the coding agents: {why:#}"));
        PathBuf::new()
    });
    let faketime = faketime::find_or_install()?;
    let binaries = postgres::find_or_install()?;
    Ok(Prepared {
        python,
        schemathesis,
        node,
        clients,
        faketime,
        server: postgres::start(&binaries)?,
    })
}

fn tests(args: &[OsString], nextest: bool) -> Command {
    let mut command = crate::cargo();
    if nextest {
        command.args(["nextest", "run"]);
    } else {
        // The same tests as nextest finds: none in documentation.
        command.args(["test", "--no-fail-fast", "--all-targets"]);
    }
    // Cargo takes --workspace before -p, so that a narrowed run would run all.
    if !args.iter().any(|arg| names_packages(&arg.to_string_lossy())) {
        command.arg("--workspace");
    }
    command.args(args);
    command
}

fn names_packages(arg: &str) -> bool {
    arg == "--package" || arg.starts_with("--package=") || (arg.starts_with("-p") && !arg.starts_with("--"))
}

#[cfg(test)]
mod tests {
    fn line(args: &[&str], nextest: bool) -> String {
        let args: Vec<_> = args.iter().map(Into::into).collect();
        let command = super::tests(&args, nextest);
        command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn all_packages_are_tested_unless_some_are_named() {
        assert_eq!(line(&[], true), "nextest run --workspace");
        assert_eq!(line(&["a_test"], true), "nextest run --workspace a_test");
        assert_eq!(line(&["-p", "lychgate-authz"], true), "nextest run -p lychgate-authz");
        assert_eq!(
            line(&["-plychgate-authz", "x"], false),
            "test --no-fail-fast --all-targets -plychgate-authz x"
        );
        assert_eq!(
            line(&["--package=xtask"], false),
            "test --no-fail-fast --all-targets --package=xtask"
        );
        assert_eq!(line(&["--profile", "ci"], true), "nextest run --workspace --profile ci");
    }
}
