//! The table of clients: what a row is, how a row is found, and how its templates are filled in. The rows are in [`super::agents`] and
//! [`super::sdks`].

use super::{agents, sdks};
use crate::failure::{Failure, Outcome};
use crate::terminal::plain::plain;
use lychgate_types::provider::{ProviderType, WireFamily};

/// A program that people use Lychgate with.
pub(super) struct Client {
    /// What it is called on the command line, and its page.
    pub(super) name: &'static str,
    /// What its makers call it.
    pub(super) title: &'static str,
    /// Its settings, by the type of the provider; the first form is the usual one.
    pub(super) forms: &'static [Form],
    /// What is on record of its requests, beyond what is of all.
    pub(super) recorded: &'static str,
    /// What to switch off, what is known not to work, what a message means. Templates.
    pub(super) notes: &'static [&'static str],
    /// Who has run it, unmodified, with these settings.
    pub(super) tested: Tested,
}

/// Who has run a client with the settings of the table.
pub(super) enum Tested {
    /// Lychgate's own tests, which compare this with what they run.
    BySuite,
    /// Somebody, once, with this version.
    ByHand(&'static str),
    /// Nobody: the settings are from its documentation.
    No,
}

/// The settings for providers of certain types.
pub(super) struct Form {
    /// Of which wire format the providers are.
    pub(super) family: WireFamily,
    /// If not empty, only those types of the family.
    pub(super) only: &'static [ProviderType],
    /// What is to be set, in this order.
    pub(super) settings: &'static [Setting],
}

/// What has to be written in one place.
pub(super) struct Setting {
    /// A file, or where else it goes.
    pub(super) place: &'static str,
    /// What a page marks it as: `sh`, `json`, `toml`, `text`.
    pub(super) language: &'static str,
    /// A template.
    pub(super) text: &'static str,
}

/// What goes into templates.
pub(super) struct Values {
    /// The gateway's URL, without a slash at its end.
    pub(super) gateway: String,
    pub(super) provider: String,
    pub(super) provider_type: ProviderType,
    pub(super) token_file: String,
}

/// How the token gets where the settings look for it.
const TOKEN: &str = "The user token is in @token-file@, which only its user may read. With `lychgate login` done there: \
    `lychgate tokens create --name NAME --lifetime 90d --out @token-file@`.";

/// All clients.
pub(super) fn all() -> impl Iterator<Item = &'static Client> {
    agents::AGENTS.iter().chain(sdks::SDKS)
}

/// The client of this name.
pub(super) fn find(name: &str) -> Outcome<&'static Client> {
    let near = || {
        let nearest = all().max_by(|a, b| {
            let [a, b] = [a, b].map(|client| strsim::jaro_winkler(client.name, name));
            a.total_cmp(&b)
        });
        nearest.map_or("", |client| client.name)
    };
    all().find(|client| client.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        Failure::Usage(format!(
            "there is no client `{}`; did you mean `{}`? `lychgate clients` lists all. One that is not listed can be set up like the \
             SDK whose API it speaks: anthropic, openai or google-genai",
            plain(name),
            near()
        ))
    })
}

impl Client {
    /// The types of provider that it can use, the usual one first.
    pub(super) fn provider_types(&self) -> impl Iterator<Item = ProviderType> {
        self.forms.iter().enumerate().flat_map(|(nth, form)| {
            let earlier = &self.forms[..nth];
            let is_new = move |one: &ProviderType| form.takes(*one) && !earlier.iter().any(|form| form.takes(*one));
            ProviderType::ALL.iter().copied().filter(is_new)
        })
    }

    /// The type that is meant where none is given.
    pub(super) fn first_type(&self) -> ProviderType {
        self.provider_types().next().unwrap_or(ProviderType::OpenAi)
    }

    /// The settings for this type.
    pub(super) fn form(&self, provider_type: ProviderType) -> Option<&'static Form> {
        self.forms.iter().find(|form| form.takes(provider_type))
    }
}

impl Tested {
    /// For a column.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::BySuite => "by the suite",
            Self::ByHand(_) => "by hand",
            Self::No => "no",
        }
    }

    /// What a user should know of it.
    fn note(&self) -> Option<String> {
        match self {
            Self::BySuite => None,
            Self::ByHand(version) => Some(format!(
                "No test of Lychgate runs this client. These settings were tried by hand, with {version}."
            )),
            Self::No => Some(
                "Nobody has run this client with Lychgate: these settings are those that its makers document."
                    .to_owned(),
            ),
        }
    }
}

impl Form {
    fn takes(&self, provider_type: ProviderType) -> bool {
        // Only clients that are made for it know the paths of that type.
        let is_plain = provider_type != ProviderType::Vertex;
        let is_meant = match self.only.is_empty() {
            true => is_plain,
            false => self.only.contains(&provider_type),
        };
        provider_type.wire_family() == self.family && is_meant
    }
}

impl Values {
    /// What is to be known beside the settings.
    pub(super) fn notes(&self, client: &Client) -> Vec<String> {
        let filled = std::iter::once(&TOKEN).chain(client.notes).map(|note| self.fill(note));
        filled.chain(client.tested.note()).collect()
    }

    /// A template with these values in it: `@base@` is the provider's URL at the gateway, `@openai@` that which clients of OpenAI's API are
    /// told, with its version.
    pub(super) fn fill(&self, template: &str) -> String {
        let base = format!("{}/ai/{}", self.gateway, self.provider);
        let openai = match self.provider_type {
            ProviderType::AzureOpenAi => format!("{base}/openai/v1"),
            _ => format!("{base}/v1"),
        };
        template
            .replace("@base@", &base)
            .replace("@openai@", &openai)
            .replace("@token-file@", &self.token_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_client_has_one_name_and_a_first_type() {
        let names: HashSet<_> = all().map(|client| client.name).collect();
        assert_eq!(names.len(), all().count());
        for client in all() {
            let types: Vec<_> = client.provider_types().collect();
            assert_eq!(client.first_type(), types[0], "{}", client.name);
            let each: HashSet<_> = types.iter().collect();
            assert_eq!(each.len(), types.len(), "{}: {types:?}", client.name);
        }
    }

    #[test]
    fn every_type_of_provider_has_a_client() {
        for provider_type in ProviderType::ALL {
            assert!(
                all().any(|client| client.form(*provider_type).is_some()),
                "{provider_type}"
            );
        }
    }

    #[test]
    fn settings_can_be_pasted() {
        for client in all() {
            for provider_type in client.provider_types() {
                let values = Values {
                    gateway: "http://127.0.0.1:4001".to_owned(),
                    provider: "mine".to_owned(),
                    provider_type,
                    token_file: "~/token".to_owned(),
                };
                let form = client.form(provider_type).unwrap();
                let texts: Vec<_> = form.settings.iter().map(|one| (one, values.fill(one.text))).collect();
                assert!(
                    texts
                        .iter()
                        .any(|(_, text)| text.contains("http://127.0.0.1:4001/ai/mine")),
                    "{}",
                    client.name
                );
                for (setting, text) in texts {
                    let what = format!("{}, {}:\n{text}", client.name, setting.place);
                    assert!(!text.contains('@') || setting.language == "typescript", "{what}");
                    match setting.language {
                        "json" => drop(serde_json::from_str::<serde_json::Value>(&text).expect(&what)),
                        "toml" => drop(toml::from_str::<toml::Table>(&text).expect(&what)),
                        "sh" | "yaml" | "typescript" | "python" | "text" => {}
                        other => panic!("{other} is no language of a page: {what}"),
                    }
                }
            }
        }
    }
}
