//! The direction of our own crates: none names one above it, and some doors stay shut however long the way to them.

use super::graph::Graph;

/// Our crates from the bottom of the house to its roof. A crate may depend on those before it.
const HOUSE: &[&str] = &[
    "lychgate-types",
    "lychgate-telemetry",
    "lychgate-authz",
    "lychgate-stream",
    "lychgate-wire",
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

/// Says what goes against the direction.
pub(super) fn check(graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for member in graph.members() {
        let name = member.package.name.as_str();
        let Some(floor) = floor(name) else {
            problems.push(format!(
                "{name} has no place in the house: give it one in xtask/src/deny/house.rs"
            ));
            continue;
        };
        for dependency in graph.nodes(&member.shipped) {
            if self::floor(&dependency.package.name).is_some_and(|other| other > floor) {
                problems.push(format!(
                    "{name} depends on {}, which stands above it",
                    dependency.package.name
                ));
            }
        }
        let shut = SHUT.iter().filter(|(crate_name, ..)| *crate_name == name);
        let inside = graph.compiled_with(member);
        for (packages, reason) in shut.map(|(_, packages, reason)| (packages, reason)) {
            for found in packages
                .iter()
                .filter(|package| inside.iter().any(|node| node.package.name.as_str() == **package))
            {
                problems.push(format!("{name} has {found} compiled into it: {reason}"));
            }
        }
    }
    problems
}

fn floor(name: &str) -> Option<usize> {
    HOUSE.iter().position(|other| *other == name)
}
