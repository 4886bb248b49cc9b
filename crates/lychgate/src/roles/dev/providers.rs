//! The providers of `lychgate dev`: the real one if its key is in the environment, otherwise a scripted one.
//!
//! A provider that the user has changed since is not touched. To detect that, the data directory stores what was set up last
//! ([`Entry`]).

use super::entry::{Entry, Memory};
use crate::client::ApiClient;
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::ProviderSecret;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

const PATH: &str = "ai-gateway/providers";

/// A provider as it should be.
#[derive(Debug)]
pub(crate) struct Wanted {
    provider_type: ProviderType,
    variable: &'static str,
    base_url: String,
    key: ProviderSecret,
    scripted: bool,
}

/// A provider as it is, for the banner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where its requests go, and why.
    pub(crate) about: String,
}

impl Wanted {
    /// What to set up, given the environment and the address of the scripted provider.
    pub(crate) fn all(environment: &Environment, scripted: SocketAddr) -> Outcome<[Self; 3]> {
        Ok([
            Self::one(
                ProviderType::Anthropic,
                "ANTHROPIC_API_KEY",
                format!("http://{scripted}"),
                environment,
            )?,
            Self::one(
                ProviderType::OpenAi,
                "OPENAI_API_KEY",
                format!("http://{scripted}/v1"),
                environment,
            )?,
            Self::one(
                ProviderType::Gemini,
                "GEMINI_API_KEY",
                format!("http://{scripted}"),
                environment,
            )?,
        ])
    }

    fn one(
        provider_type: ProviderType,
        variable: &'static str,
        scripted: String,
        environment: &Environment,
    ) -> Outcome<Self> {
        let key = environment.get(variable).map_err(Failure::Usage)?.map(str::trim);
        // Someone who already uses a gateway has a user token in this variable, not a provider key.
        let key = key.filter(|key| !key.is_empty() && !key.starts_with("lgu_"));
        Ok(match (key, provider_type.default_base_url()) {
            (Some(key), Some(base_url)) => {
                let key = ProviderSecret::new(key.to_owned());
                Self {
                    provider_type,
                    variable,
                    base_url: base_url.to_owned(),
                    key,
                    scripted: false,
                }
            }
            _ => {
                let key = ProviderSecret::new("scripted".to_owned());
                Self {
                    provider_type,
                    variable,
                    base_url: scripted,
                    key,
                    scripted: true,
                }
            }
        })
    }

    fn name(&self) -> &'static str {
        self.provider_type.as_str()
    }

    fn about(&self) -> String {
        if self.scripted {
            format!("scripted answers, because {} is not set", self.variable)
        } else {
            format!("{} with the key in {}", self.base_url, self.variable)
        }
    }
}

/// Creates or updates the providers.
pub(crate) async fn set_up(api: &ApiClient, data_dir: &Path, wanted: &[Wanted]) -> Outcome<Vec<Report>> {
    let mut memory = Memory::load(data_dir);
    let mut reports = Vec::new();
    for wanted in wanted {
        let about = match one(api, memory.entry(wanted.name()), wanted).await? {
            Some(entry) => {
                memory.remember(wanted.name(), entry);
                wanted.about()
            }
            None => "as you set it up".to_owned(),
        };
        // Saved after each, so that a failure at the next one does not make this one look changed by the user.
        memory.save(data_dir)?;
        reports.push(Report {
            name: wanted.name(),
            about,
        });
    }
    Ok(reports)
}

/// `None` when the provider is the user's own.
async fn one(api: &ApiClient, entry: Option<&Entry>, wanted: &Wanted) -> Outcome<Option<Entry>> {
    let path = format!("{PATH}/{}", wanted.name());
    let now = match api.get(&path).await {
        Err(error) if error.status() == Some(404) => {
            let body = json!({
                "name": wanted.name(),
                "type": wanted.provider_type,
                "base_url": wanted.base_url,
                "keys": [wanted.key.expose()],
                "allow_private": wanted.scripted,
            });
            return Ok(Some(Entry::of(&api.post(PATH, &body).await?, wanted.scripted)));
        }
        other => other?,
    };
    let Some(entry) = entry.filter(|entry| entry.is_still(&now)) else {
        return Ok(None);
    };
    match change(&now, entry, wanted) {
        None => Ok(Some(entry.clone())),
        Some(patch) => Ok(Some(Entry::of(&api.patch(&path, &patch).await?, wanted.scripted))),
    }
}

/// What to change in a provider that the user has not changed.
fn change(now: &Value, entry: &Entry, wanted: &Wanted) -> Option<Value> {
    let mut patch = serde_json::Map::new();
    if now["base_url"] != wanted.base_url.as_str() {
        patch.insert("base_url".to_owned(), wanted.base_url.clone().into());
    }
    if entry.scripted != wanted.scripted {
        patch.insert("allow_private".to_owned(), wanted.scripted.into());
    }
    let other_key = now["keys"][0]["masked"] != wanted.key.masked().as_str();
    // Keys are given for one address: another needs them again.
    let moves = !patch.is_empty();
    if moves && !entry.keys_are_still(now) {
        return None;
    }
    if entry.keys_are_still(now) && (entry.scripted != wanted.scripted || other_key || moves) {
        patch.insert("keys".to_owned(), json!([{ "key": wanted.key.expose() }]));
    }
    (!patch.is_empty()).then(|| patch.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(anthropic: Option<&str>) -> Wanted {
        let environment = anthropic
            .into_iter()
            .map(|key| ("ANTHROPIC_API_KEY".to_owned(), key))
            .collect();
        let [anthropic, ..] = Wanted::all(&environment, "127.0.0.1:9".parse().unwrap()).unwrap();
        anthropic
    }

    fn provider(base_url: &str, key_id: &str, masked: &str) -> Value {
        json!({ "id": "p", "base_url": base_url, "keys": [{ "id": key_id, "masked": masked }] })
    }

    const REAL: &str = "sk-ant-0123456789abcdef";

    #[test]
    fn the_environment_chooses_between_real_and_scripted() {
        assert_eq!(
            (wanted(None).scripted, wanted(None).base_url.as_str()),
            (true, "http://127.0.0.1:9")
        );
        assert_eq!(
            (wanted(Some(REAL)).scripted, wanted(Some(REAL)).base_url.as_str()),
            (false, "https://api.anthropic.com")
        );
        assert!(wanted(Some("lgu_x")).scripted, "a user token is no provider key");
    }

    #[test]
    fn a_scripted_provider_moves_with_its_key() {
        let masked = wanted(None).key.masked();
        let before = provider("http://127.0.0.1:8", "k", &masked);
        let entry = Entry::of(&before, true);
        assert!(entry.is_still(&before));
        assert_eq!(
            change(&before, &entry, &wanted(None)),
            Some(json!({ "base_url": "http://127.0.0.1:9", "keys": [{ "key": wanted(None).key.expose() }] }))
        );
        let others = provider("http://127.0.0.1:8", "k2", "sk-a…0000");
        assert_eq!(
            change(&others, &entry, &wanted(None)),
            None,
            "the user's own keys stay where they are"
        );
        let same = provider("http://127.0.0.1:9", "k", &masked);
        assert_eq!(change(&same, &Entry::of(&same, true), &wanted(None)), None);
    }

    #[test]
    fn a_key_that_appears_or_changes_is_put_in() {
        let before = provider("http://127.0.0.1:8", "k", &wanted(None).key.masked());
        let patch = change(&before, &Entry::of(&before, true), &wanted(Some(REAL)));
        let whole =
            json!({ "base_url": "https://api.anthropic.com", "allow_private": false, "keys": [{ "key": REAL }] });
        assert_eq!(patch, Some(whole));
        let other = provider("https://api.anthropic.com", "k", "sk-a…0000");
        let patch = change(&other, &Entry::of(&other, false), &wanted(Some(REAL)));
        assert_eq!(patch, Some(json!({ "keys": [{ "key": REAL }] })));
    }

    #[test]
    fn what_was_changed_by_hand_is_seen() {
        let before = provider("http://127.0.0.1:8", "k", "x");
        let entry = Entry::of(&before, true);
        assert!(!entry.is_still(&provider("http://elsewhere", "k", "x")));
        assert!(!entry.is_still(&json!({ "id": "another", "base_url": "http://127.0.0.1:8" })));
        assert!(!entry.keys_are_still(&provider("http://127.0.0.1:8", "k2", "x")));
    }
}
