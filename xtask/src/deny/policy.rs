//! `deny.toml` as far as we read it. Its format is cargo-deny's.

use anyhow::Context as _;
use cargo_metadata::semver::{Version, VersionReq};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::path::Path;

/// The file.
#[derive(Deserialize)]
pub(super) struct Policy {
    pub(super) graph: GraphPolicy,
    pub(super) licenses: Licences,
    pub(super) bans: Bans,
}

/// `[graph]`
#[derive(Deserialize)]
pub(super) struct GraphPolicy {
    /// The platforms whose dependencies count.
    pub(super) targets: Vec<String>,
}

/// `[licenses]`
#[derive(Deserialize)]
pub(super) struct Licences {
    /// SPDX ids, also with `WITH` an exception.
    pub(super) allow: Vec<String>,
}

/// `[bans]`
#[derive(Deserialize)]
pub(super) struct Bans {
    pub(super) deny: Vec<Ban>,
    pub(super) skip: Vec<Skip>,
}

/// A package that may not be in the tree.
#[derive(Deserialize)]
pub(super) struct Ban {
    #[serde(rename = "crate")]
    pub(super) package: Spec,
    /// Packages that may depend on it all the same.
    #[serde(default)]
    pub(super) wrappers: Vec<String>,
    pub(super) reason: String,
}

/// A second version that is tolerated. `reason` must be there, though only people read it.
#[derive(Deserialize)]
pub(super) struct Skip {
    #[serde(rename = "crate")]
    pub(super) package: Spec,
    #[serde(rename = "reason")]
    _reason: String,
}

/// `name`, `name:requirement` or `name@version`.
pub(super) struct Spec {
    pub(super) text: String,
    name: String,
    versions: VersionReq,
}

impl Spec {
    fn parse(text: &str) -> Result<Self, cargo_metadata::semver::Error> {
        let (name, versions) = match (text.split_once('@'), text.split_once(':')) {
            (Some((name, version)), _) => (name, VersionReq::parse(&format!("={version}"))?),
            (None, Some((name, versions))) => (name, VersionReq::parse(versions)?),
            (None, None) => (text, VersionReq::STAR),
        };
        Ok(Self {
            text: text.to_owned(),
            name: name.to_owned(),
            versions,
        })
    }

    pub(super) fn matches(&self, name: &str, version: &Version) -> bool {
        self.name == name && self.versions.matches(version)
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Policy {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} does not read as a dependency policy", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_names_a_package_and_versions() {
        let matches = |spec, name, version| {
            Spec::parse(spec)
                .unwrap()
                .matches(name, &Version::parse(version).unwrap())
        };
        assert!(matches("syn", "syn", "2.0.1"));
        assert!(!matches("syn", "sync", "2.0.1"));
        assert!(matches("syn:2", "syn", "2.0.119"));
        assert!(!matches("syn:2", "syn", "3.0.0"));
        assert!(matches("sha2@0.10.9", "sha2", "0.10.9"));
        assert!(!matches("sha2@0.10.9", "sha2", "0.10.10"));
        assert!(Spec::parse("syn:two").is_err());
    }
}
