//! Lists of a provider's models: read page by page as the provider gives them, and written in the shape of who asks. An entry keeps
//! every member that it came with.
//!
//! Not here: how each family spells them (`providers`), and asking, keeping and serving (crate `gateway`).

use crate::format::ListFormat;
use crate::json::{self, Raw, members};
use crate::limits::{MODELS, NAME_BYTES};
use crate::providers;
use lychgate_types::provider::WireFamily;
use std::collections::{HashMap, HashSet};

/// One model of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What requests name it by.
    pub id: String,
    /// Its entry, as it came.
    pub json: String,
}

/// A model's name of the operator's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias<'a> {
    /// What requests name it by.
    pub name: &'a str,
    /// The model of the same provider that it stands for first, if any.
    pub stands_for: Option<&'a str>,
}

/// A question for the models of a provider, in the shape of one kind of client.
#[derive(Debug, Clone)]
pub struct ModelQuestion {
    format: &'static dyn ListFormat,
    version: String,
}

/// A page of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ModelPage {
    /// Its models.
    pub models: Vec<Model>,
    /// Where the next page begins; `None` for the last.
    pub next: Option<String>,
}

impl ModelQuestion {
    /// The question of this client ([`crate::client`]'s name), whose query is this. `None` where nothing is known of the family's
    /// lists.
    pub fn new(family: WireFamily, client: &str, query: Option<&str>) -> Option<Self> {
        let version = parameter(query, "client_version");
        let format = providers::lists(family, client, version.is_some())?;
        let version = version.filter(|version| format.has_versions() && is_version(version));
        Some(Self {
            format,
            version: version.unwrap_or_default(),
        })
    }

    /// Whether it names the version of a client, where lists differ by that.
    pub fn names_version(&self) -> bool {
        !self.version.is_empty()
    }

    /// The question of a client that does not say which version it is.
    #[must_use]
    pub fn without_version(&self) -> Self {
        Self {
            format: self.format,
            version: String::new(),
        }
    }

    /// What tells it from others that are answered differently.
    pub fn key(&self) -> (&'static str, &str) {
        (self.format.name(), &self.version)
    }

    /// The query of a page; `after` is what [`ModelPage::next`] said.
    pub fn query(&self, after: Option<&str>) -> String {
        self.format.query(&self.version, after)
    }

    /// The headers that a provider needs beside its credential.
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        self.format.headers()
    }

    /// Reads a page; `None` where it is none. What has no name is left out, and what has one that came before.
    pub fn read(&self, body: &[u8]) -> Option<ModelPage> {
        let (list, name) = self.format.members();
        let page: Page<'_> = json::object(body)?;
        let models = match list {
            "models" => page.models,
            _ => page.data,
        };
        if !models.json().starts_with('[') && self.format.needs_list() {
            return None;
        }
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        models.for_each(|entry| {
            let id = id_of(entry, name);
            if found.len() < MODELS && !id.is_empty() && id.len() <= NAME_BYTES && seen.insert(id.clone()) {
                let json = entry.json().to_owned();
                found.push(Model { id, json });
            }
        });
        let has_next = self.format.has_pages() && page.has_more.is_true();
        let next = page.last_id.text().filter(|_| has_next);
        Some(ModelPage {
            models: found,
            next: next.map(|id| id.into_owned()).filter(|id| !id.is_empty()),
        })
    }

    /// The entries of the names that are none of these models'.
    pub fn aliases(&self, models: &[Model], aliases: &[Alias<'_>]) -> Vec<Model> {
        if aliases.is_empty() {
            return Vec::new();
        }
        let known: HashMap<&str, &Model> = models.iter().map(|model| (model.id.as_str(), model)).collect();
        let mut added: Vec<Model> = Vec::new();
        for alias in aliases {
            if known.contains_key(alias.name) || added.iter().any(|model| model.id == alias.name) {
                continue;
            }
            let original = alias.stands_for.and_then(|id| known.get(id));
            if let Some(json) = self.format.alias(alias.name, original.map(|model| model.json.as_str())) {
                let id = alias.name.to_owned();
                added.push(Model { id, json });
            }
        }
        added
    }

    /// The answer with these models, as much of it as the client's query asks for.
    pub fn list(&self, models: &[&Model], query: Option<&str>) -> String {
        self.format.list(models, query)
    }

    /// Whether the provider's list says all that this query asks for.
    pub fn is_answered_by_list(&self, query: Option<&str>) -> bool {
        let parameters = self.format.parameters();
        pairs(query).all(|(name, _)| parameters.contains(&&*name))
    }

    /// Whether this query asks for nothing less than the whole list, if it has no more than a page.
    pub fn asks_for_all(&self, query: Option<&str>) -> bool {
        let all = self.query(None);
        pairs(query).all(|pair| pairs(Some(&all)).any(|one| one == pair))
    }

    /// Whether a provider's own answer is one for this client, whatever it is.
    pub fn may_be_relayed(&self) -> bool {
        self.format.needs_list()
    }
}

members! {
    struct Page<'de> {
        data: Raw<'de> = b"data",
        models: Raw<'de> = b"models",
        has_more: Raw<'de> = b"has_more",
        last_id: Raw<'de> = b"last_id",
    }
}

fn id_of(entry: Raw<'_>, name: &str) -> String {
    let mut id = String::new();
    entry.for_each_member(|member, value| {
        if member == name.as_bytes() {
            id = value.text().unwrap_or_default().into_owned();
        }
    });
    id
}

/// A parameter of a query; the first of its name.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    pairs(query).find_map(|(found, value)| (found == name).then(|| value.into_owned()))
}

fn pairs(query: Option<&str>) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

/// The entries, apart by commas.
pub(crate) fn joined(models: &[&Model]) -> String {
    let entries: Vec<&str> = models.iter().map(|model| model.json.as_str()).collect();
    entries.join(",")
}

/// It goes into a query as it is, and is a part of what is kept.
fn is_version(version: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=32).contains(&version.len()) && version.bytes().all(plain)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn with_aliases(question: &ModelQuestion, mut models: Vec<Model>, aliases: &[Alias<'_>]) -> Vec<Model> {
        let added = question.aliases(&models, aliases);
        models.extend(added);
        models
    }

    pub(crate) fn list(question: &ModelQuestion, models: &[Model], query: Option<&str>) -> String {
        question.list(&models.iter().collect::<Vec<_>>(), query)
    }
}
