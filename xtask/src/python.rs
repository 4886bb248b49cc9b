//! Pythons with the providers' official SDKs and with Schemathesis, for the tests that drive Lychgate with them. Each has an
//! environment of its own, so that neither chooses the other's versions.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment with the SDKs: its name under `target/`, and what is to be installed, every version pinned.
pub(crate) const SDKS: (&str, &str) = ("test-python", "tests-sdk/requirements.txt");
/// The environment with Schemathesis.
pub(crate) const SCHEMATHESIS: (&str, &str) = ("test-schemathesis", "tests-sdk/schemathesis.txt");

/// The interpreter of a virtual environment with these packages. It is made where it is missing or was made from other
/// requirements; a copy of them, written last, tells which.
pub(crate) fn interpreter((name, requirements): (&str, &str)) -> anyhow::Result<PathBuf> {
    let path = crate::root().join(requirements);
    let wanted = std::fs::read(&path).with_context(|| format!("can't read {requirements}"))?;
    let _lock = crate::lock(name)?;
    let venv = crate::target_dir().join(name);
    let python = venv.join("bin/python");
    let made_from = venv.join("made-from-requirements.txt");
    if python.exists() && std::fs::read(&made_from).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    crate::tell(&format!("making the tests' Python from {requirements} …"));
    make_venv(&venv)?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ];
    crate::run_quietly(Command::new(&python).args(install).arg(&path))
        .with_context(|| format!("the Python packages of {requirements} could not be installed"))?;
    std::fs::write(&made_from, &wanted).context("can't note what the tests' Python was made from")?;
    Ok(python)
}

fn make_venv(venv: &Path) -> anyhow::Result<()> {
    let make = |python: &str| {
        if venv.exists() {
            std::fs::remove_dir_all(venv).with_context(|| format!("can't remove {}", venv.display()))?;
        }
        crate::run_quietly(Command::new(python).args(["-m", "venv"]).arg(venv))
    };
    if make("python3").is_ok() {
        return Ok(());
    }
    // Debian's own python3 comes without venv, and it is the one that its package completes.
    crate::apt::install("python3-venv", "a Python that can make virtual environments")?;
    make("/usr/bin/python3").context("python3 can't make a virtual environment")
}
