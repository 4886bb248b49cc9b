//! The store's checklists in `docs/checklists.md`, held against the tree.

use crate::source;
use std::collections::BTreeSet;
use std::path::Path;

const CHECKLISTS: &str = include_str!("../../../../docs/checklists.md");
const OURS: [&str; 3] = [
    "Add a query",
    "Change the schema",
    "Add a change that replicas must hear of",
];

/// What the checklist of this title says.
fn section(title: &str) -> &'static str {
    let rest = CHECKLISTS.split(&format!("\n## {title}\n")).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no checklist {title}"));
    rest.split("\n## ").next().unwrap()
}

#[test]
fn every_path_in_a_checklist_is_there() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for title in OURS {
        let words = section(title).split('`').skip(1).step_by(2);
        let paths: Vec<_> = words.filter(|word| word.starts_with("crates/")).collect();
        assert!(paths.len() >= 3, "{title}: {paths:?}");
        for path in paths {
            // One noun stands for all.
            let path = path.replace("<noun>", "providers");
            assert!(root.join(&path).exists(), "{title}: {path}");
        }
    }
}

/// The files in one folder of `src`, as paths from there.
fn below(folder: &str) -> BTreeSet<String> {
    let files = source::files().into_iter();
    let names = files.filter_map(|(path, _)| path.strip_prefix(folder).map(str::to_owned));
    names
        .filter(|name| name != "mod.rs" && !name.starts_with("tests"))
        .collect()
}

#[test]
fn rows_statements_and_methods_of_a_noun_have_the_same_name() {
    let (rows, statements, all) = (below("rows/"), below("sql/"), below(""));
    assert!(rows.len() > 5 && statements.len() > 5);
    let without: Vec<_> = rows.difference(&statements).collect();
    assert!(without.is_empty(), "rows without statements: {without:?}");
    let without: Vec<_> = statements.difference(&all).collect();
    assert!(without.is_empty(), "statements without methods: {without:?}");
}

/// Who may call a method says nothing of what it does.
#[test]
fn every_method_of_the_store_is_called_by_a_test_of_what_it_does() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it"));
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !["rights.rs", "checklists.rs"].contains(&path.file_name().unwrap().to_str().unwrap()) {
            text += &std::fs::read_to_string(path).unwrap();
        }
    }
    let methods = source::store_methods().into_iter().map(|method| method.name);
    let untested: Vec<_> = methods.filter(|name| !text.contains(&format!(".{name}("))).collect();
    // Outages of the database are the end-to-end tests'.
    assert_eq!(
        untested,
        ["watch"],
        "what the others do is tested nowhere in crates/store/tests/it"
    );
}
