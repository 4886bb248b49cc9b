//! What `lychgate dev` set up last, stored in its data directory, without secrets.

use crate::config::secret_file;
use crate::failure::{Failure, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const FILE: &str = "dev.json";

/// A provider as it was last set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    id: String,
    base_url: String,
    key_ids: Vec<String>,
    /// Whether it was the scripted one.
    pub(crate) scripted: bool,
}

/// All entries, by the provider's name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    providers: BTreeMap<String, Entry>,
}

impl Entry {
    /// Of the API's answer.
    pub(crate) fn of(provider: &Value, scripted: bool) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            id: text(&provider["id"]),
            base_url: text(&provider["base_url"]),
            key_ids: key_ids(provider),
            scripted,
        }
    }

    /// Whether it is the same provider, with the base URL that it was set up with.
    pub(crate) fn is_still(&self, provider: &Value) -> bool {
        provider["id"] == self.id.as_str() && provider["base_url"] == self.base_url.as_str()
    }

    /// Whether it has the keys that it was set up with.
    pub(crate) fn keys_are_still(&self, provider: &Value) -> bool {
        key_ids(provider) == self.key_ids
    }
}

fn key_ids(provider: &Value) -> Vec<String> {
    let keys = provider["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    keys.iter()
        .filter_map(|key| key["id"].as_str())
        .map(str::to_owned)
        .collect()
}

impl Memory {
    /// Reads it. If the file is missing or damaged, it is empty: then every provider counts as the user's own and is not changed.
    pub(crate) fn load(data_dir: &Path) -> Self {
        let text = std::fs::read(data_dir.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes it.
    pub(crate) fn save(&self, data_dir: &Path) -> Outcome {
        let path = data_dir.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(Failure::failed)?;
        secret_file::replace(&path, &text)
            .map_err(|why| Failure::Failed(format!("can't write {}: {why}", path.display())))
    }

    /// The provider as it was last set up.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.providers.get(name)
    }

    /// Stores how the provider was set up.
    pub(crate) fn remember(&mut self, name: &str, entry: Entry) {
        self.providers.insert(name.to_owned(), entry);
    }
}
