//! "Add an endpoint" in `docs/checklists.md`, held against the tree and the OpenAPI document.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const CHECKLISTS: &str = include_str!("../../../../docs/checklists.md");
const ROUTER: &str = include_str!("../../src/api/router.rs");
const DOCUMENT: &str = include_str!("../../openapi.json");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// (noun, verb, function) of every handler that the router serves: `keys::create::ai_gateway_key_create`.
fn handlers() -> Vec<(String, String, String)> {
    let arguments = ROUTER
        .split("routes!(")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap());
    let names = arguments
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let parts: Vec<_> = name.split("::").map(str::to_owned).collect();
            let [noun, verb, function] = <[String; 3]>::try_from(parts).unwrap();
            (noun, verb, function)
        })
        .collect()
}

#[test]
fn an_endpoint_touches_what_its_checklist_names() {
    let section = CHECKLISTS.split("\n## Add an endpoint\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let paths: Vec<_> = section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("crates/"))
        .collect();
    assert!(paths.len() >= 8, "{paths:?}");

    let handlers = handlers();
    assert!(handlers.len() > 25, "{handlers:?}");
    for (noun, verb, function) in &handlers {
        for path in &paths {
            // The tests of a noun may be several files, of which one begins with its name.
            if *path == "crates/control/tests/it/<noun>.rs" {
                continue;
            }
            let path = path.replace("<noun>", noun).replace("<verb>", verb);
            assert!(root().join(&path).exists(), "{function}: {path}");
        }
        let file = read(&format!("crates/control/src/api/routes/{noun}/{verb}.rs"));
        assert!(
            file.contains(&format!("async fn {function}(")),
            "{function} is not in {noun}/{verb}.rs"
        );
        let module = read(&format!("crates/control/src/api/routes/{noun}.rs"));
        assert!(
            module.contains(&format!("mod {verb};")),
            "{noun}.rs has no module {verb}"
        );
    }
}

#[test]
fn every_handler_is_an_operation_of_the_document_and_the_reverse() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let items = document["paths"].as_object().unwrap().values();
    let operations: BTreeSet<String> = items
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    let served: BTreeSet<String> = handlers().into_iter().map(|(_, _, function)| function).collect();
    assert_eq!(operations, served);
}
