//! Packages that may not be in the tree, second versions, and where packages come from.

use super::graph::Graph;
use super::policy::Bans;

/// Says which banned packages and which untold second versions there are, and which entries of the list of tolerated versions
/// tolerate nothing any more.
pub(super) fn check(policy: &Bans, graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for node in graph.all() {
        let package = &node.package;
        for ban in policy
            .deny
            .iter()
            .filter(|ban| ban.package.matches(&package.name, &package.version))
        {
            let users: Vec<_> = graph
                .users_of(node)
                .into_iter()
                .filter(|user| !ban.wrappers.contains(user))
                .collect();
            if !users.is_empty() {
                let users = users.join(", ");
                problems.push(format!(
                    "{} {} is banned ({}); used by {users}",
                    package.name, package.version, ban.reason
                ));
            }
        }
    }
    let versions = graph.versions();
    for (name, versions) in &versions {
        let untold: Vec<_> = versions
            .iter()
            .filter(|(version, _)| !policy.skip.iter().any(|skip| skip.package.matches(name, version)))
            .collect();
        if untold.len() > 1 {
            let users: Vec<_> = untold
                .iter()
                .map(|(version, node)| format!("{version} (used by {})", graph.users_of(node).join(", ")))
                .collect();
            problems.push(format!("{name} is there in several versions: {}", users.join(" and ")));
        }
    }
    for skip in &policy.skip {
        let needed = versions.iter().any(|(name, versions)| {
            versions.len() > 1 && versions.keys().any(|version| skip.package.matches(name, version))
        });
        if !needed {
            problems.push(format!(
                "deny.toml still tolerates {}, which is no second version any more",
                skip.package.text
            ));
        }
    }
    problems
}

/// Says which packages come from elsewhere than the public registry or this workspace.
pub(super) fn check_sources(graph: &Graph) -> Vec<String> {
    graph
        .all()
        .into_iter()
        .filter(|node| match &node.package.source {
            None => !graph.is_member(node),
            Some(source) => !source.is_crates_io(),
        })
        .map(|node| {
            format!(
                "{} {} does not come from the public registry",
                node.package.name, node.package.version
            )
        })
        .collect()
}
