//! `cargo xtask deny`: the dependency policy of `deny.toml`, and the direction of our own crates. Needs no tool beside Cargo, so
//! that CI runs it anywhere; where cargo-deny is installed it is asked too, about the same file.
//!
//! It knows less than cargo-deny: it believes the licence that a package declares, and looks at no advisories.

mod bans;
mod graph;
mod house;
mod licences;
mod policy;
mod unused;

use anyhow::{Context as _, bail};
use graph::Graph;
use policy::Policy;
use std::process::ExitCode;

/// Checks all, and reports all that is wrong at once.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let policy = Policy::read(&crate::root().join("deny.toml"))?;
    let graph = Graph::read(&policy.graph.targets)?;
    let mut problems = licences::check(&policy.licenses, &graph);
    problems.extend(bans::check(&policy.bans, &graph));
    problems.extend(bans::check_sources(&graph));
    problems.extend(house::check(&graph));
    problems.extend(unused::check(&graph)?);
    if crate::exists("cargo-deny") {
        let status = crate::cargo()
            .args(["deny", "--locked", "check", "licenses", "bans", "sources"])
            .status()
            .context("can't start cargo-deny")?;
        if !status.success() {
            problems.push("cargo-deny is not content, see above".to_owned());
        }
    }
    if !problems.is_empty() {
        bail!(
            "{} problems with the dependencies:\n  {}",
            problems.len(),
            problems.join("\n  ")
        );
    }
    crate::say(&format!(
        "{} packages: licences, bans, versions, sources, direction and use are as they should be",
        graph.len()
    ));
    Ok(ExitCode::SUCCESS)
}
