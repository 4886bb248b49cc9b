//! Installs a Debian package where we may, else says how.

use anyhow::{Context as _, bail};
use std::process::{Command, Stdio};

/// Installs `package`, which is wanted for `purpose`. Needs root and apt-get; the error without them holds the command to type.
pub(crate) fn install(package: &str, purpose: &str) -> anyhow::Result<()> {
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {package}");
    if !crate::exists("apt-get") {
        bail!(
            "{purpose} is missing, and there is no apt-get here: install it (Debian calls it {package}) and run this again"
        );
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("{purpose} is missing; install it and run this again:\n\n    sudo sh -c '{by_hand}'\n");
    }
    crate::tell(&format!("installing Debian's {package} ({purpose}) …"));
    // Stale package lists are the usual cause of a failed install, and their renewal costs little.
    apt_get(&["update"]).with_context(|| format!("{purpose} is missing and could not be installed: {by_hand}"))?;
    apt_get(&["install", "-y", "--no-install-recommends", package])
        .with_context(|| format!("{purpose} is missing and could not be installed: {by_hand}"))
}

fn apt_get(args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("apt-get")
        .args(["-q", "-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("can't start apt-get")?;
    if !output.status.success() {
        bail!(
            "apt-get {}: {}",
            args[0],
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
