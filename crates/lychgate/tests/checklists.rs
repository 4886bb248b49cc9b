//! `docs/checklists.md` is right about commands and metrics: what exists touches the files that it names, and no others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lychgate_telemetry::metrics::Metric;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// All Rust files below, by their path from the root of the repository.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// The text of a section of the checklists.
fn section(title: &str) -> String {
    let text = read("docs/checklists.md");
    let start = text
        .split_once(&format!("\n## {title}\n"))
        .unwrap_or_else(|| panic!("docs/checklists.md has no section {title:?}"))
        .1;
    start.split("\n## ").next().unwrap().to_owned()
}

/// A command's module is known to the file of the command line and to the dispatch, and to nothing else.
#[test]
fn a_command_touches_what_its_checklist_names() {
    let checklist = section("Add a command");
    for named in [
        "commands/<noun>.rs",
        "commands.rs",
        "args.rs",
        "main.rs",
        "tests/e2e/<noun>.rs",
        "README.md",
    ] {
        assert!(checklist.contains(named), "{named}");
    }
    let list = read("crates/lychgate/src/commands.rs");
    let nouns: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("pub(crate) mod ")?.strip_suffix(';'))
        .collect();
    assert!(nouns.len() >= 11, "{nouns:?}");
    let sources = sources("crates/lychgate/src");
    let tests = self::sources("crates/lychgate/tests/e2e");
    let documents = read("README.md") + &read("CONTRIBUTING.md");
    for noun in nouns {
        let (file, folder) = (
            format!("crates/lychgate/src/commands/{noun}.rs"),
            format!("crates/lychgate/src/commands/{noun}/"),
        );
        assert!(root().join(&file).exists(), "{file}");
        let without_options = format!("\n    {}{},\n", noun[..1].to_uppercase(), &noun[1..]);
        let touched: BTreeSet<&str> = sources
            .iter()
            .filter(|(path, text)| {
                *path != file
                    && !path.starts_with(&folder)
                    && (text.contains(&format!("{noun}::run("))
                        || text.contains(&format!("({noun}::"))
                        || text.contains(&without_options))
            })
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(
            touched,
            BTreeSet::from(["crates/lychgate/src/args.rs", "crates/lychgate/src/main.rs"]),
            "{noun}"
        );
        let tested = tests.iter().any(|(_, text)| text.contains(&format!("\"{noun}\"")));
        assert!(tested || noun == "completions", "no test runs `lychgate {noun}`");
        let is_documented = documents.contains(&format!("lychgate {noun}"));
        assert!(
            is_documented || ["completions", "whoami"].contains(&noun),
            "no document tells of `lychgate {noun}`"
        );
    }
}

/// A metric is in the list, and is written or counted where the checklist says.
#[test]
fn a_metric_touches_what_its_checklist_names() {
    let checklist = section("Add a metric");
    const PLACES: &[&str] = &[
        "crates/gateway/src/metrics.rs",
        "crates/gateway/src/counts.rs",
        "crates/control/src/metrics.rs",
    ];
    for named in PLACES.iter().chain(&[
        "crates/telemetry/src/metrics/list.rs",
        "crates/telemetry/src/metrics/labels.rs",
    ]) {
        assert!(checklist.contains(named), "{named}");
    }
    let sources: Vec<_> = ["gateway", "control", "lychgate"]
        .iter()
        .flat_map(|name| sources(&format!("crates/{name}/src")))
        .collect();
    let process = read("crates/telemetry/src/metrics/process.rs") + &read("crates/telemetry/src/metrics/page.rs");
    for metric in Metric::ALL {
        let word = format!("Metric::{metric:?}");
        let uses = |text: &str| {
            text.match_indices(&word)
                .any(|(at, _)| !text[at + word.len()..].starts_with(|c: char| c.is_alphanumeric()))
        };
        let places: Vec<&str> = sources
            .iter()
            .filter(|(_, text)| uses(text))
            .map(|(path, _)| path.as_str())
            .collect();
        assert!(!places.is_empty() || uses(&process), "{word} is written nowhere");
        for place in places {
            assert!(
                PLACES.contains(&place),
                "{word} is written in {place}, which the checklist does not name"
            );
        }
    }
}
