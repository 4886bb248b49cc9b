//! The layering of our own crates: none depends on one above it, and some packages must stay out of a crate, however long the
//! chain of dependencies.

use super::Outcome;
use anyhow::{Context as _, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::process::Stdio;

/// Our crates from the bottom of the house to its roof. A crate may depend on those before it.
const HOUSE: &[&str] = &[
    "lychgate-types",
    "lychgate-telemetry",
    "lychgate-authz",
    "lychgate-stream",
    "lychgate-wire",
    "lychgate-clouds",
    "lychgate-store",
    "lychgate-link",
    "lychgate-gateway",
    "lychgate-control",
    "lychgate-scripted",
    "lychgate-postgres",
    "lychgate-testkit",
    "lychgate",
    "lychgate-bench",
    "xtask",
];
/// What must not be compiled into a crate, neither directly nor through others, and why.
const SHUT: &[(&str, &[&str], &str)] = &[
    ("lychgate-types", IMPURE, "types are pure"),
    ("lychgate-authz", IMPURE, "authorisation is pure"),
    ("lychgate-wire", IMPURE, "formats are pure"),
    ("lychgate-clouds", IMPURE, "grants are pure"),
    (
        "lychgate-gateway",
        &["lychgate-store", "sqlx", "sqlx-core"],
        "a replica never opens the database",
    ),
    (
        "lychgate-link",
        &["lychgate-store", "sqlx", "sqlx-core"],
        "a replica never opens the database",
    ),
    (
        "lychgate-stream",
        &["lychgate-types", "axum"],
        "body pieces know no words of ours",
    ),
    (
        "lychgate",
        &["lychgate-testkit", "lychgate-postgres"],
        "the test bench does not ship",
    ),
    (
        "xtask",
        &["tokio", "lychgate-types"],
        "it compiles in seconds and knows no crate that ships",
    ),
];
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "hyper",
    "axum",
    "sqlx",
    "sqlx-core",
    "tracing-subscriber",
];

/// Reports what goes against the direction.
pub(super) fn check() -> anyhow::Result<Outcome> {
    let mut metadata = MetadataCommand::new();
    metadata.current_dir(crate::root()).no_deps();
    let metadata = metadata.exec().context("Cargo can't describe the workspace")?;
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let Some(layer) = layer(name) else {
            problems.push(format!("{name} has no layer: give it one in xtask/src/deny/house.rs"));
            continue;
        };
        let shipped = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development);
        for dependency in shipped {
            if self::layer(&dependency.name).is_some_and(|other| other > layer) {
                problems.push(format!("{name} depends on {}, which is above it", dependency.name));
            }
        }
    }
    for (name, packages, reason) in SHUT {
        let inside = compiled_into(name)?;
        let found = packages
            .iter()
            .filter(|package| inside.iter().any(|other| other == *package));
        problems.extend(found.map(|package| format!("{package} is compiled into {name}: {reason}")));
    }
    Ok(Outcome::Checked(problems))
}

fn layer(name: &str) -> Option<usize> {
    HOUSE.iter().position(|other| *other == name)
}

/// The names of all packages that are compiled into a crate, other than for its tests, on any platform.
fn compiled_into(name: &str) -> anyhow::Result<Vec<String>> {
    let output = crate::cargo()
        .args([
            "tree",
            "--locked",
            "--all-features",
            "--target",
            "all",
            "--edges",
            "normal,build",
        ])
        .args(["--prefix", "none", "--format", "{p}", "--package", name])
        .stdin(Stdio::null())
        .output()
        .context("can't start cargo")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect())
}
