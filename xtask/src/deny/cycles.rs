//! Import cycles between the top-level modules of a crate, and modules that the product must not import.

use super::Outcome;
use super::modules::{self, Import, Imports};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// The crates whose modules are held to this.
const CRATES: &[&str] = &["gateway", "control", "store", "link"];
/// Modules for tests, bench and fuzzing: no other module of their crate imports them.
const CLOSED: &[(&str, &str)] = &[("gateway", "harness"), ("control", "simulation")];

/// Reports cycles with the imports that make them.
pub(super) fn check() -> anyhow::Result<Outcome> {
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
    Ok(Outcome::Checked(problems))
}

/// Cycles that share no import, so that each needs a change of its own, shortest first. There are none exactly where the imports
/// have no cycle. Each begins with the module that comes first in the alphabet.
fn cycles(imports: &Imports) -> Vec<Vec<&str>> {
    let mut rest: Edges<'_> = imports
        .iter()
        .map(|(from, imported)| (from.as_str(), imported.keys().map(String::as_str).collect()))
        .collect();
    let mut found = Vec::new();
    while let Some(mut cycle) = shortest_cycle(&rest) {
        for (from, to) in pairs(&cycle) {
            if let Some(imported) = rest.get_mut(from) {
                imported.remove(to);
            }
        }
        let first = (0..cycle.len()).min_by_key(|at| cycle[*at]).unwrap_or(0);
        cycle.rotate_left(first);
        found.push(cycle);
    }
    found
}

/// For each module those that it imports.
type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn shortest_cycle<'a>(edges: &Edges<'a>) -> Option<Vec<&'a str>> {
    edges
        .iter()
        .flat_map(|(from, imported)| imported.iter().map(move |to| (from, to)))
        .filter_map(|(from, to)| shortest_path(edges, to, from))
        .min_by_key(Vec::len)
}

/// The modules on a shortest way from one to another, both included.
fn shortest_path<'a>(edges: &Edges<'a>, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, Option<&str>> = BTreeMap::from([(from, None)]);
    let mut ahead = VecDeque::from([from]);
    while let Some(module) = ahead.pop_front() {
        if module == to {
            let mut path: Vec<_> =
                std::iter::successors(Some(module), |at| came_from.get(at).copied().flatten()).collect();
            path.reverse();
            return Some(path);
        }
        for next in edges.get(module).into_iter().flatten() {
            came_from.entry(next).or_insert_with(|| {
                ahead.push_back(next);
                Some(module)
            });
        }
    }
    None
}

/// Each module of a cycle with the next, and the last with the first.
fn pairs<'a>(cycle: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let next = cycle.iter().cycle().skip(1);
    cycle.iter().copied().zip(next.copied()).collect()
}

fn describe(krate: &str, cycle: &[&str], imports: &Imports) -> String {
    let mut text = format!("{krate}: {} → {}", cycle.join(" → "), cycle[0]);
    for (from, to) in pairs(cycle) {
        let all = imports.get(from).and_then(|imported| imported.get(to));
        if let Some([first, more @ ..]) = all.map(Vec::as_slice) {
            let more = if more.is_empty() {
                String::new()
            } else {
                format!(" (and {} more)", more.len())
            };
            text.push_str(&format!("\n      {}{more}", at(first)));
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
    fn cycles_are_found_shortest_first_and_share_no_import() {
        let none = imports(&[("a", "b"), ("b", "c"), ("a", "c")]);
        assert!(cycles(&none).is_empty());
        let shared = imports(&[("d", "b"), ("b", "c"), ("c", "d"), ("a", "b"), ("c", "b")]);
        assert_eq!(cycles(&shared), [vec!["b", "c"]], "the longer one ends with it");
        let two = imports(&[("d", "b"), ("b", "d"), ("a", "b"), ("b", "c"), ("c", "a")]);
        assert_eq!(cycles(&two), [vec!["b", "d"], vec!["a", "b", "c"]]);
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
