//! Dependencies that a crate declares and never names in its code.

use super::graph::Graph;
use anyhow::Context as _;
use cargo_metadata::{DependencyKind, Package};
use std::collections::BTreeSet;
use std::path::Path;

/// Says which they are: of each crate, and of the workspace's common list.
pub(super) fn check(graph: &Graph) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut declared = BTreeSet::new();
    for member in graph.members() {
        let package = &member.package;
        declared.extend(package.dependencies.iter().map(|dependency| dependency.name.clone()));
        let words = words(package)?;
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            if !words.contains(&name.replace('-', "_")) {
                let kind = if dependency.kind == DependencyKind::Development {
                    "dev-dependency"
                } else {
                    "dependency"
                };
                problems.push(format!("{} never uses its {kind} {name}", package.name));
            }
        }
    }
    problems.extend(
        common_list()?
            .into_iter()
            .filter(|name| !declared.contains(name))
            .map(|name| format!("the workspace's list of dependencies holds {name}, which no crate takes")),
    );
    Ok(problems)
}

/// All words of a crate's code, comments included: good enough to find what is never named.
fn words(package: &Package) -> anyhow::Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    let root = package
        .manifest_path
        .parent()
        .context("a manifest without a directory")?;
    let mut folders = vec![root.as_std_path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
            let path = entry
                .with_context(|| format!("can't read {}", folder.display()))?
                .path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                collect_words(&path, &mut words)?;
            }
        }
    }
    Ok(words)
}

fn collect_words(path: &Path, words: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
        if !words.contains(word) {
            words.insert(word.to_owned());
        }
    }
    Ok(())
}

/// The names in `[workspace.dependencies]`.
fn common_list() -> anyhow::Result<Vec<String>> {
    let path = crate::root().join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let manifest: toml::Table = toml::from_str(&text).context("Cargo.toml does not read as TOML")?;
    let list = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(toml::Value::as_table);
    Ok(list
        .context("Cargo.toml has no [workspace.dependencies]")?
        .keys()
        .cloned()
        .collect())
}
