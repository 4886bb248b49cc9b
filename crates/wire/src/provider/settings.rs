//! Which settings a type of provider has, and what its keys may be.
//!
//! Not here: which type has which (`providers`), and fetching a credential (crate `clouds`).

use super::{AwsKey, ProviderDescription};
use lychgate_types::settings::{MOST, ProviderSettings, VALUE_BYTES};

/// The setting that says what the keys of a provider are.
pub const CREDENTIAL: &str = "credential";

/// The setting that says in which region of its cloud a provider is.
pub const REGION: &str = "region";

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct SettingRule {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: SettingValue,
    /// Whether a provider can't do without it.
    pub is_needed: bool,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingValue {
    /// Letters, digits, and `.`, `-`, `_` between them: what may stand in a path or a host name.
    Word,
    /// A URL, by the rules for a base URL.
    Url,
}

/// What the keys of a provider are.
#[derive(Debug, Clone, Copy)]
pub struct KeyForm {
    /// The value of the setting [`CREDENTIAL`].
    pub name: &'static str,
    /// The settings that come with it.
    pub settings: &'static [SettingRule],
    /// What is done with a key.
    pub used: KeyUse,
}

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It is sent as it is.
    Sent,
    /// A credential is fetched with it, and sent.
    Fetches(GrantForm),
    /// Requests to this service of AWS are signed with it (SigV4), and it is not sent. The setting [`REGION`] says where.
    SignsFor(&'static str),
}

/// How a credential is fetched with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantForm {
    /// OAuth 2.0 with the secret of a client that is registered at Entra ID.
    EntraClientSecret {
        /// What the credential is to be good for.
        scope: &'static str,
    },
}

/// Keys are sent as they are.
pub(crate) const PLAIN_KEYS: &[KeyForm] = &[KeyForm {
    name: "key",
    settings: &[],
    used: KeyUse::Sent,
}];

/// A setting that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingMisfit {
    /// Its name.
    pub name: String,
    /// What is wrong, in words for those who set it.
    pub why: String,
}

impl KeyForm {
    /// What is wrong with a key for this use of it, in words that hold nothing of it.
    pub fn misfit(&self, key: &str) -> Option<&'static str> {
        let is_wrong = matches!(self.used, KeyUse::SignsFor(_)) && AwsKey::parse(key).is_none();
        is_wrong.then_some(
            "must be ACCESS_KEY_ID:SECRET_ACCESS_KEY, or ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN for temporary credentials",
        )
    }
}

impl SettingRule {
    /// A word that a provider can't do without.
    pub(crate) const fn needed(name: &'static str) -> Self {
        Self {
            name,
            takes: SettingValue::Word,
            is_needed: true,
        }
    }
}

impl ProviderDescription {
    /// What the keys are by these settings; `None` where the setting names nothing that this type knows.
    pub fn key_form(&self, settings: &ProviderSettings) -> Option<&'static KeyForm> {
        match settings.get(CREDENTIAL) {
            None => self.key_forms.first(),
            Some(name) => self.key_forms.iter().find(|form| form.name == name),
        }
    }

    /// What of these settings does not fit this type, by name. A URL's form is left to those who send something there.
    pub fn misfits(&self, settings: &ProviderSettings) -> Vec<SettingMisfit> {
        let misfit = |name: &str, why: String| SettingMisfit {
            name: name.to_owned(),
            why,
        };
        if settings.iter().count() > MOST {
            return vec![misfit("", format!("a provider has at most {MOST} settings"))];
        }
        let Some(form) = self.key_form(settings) else {
            let known: Vec<_> = self.key_forms.iter().map(|form| form.name).collect();
            return vec![misfit(CREDENTIAL, format!("must be one of {}", known.join(", ")))];
        };
        let rules = || self.settings.iter().chain(form.settings);
        let set = settings.iter().filter(|(name, _)| *name != CREDENTIAL);
        let wrong = set.filter_map(|(name, value)| match rules().find(|rule| rule.name == name) {
            None => Some(misfit(name, self.unknown(form))),
            Some(rule) if !rule.takes.fits(value) => Some(misfit(name, rule.takes.says().to_owned())),
            Some(_) => None,
        });
        let absent = rules().filter(|rule| rule.is_needed && settings.get(rule.name).is_none());
        let absent = absent.map(|rule| {
            let why = match self.settings.iter().any(|own| own.name == rule.name) {
                true => "is required for this type of provider".to_owned(),
                false => format!("is required with {CREDENTIAL}={}", form.name),
            };
            misfit(rule.name, why)
        });
        wrong.chain(absent).collect()
    }

    fn unknown(&self, form: &KeyForm) -> String {
        let known = self.settings.iter().chain(form.settings).map(|rule| rule.name);
        let known: Vec<_> = [CREDENTIAL].into_iter().chain(known).collect();
        format!(
            "is no setting of this type with {CREDENTIAL}={}; there is {}",
            form.name,
            known.join(", ")
        )
    }
}

impl SettingValue {
    fn fits(self, value: &str) -> bool {
        let is_inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let bytes = value.as_bytes();
        let is_sized = (1..=VALUE_BYTES).contains(&bytes.len());
        match self {
            Self::Word => {
                let ends = [bytes.first(), bytes.last()];
                is_sized && bytes.iter().all(is_inner) && ends.into_iter().flatten().all(u8::is_ascii_alphanumeric)
            }
            Self::Url => is_sized,
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Word => "must be 1 to 300 letters, digits, and `.`, `-` and `_` between them",
            Self::Url => "must be an absolute URL of at most 300 characters",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::describe;
    use lychgate_types::provider::ProviderType;

    const fn rule(name: &'static str, takes: SettingValue, is_needed: bool) -> SettingRule {
        SettingRule { name, takes, is_needed }
    }

    const OWN: &[SettingRule] = &[rule("region", SettingValue::Word, true)];
    const FORMS: &[KeyForm] = &[
        PLAIN_KEYS[0],
        KeyForm {
            name: "secret",
            settings: &[
                rule("tenant", SettingValue::Word, true),
                rule("authority", SettingValue::Url, false),
            ],
            used: KeyUse::Sent,
        },
    ];

    fn misfits(settings: &[(&str, &str)]) -> Vec<String> {
        let description = ProviderDescription {
            settings: OWN,
            key_forms: FORMS,
            ..*describe(ProviderType::OpenAi)
        };
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let found = description.misfits(&settings.collect()).into_iter();
        found.map(|misfit| misfit.name).collect()
    }

    #[test]
    fn settings_fit_their_type_and_what_its_keys_are() {
        type Settings<'a> = &'a [(&'a str, &'a str)];
        let fine: &[Settings<'_>] = &[
            &[("region", "eu-west-1")],
            &[("region", "x"), ("credential", "key")],
            &[
                ("region", "x"),
                ("credential", "secret"),
                ("tenant", "a.b_c-1"),
                ("authority", "https://x"),
            ],
        ];
        for settings in fine {
            assert_eq!(misfits(settings), [""; 0], "{settings:?}");
        }
        let long = "x".repeat(VALUE_BYTES + 1);
        let wrong: &[(Settings<'_>, &[&str])] = &[
            (&[], &["region"]),
            (&[("credential", "nothing")], &["credential"]),
            (&[("region", "x"), ("credential", "secret")], &["tenant"]),
            (&[("region", "x"), ("tenant", "x")], &["tenant"]),
            (&[("region", ""), ("other", "x")], &["other", "region"]),
            (&[("region", "a/b")], &["region"]),
            (&[("region", "..")], &["region"]),
            (&[("region", "-a")], &["region"]),
            (&[("region", &long)], &["region"]),
        ];
        for (settings, names) in wrong {
            assert_eq!(misfits(settings), *names, "{settings:?}");
        }
        let many: Vec<_> = (0..=MOST).map(|at| format!("s{at}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(misfits(&many), [""]);
    }

    #[test]
    fn every_type_says_first_that_keys_are_sent_as_they_are() {
        for provider_type in ProviderType::ALL {
            let description = describe(*provider_type);
            let first = description.key_form(&ProviderSettings::default()).unwrap();
            assert_eq!((first.name, first.used), ("key", KeyUse::Sent), "{provider_type}");
            let all = description
                .key_forms
                .iter()
                .flat_map(|form| form.settings)
                .chain(description.settings);
            for rule in all {
                assert!(rule.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && rule.name != CREDENTIAL);
            }
        }
    }
}
