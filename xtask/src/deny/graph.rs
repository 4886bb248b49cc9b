//! The packages of the workspace and their dependencies, as Cargo resolves them for the platforms that we build for.

use anyhow::Context as _;
use cargo_metadata::{DependencyKind, MetadataCommand, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One package and what it depends on.
pub(super) struct Node {
    pub(super) package: Package,
    /// What is compiled with it: normal and build dependencies.
    pub(super) shipped: Vec<PackageId>,
    /// What only its tests need.
    pub(super) dev: Vec<PackageId>,
}

/// All packages that take part in some build of the workspace.
pub(super) struct Graph {
    nodes: HashMap<PackageId, Node>,
    members: Vec<PackageId>,
}

impl Graph {
    /// Asks Cargo, and leaves out what is in its lock file only because some feature that is off would need it.
    pub(super) fn read(targets: &[String]) -> anyhow::Result<Self> {
        let platforms = targets.iter().map(|target| format!("--filter-platform={target}"));
        let metadata = MetadataCommand::new()
            .current_dir(crate::root())
            .other_options(
                std::iter::once("--locked".to_owned())
                    .chain(platforms)
                    .collect::<Vec<_>>(),
            )
            .exec()
            .context("Cargo can't resolve the dependencies")?;
        let members = metadata.workspace_members;
        let resolve = metadata.resolve.context("Cargo did not say what depends on what")?;
        let mut packages: HashMap<_, _> = metadata
            .packages
            .into_iter()
            .map(|package| (package.id.clone(), package))
            .collect();
        let names: HashMap<_, _> = packages
            .iter()
            .map(|(id, package)| (id.clone(), package.name.to_string()))
            .collect();
        let mut nodes = HashMap::new();
        for node in resolve.nodes {
            let package = packages
                .remove(&node.id)
                .with_context(|| format!("Cargo does not describe {}", node.id))?;
            let (mut shipped, mut dev) = (Vec::new(), Vec::new());
            for dependency in node.deps {
                let declared = names
                    .get(&dependency.pkg)
                    .is_some_and(|name| is_active(&package, name, &node.features));
                if !declared {
                    continue;
                }
                let only_dev = dependency
                    .dep_kinds
                    .iter()
                    .all(|kind| kind.kind == DependencyKind::Development);
                let list = if only_dev { &mut dev } else { &mut shipped };
                list.push(dependency.pkg);
            }
            nodes.insert(node.id, Node { package, shipped, dev });
        }
        let mut graph = Self { nodes, members };
        let reached: BTreeSet<PackageId> = graph.reached().into_iter().cloned().collect();
        graph.nodes.retain(|id, _| reached.contains(id));
        Ok(graph)
    }

    fn reached(&self) -> BTreeSet<&PackageId> {
        let mut reached = BTreeSet::new();
        let mut ahead: Vec<&PackageId> = self.members.iter().collect();
        while let Some(id) = ahead.pop() {
            if let Some(node) = self.nodes.get(id)
                && reached.insert(id)
            {
                ahead.extend(node.shipped.iter().chain(&node.dev));
            }
        }
        reached
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// In the order of their names.
    pub(super) fn all(&self) -> Vec<&Node> {
        let mut all: Vec<_> = self.nodes.values().collect();
        all.sort_by(|a, b| (&a.package.name, &a.package.version).cmp(&(&b.package.name, &b.package.version)));
        all
    }

    /// Our own crates.
    pub(super) fn members(&self) -> impl Iterator<Item = &Node> {
        self.members.iter().filter_map(|id| self.nodes.get(id))
    }

    pub(super) fn is_member(&self, node: &Node) -> bool {
        self.members.contains(&node.package.id)
    }

    /// The packages behind these ids.
    pub(super) fn nodes<'a>(&'a self, ids: &'a [PackageId]) -> impl Iterator<Item = &'a Node> {
        ids.iter().filter_map(|id| self.nodes.get(id))
    }

    /// All that is compiled with `node`, itself included, other than for its tests.
    pub(super) fn compiled_with<'a>(&'a self, node: &'a Node) -> Vec<&'a Node> {
        let mut seen = BTreeSet::from([&node.package.id]);
        let mut found = vec![node];
        let mut at = 0;
        while let Some(&next) = found.get(at) {
            found.extend(
                self.nodes(&next.shipped)
                    .filter(|dependency| seen.insert(&dependency.package.id)),
            );
            at += 1;
        }
        found
    }

    /// The versions of each package that are compiled with any of our crates, other than for their tests.
    pub(super) fn versions(&self) -> BTreeMap<&str, BTreeMap<&cargo_metadata::semver::Version, &Node>> {
        let mut versions: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for node in self.members().flat_map(|member| self.compiled_with(member)) {
            versions
                .entry(node.package.name.as_str())
                .or_default()
                .insert(&node.package.version, node);
        }
        versions
    }

    /// The names of the packages that depend on `node`, for messages.
    pub(super) fn users_of(&self, node: &Node) -> Vec<String> {
        let uses = |user: &&Node| user.shipped.contains(&node.package.id) || user.dev.contains(&node.package.id);
        self.all()
            .into_iter()
            .filter(uses)
            .map(|user| user.package.name.to_string())
            .collect()
    }
}

/// Whether `package` with these features on depends on `name`. Cargo's answer also holds optional dependencies that are only
/// mentioned weakly (`name?/feature`), which do not switch them on.
fn is_active(package: &Package, name: &str, features: &[cargo_metadata::FeatureName]) -> bool {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.name == name)
        .any(|dependency| {
            let key = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let switched_on = |feature: &cargo_metadata::FeatureName| {
                let parts = package.features.get(feature.as_str()).map_or(&[][..], Vec::as_slice);
                parts
                    .iter()
                    .any(|part| part.strip_prefix("dep:") == Some(key) || part.starts_with(&format!("{key}/")))
            };
            !dependency.optional || features.iter().any(switched_on)
        })
}
