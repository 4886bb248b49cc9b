//! `cargo xtask generate`: writes the generated files. The code that makes each of them lives in the test that guards it against
//! drift; with `UPDATE_GENERATED` set that test writes instead of comparing.

use anyhow::{Context as _, bail};
use std::ffi::OsString;
use std::process::{ExitCode, Stdio};

/// The crates that hold generated files. The guarding tests' names hold the word `committed`.
const PACKAGES: &[&str] = &[
    "lychgate-telemetry",
    "lychgate-authz",
    "lychgate-link",
    "lychgate-control",
    "lychgate",
];

/// Writes all of them, or those of the crates that are named: `control` or `lychgate-control`.
pub(crate) fn run(names: &[OsString]) -> anyhow::Result<ExitCode> {
    for package in chosen(names)? {
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

fn chosen(names: &[OsString]) -> anyhow::Result<Vec<&'static str>> {
    if names.is_empty() {
        return Ok(PACKAGES.to_vec());
    }
    let find = |name: &OsString| {
        let name = name.to_string_lossy();
        let short = |package: &str| package.trim_start_matches("lychgate-").to_owned();
        let found = PACKAGES.iter().find(|package| short(package) == short(&name));
        found
            .copied()
            .with_context(|| format!("`{name}` has no generated files; these have: {}", PACKAGES.join(", ")))
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_chosen_by_their_names() {
        let names = |names: &[&str]| names.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap(), PACKAGES);
        assert_eq!(
            chosen(&names(&["control", "lychgate-link"])).unwrap(),
            ["lychgate-control", "lychgate-link"]
        );
        assert!(
            chosen(&names(&["store"]))
                .unwrap_err()
                .to_string()
                .contains("lychgate-control")
        );
    }
}
