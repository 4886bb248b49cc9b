//! What a skeleton left to be filled in, and nobody did.
//!
//! Not here: `todo!` in code, which the compiler's lints find.

use super::Outcome;
use anyhow::Context as _;
use std::process::Command;

/// The mark in the templates of `cargo xtask new`.
const MARK: &str = "FILL IN:";
/// Where the mark may stand.
const ALLOWED: &str = "xtask/";

/// Reports every line that is marked, in all files that git knows or would add.
pub(super) fn check() -> anyhow::Result<Outcome> {
    let output = Command::new("git")
        .args(["grep", "--line-number", "--untracked", "-I", "--fixed-strings", MARK])
        .current_dir(crate::root())
        .output()
        .context("can't start git")?;
    // 1: nothing found.
    if !matches!(output.status.code(), Some(0 | 1)) {
        anyhow::bail!("git grep: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(Outcome::Checked(marked(&String::from_utf8_lossy(&output.stdout))))
}

/// The lines that may not be marked.
fn marked(found: &str) -> Vec<String> {
    let lines = found.lines().filter(|line| !line.starts_with(ALLOWED));
    lines.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_templates_may_be_unfinished() {
        let found = "docs/providers/acme.md:3:FILL IN: how\nxtask/templates/provider.txt:1:FILL IN: how\n";
        assert_eq!(marked(found), ["docs/providers/acme.md:3:FILL IN: how"]);
    }
}
