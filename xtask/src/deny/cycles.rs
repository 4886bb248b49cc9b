//! Import cycles between the top-level modules of a crate, and modules that the product must not import.

use super::modules::{self, Import, Imports};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// The crates whose modules are held to this.
const CRATES: &[&str] = &["gateway", "control", "store", "link"];
/// Modules for tests, bench and fuzzing: no other module of their crate imports them.
const CLOSED: &[(&str, &str)] = &[("gateway", "harness"), ("control", "simulation")];

/// Reports each cycle with the imports that make it, shortest first.
pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for krate in CRATES {
        let imports = modules::imports(crate::root(), &Path::new("crates").join(krate))?;
        problems.extend(cycles(&imports).iter().map(|cycle| describe(krate, cycle, &imports)));
        let closed = CLOSED.iter().filter(|(owner, _)| owner == krate);
        for module in closed.map(|(_, module)| *module) {
            for (importer, imported) in &imports {
                let into = imported.get(module).into_iter().flatten();
                problems.extend(into.map(|import| format!("{krate}: {importer} imports {module}: {}", at(import))));
            }
        }
    }
    Ok(problems)
}

/// For each import that is part of a cycle the shortest one that it is part of; each cycle once, beginning with the module
/// that comes first in the alphabet.
fn cycles(imports: &Imports) -> Vec<Vec<&str>> {
    let mut found = BTreeSet::new();
    for (from, imported) in imports {
        for to in imported.keys() {
            if let Some(mut cycle) = shortest_path(imports, to, from) {
                let first = (0..cycle.len()).min_by_key(|at| cycle[*at]).unwrap_or(0);
                cycle.rotate_left(first);
                found.insert((cycle.len(), cycle));
            }
        }
    }
    found.into_iter().map(|(_, cycle)| cycle).collect()
}

/// The modules on a shortest way from one to another, both included.
fn shortest_path<'a>(imports: &'a Imports, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, Option<&str>> = BTreeMap::from([(from, None)]);
    let mut ahead = VecDeque::from([from]);
    while let Some(module) = ahead.pop_front() {
        if module == to {
            let mut path: Vec<_> =
                std::iter::successors(Some(module), |at| came_from.get(at).copied().flatten()).collect();
            path.reverse();
            return Some(path);
        }
        for next in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            came_from.entry(next).or_insert_with(|| {
                ahead.push_back(next);
                Some(module)
            });
        }
    }
    None
}

fn describe(krate: &str, cycle: &[&str], imports: &Imports) -> String {
    let mut text = format!("{krate}: {} → {}", cycle.join(" → "), cycle[0]);
    for (at, from) in cycle.iter().enumerate() {
        let to = cycle[(at + 1) % cycle.len()];
        let all = imports.get(*from).and_then(|imported| imported.get(to));
        if let Some([first, more @ ..]) = all.map(Vec::as_slice) {
            let more = if more.is_empty() {
                String::new()
            } else {
                format!(" (and {} more)", more.len())
            };
            text.push_str(&format!("\n      {}{more}", self::at(first)));
        }
    }
    text
}

fn at(import: &Import) -> String {
    format!("{}:{}: {}", import.file.display(), import.line, import.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(edges: &[(&str, &str)]) -> Imports {
        let mut imports = Imports::new();
        for (from, to) in edges {
            let import = Import {
                file: format!("{from}.rs").into(),
                line: 1,
                path: format!("crate::{to}::X"),
            };
            let imported = imports.entry((*from).to_owned()).or_default();
            imported.entry((*to).to_owned()).or_default().push(import);
        }
        imports
    }

    #[test]
    fn each_cycle_is_found_once_and_the_shortest_first() {
        let none = imports(&[("a", "b"), ("b", "c"), ("a", "c")]);
        assert!(cycles(&none).is_empty());
        let two = imports(&[("d", "b"), ("b", "c"), ("c", "d"), ("a", "b"), ("c", "b")]);
        assert_eq!(cycles(&two), [vec!["b", "c"], vec!["b", "c", "d"]]);
    }

    #[test]
    fn a_cycle_is_described_with_the_imports_that_make_it() {
        let imports = imports(&[("a", "b"), ("b", "a"), ("b", "a")]);
        assert_eq!(
            describe("gateway", &["a", "b"], &imports),
            "gateway: a → b → a\n      a.rs:1: crate::b::X\n      b.rs:1: crate::a::X (and 1 more)"
        );
    }
}
