//! A Node with the providers' official SDKs, and coding agents as their users install them, for the tests that drive Lychgate
//! with them.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that says which SDKs are to be installed, every version pinned.
const SDKS: &str = "tests-sdk/node";
/// The same for the coding agents, some 1.1 GB.
const CLIENTS: &str = "tests-sdk/clients";
/// What in such a folder says so; the lock file last.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
/// Node's oldest major version that the tests run on: what Debian has had since 2025. The SDKs pinned are the newest that run
/// on it (`openai` 7 and `@google/genai` 3 want Node 22).
const OLDEST: u32 = 20;

/// What the tests need of Node.
pub(crate) struct Node {
    /// The program.
    pub(crate) program: PathBuf,
    /// The `node_modules` that hold the SDKs.
    pub(crate) modules: PathBuf,
}

/// Finds or installs a Node, and installs the SDKs.
pub(crate) fn prepare() -> anyhow::Result<Node> {
    Ok(Node {
        program: find_or_install()?,
        modules: modules(SDKS, "test-node")?,
    })
}

/// The `node_modules` that hold the coding agents. Call it after [`prepare`].
pub(crate) fn clients() -> anyhow::Result<PathBuf> {
    modules(CLIENTS, "test-clients")
}

/// The `node_modules` with a folder's packages. They are installed where they are missing or were installed from another lock
/// file; a copy of it, written last, tells which. Nothing is written beside the sources.
fn modules(packages: &str, name: &str) -> anyhow::Result<PathBuf> {
    let sources = crate::root().join(packages);
    let wanted =
        std::fs::read(sources.join(FILES[1])).with_context(|| format!("can't read {packages}/{}", FILES[1]))?;
    let _lock = crate::lock(name)?;
    let dir = crate::target_dir().join(name);
    let modules = dir.join("node_modules");
    let made_from = dir.join("made-from-package-lock.json");
    if modules.exists() && std::fs::read(&made_from).is_ok_and(|have| have == wanted) {
        return Ok(modules);
    }
    crate::tell(&format!("installing the tests' Node packages of {packages} …"));
    install(&sources, &dir).with_context(|| format!("the Node packages of {packages} could not be installed"))?;
    std::fs::write(&made_from, &wanted).context("can't note what the tests' Node packages were installed from")?;
    Ok(modules)
}

fn install(sources: &Path, dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("can't remove {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    for file in FILES {
        std::fs::copy(sources.join(file), dir.join(file)).with_context(|| format!("can't copy {file}"))?;
    }
    crate::run_quietly(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(dir),
    )
}

/// The first Node of `PATH` that is new enough. Its npm is looked for too: Debian packs it apart.
fn find_or_install() -> anyhow::Result<PathBuf> {
    if find().is_none() {
        crate::apt::install("nodejs", &format!("Node {OLDEST} or newer"))?;
    }
    if !crate::exists("npm") {
        crate::apt::install("npm", "npm")?;
    }
    let Some(program) = find() else {
        bail!(
            "nodejs was installed, but no `node` of version {OLDEST} or newer is in PATH: install one and run this again"
        );
    };
    Ok(program)
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join("node"))
        .find(|program| {
            let asked = Command::new(program).arg("--version").output();
            asked.is_ok_and(|told| told.status.success() && major(&told.stdout) >= Some(OLDEST))
        })
}

/// Of what `node --version` prints: `v20.19.2`.
fn major(version: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(version).ok()?;
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_major_number() {
        assert_eq!(major(b"v20.19.2\n"), Some(20));
        assert!(major(b"v9.1.0\n") < Some(OLDEST));
        assert_eq!(major(b"not node"), None);
    }

    #[test]
    fn the_lock_files_pin_the_packages_and_name_no_host() {
        for packages in [SDKS, CLIENTS] {
            let read = |file| std::fs::read_to_string(crate::root().join(packages).join(file)).unwrap();
            let lock = read(FILES[1]);
            assert!(
                !lock.contains("\"resolved\""),
                "{packages}: write it with omit-lockfile-registry-resolved"
            );
            // `npm ci` itself refuses a lock file that does not fit.
            let package = read(FILES[0]);
            assert!(
                !package.contains(['^', '~', '*']),
                "{packages}: a package is not pinned to the exact version"
            );
        }
    }
}
