//! `cargo xtask generate`: writes the generated files. The code that makes each of them lives in the test that guards it against
//! drift; with `UPDATE_GENERATED` set that test writes instead of comparing.

use anyhow::{Context as _, bail};
use std::process::{ExitCode, Stdio};

/// The crates that hold generated files. The guarding tests' names hold the word `committed`.
const PACKAGES: &[&str] = &[
    "lychgate-telemetry",
    "lychgate-authz",
    "lychgate-link",
    "lychgate-control",
];

/// Writes all of them.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    for package in PACKAGES {
        let output = crate::cargo()
            .args([
                "test",
                "--quiet",
                "--package",
                package,
                "committed",
                "--",
                "--format=pretty",
            ])
            .env("UPDATE_GENERATED", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("can't start cargo")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{package}:\n{text}");
        }
        let written: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"))
            .collect();
        if written.is_empty() {
            bail!("{package} has no test whose name holds `committed`: nothing was generated");
        }
        for test in written {
            crate::say(&format!("{package}: {test}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
