//! Cargo's plug-ins that the project's checks use, each in one pinned version.
//!
//! A plug-in of `PATH` is used when it has that version. Otherwise it is built from the registry once, under `target/tools`,
//! with little optimisation: each runs for a second, so most of its cost is its own compilation.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One plug-in.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Licences, bans, versions, sources and advisories of dependencies.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// Unused dependencies. Later versions need a newer Rust than `rust-toolchain.toml` pins.
pub(crate) const CARGO_SHEAR: Tool = Tool {
    name: "cargo-shear",
    version: "1.13.4",
};

impl Tool {
    /// The program's path.
    pub(crate) fn find_or_install(&self) -> anyhow::Result<PathBuf> {
        if self.is_at(Path::new(self.name)) {
            return Ok(self.name.into());
        }
        let tools = crate::target_dir().join("tools");
        let root = tools.join(format!("{}-{}", self.name, self.version));
        let program = root.join("bin").join(self.name);
        let _lock = crate::lock("tools")?;
        if !self.is_at(&program) {
            crate::tell(&format!("installing {} {} …", self.name, self.version));
            self.install(&root, &tools.join("build"))?;
        }
        Ok(program)
    }

    fn install(&self, root: &Path, build: &Path) -> anyhow::Result<()> {
        let mut command = crate::cargo();
        command
            .args(["install", "--quiet", "--locked", "--version", self.version, self.name])
            .args([Path::new("--root"), root, Path::new("--target-dir"), build])
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        crate::run_quietly(&mut command)
            .with_context(|| format!("{} {} could not be installed", self.name, self.version))?;
        let program = root.join("bin").join(self.name);
        if !self.is_at(&program) {
            bail!("{} does not say that it is version {}", program.display(), self.version);
        }
        std::fs::remove_dir_all(build).with_context(|| format!("can't remove {}", build.display()))
    }

    fn is_at(&self, program: &Path) -> bool {
        let asked = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        asked.is_ok_and(|output| output.status.success() && names_version(&output.stdout, self.version))
    }
}

/// Whether the output of `--version` names this very version.
fn names_version(output: &[u8], version: &str) -> bool {
    String::from_utf8_lossy(output)
        .split_whitespace()
        .any(|word| word == version)
}

#[cfg(test)]
mod tests {
    #[test]
    fn another_version_is_not_taken_for_the_pinned_one() {
        let names = super::names_version;
        assert!(names(b"cargo-deny 0.20.2\n", "0.20.2"));
        assert!(names(b"Version: 1.13.4\n", "1.13.4"));
        assert!(!names(b"cargo-deny 0.20.21\n", "0.20.2"));
        assert!(!names(b"", "0.20.2"));
    }
}
