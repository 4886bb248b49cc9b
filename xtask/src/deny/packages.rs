//! The packages that we depend on, judged by cargo-deny (`deny.toml`) and cargo-shear. Both print what they find themselves.

use super::Outcome;
use crate::tools::{CARGO_DENY, CARGO_SHEAR};
use anyhow::Context as _;
use std::process::{Command, Stdio};

/// Names a clone of the advisory database that is used instead of the network.
const OFFLINE_COPY: &str = "LYCHGATE_ADVISORY_DB";
/// Where cargo-deny looks by default.
const ADVISORY_DB: &str = "https://github.com/RustSec/advisory-db";

/// Licences, bans, versions and sources. An entry of `deny.toml` that applies to nothing any more is an error.
pub(super) fn check() -> anyhow::Result<Outcome> {
    let mut command = deny(&[
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ])?;
    for stale in ["unmatched-skip", "unnecessary-skip", "license-not-encountered"] {
        command.args(["--deny", stale]);
    }
    judge(command, "cargo-deny")
}

/// Advisories. A database that can't be fetched is no failure: the check says that it was skipped, and why.
pub(super) fn check_advisories() -> anyhow::Result<Outcome> {
    let copy = std::env::var_os(OFFLINE_COPY);
    let mut fetch = deny(&["fetch", "db"])?;
    // A question for a password would wait for ever, a stalled transfer for hours.
    fetch.env("GIT_TERMINAL_PROMPT", "0");
    fetch
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1")
        .env("GIT_HTTP_LOW_SPEED_TIME", "60");
    if let Some(copy) = &copy {
        // cargo-deny fetches with git, and git can be told to look elsewhere.
        let elsewhere = crate::root().join(copy);
        fetch
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_VALUE_0", ADVISORY_DB);
        fetch.env(
            "GIT_CONFIG_KEY_0",
            format!("url.file://{}.insteadOf", elsewhere.display()),
        );
    }
    match (crate::run_quietly(&mut fetch), copy) {
        (Ok(()), _) => judge(
            deny(&["--offline", "check", "--hide-inclusion-graph", "advisories"])?,
            "cargo-deny",
        ),
        (Err(reason), Some(_)) => {
            Err(reason.context(format!("{OFFLINE_COPY} names no clone of the advisory database")))
        }
        (Err(reason), None) => Ok(Outcome::Skipped(format!(
            "the advisory database can't be fetched; {OFFLINE_COPY} may name a clone of {ADVISORY_DB}\n{reason}"
        ))),
    }
}

/// Dependencies that no code uses, or that only tests use though they are compiled for all.
pub(super) fn check_unused() -> anyhow::Result<Outcome> {
    let mut command = crate::in_root(CARGO_SHEAR.find_or_install()?);
    command.args(["--locked", "--deny-warnings"]);
    judge(command, "cargo-shear")
}

fn deny(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = crate::in_root(CARGO_DENY.find_or_install()?);
    command.args(args);
    Ok(command)
}

/// Runs a tool that prints what it finds.
fn judge(mut command: Command, name: &str) -> anyhow::Result<Outcome> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("can't start {name}"))?;
    let found = (!status.success()).then(|| format!("{name} found problems, see above"));
    Ok(Outcome::Checked(found.into_iter().collect()))
}
