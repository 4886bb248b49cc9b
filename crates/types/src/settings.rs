//! The settings of a provider: short texts by name, which say what its address does not (a tenant, a region, what its keys are).
//! None is a secret.
//!
//! Not here: which settings a type has, and what they mean (crate `wire`, folder `providers`). A policy says how requests are treated
//! (`policy`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of one provider.
pub const MOST: usize = 16;
/// Bytes of a setting's value.
pub const VALUE_BYTES: usize = 300;

/// The settings of one provider, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderSettings(BTreeMap<String, String>);

impl ProviderSettings {
    /// The value of a setting, where it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// These settings with a change: what it names is set, or removed where it has no value.
    #[must_use]
    pub fn with(&self, change: impl IntoIterator<Item = (String, Option<String>)>) -> Self {
        let mut changed = self.0.clone();
        for (name, value) in change {
            match value {
                Some(value) => changed.insert(name, value),
                None => changed.remove(&name),
            };
        }
        Self(changed)
    }

    /// As a map.
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

impl FromIterator<(String, String)> for ProviderSettings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(settings: I) -> Self {
        Self(settings.into_iter().collect())
    }
}

/// `a=1 b=2`, always in the same order.
impl std::fmt::Display for ProviderSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_sets_and_removes_what_it_names() {
        let of = |pairs: &[(&str, &str)]| -> ProviderSettings {
            pairs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect()
        };
        let settings = of(&[("b", "2"), ("a", "1")]);
        assert_eq!(settings.to_string(), "a=1 b=2");
        let change = [
            ("a".to_owned(), None),
            ("b".to_owned(), Some("3".to_owned())),
            ("c".to_owned(), None),
        ];
        assert_eq!(settings.with(change), of(&[("b", "3")]));
        assert_eq!(settings.with([]), settings);
    }
}
