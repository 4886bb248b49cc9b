//! What requests to one provider type look like: which paths there are, where credentials are, and how its clients are told
//! from others. Plain data, which the gateway acts by.
//!
//! Not here: the data itself (`providers`, one folder per type), and which types there are (crate `types`).

mod aws_key;
mod paths;
mod settings;

pub use aws_key::AwsKey;
pub use paths::{AllowedPath, Family};
pub(crate) use paths::{GET, POST, below};
pub(crate) use settings::PLAIN_KEYS;
pub use settings::{CREDENTIAL, GrantForm, KeyForm, KeyUse, REGION, SettingMisfit, SettingRule, SettingValue};

use crate::MalformedBody;
use crate::providers::{DEFAULT_FAMILY, description};
use lychgate_types::provider::{ProviderType, WireFamily};

/// The description of one provider type.
#[derive(Debug, Clone, Copy)]
pub struct ProviderDescription {
    /// The beginning of a client's path that the base URL ends with already: `/v1` with OpenAI. Every path below has it.
    pub base_path: &'static str,
    /// The paths that are relayed; the first that matches counts.
    pub paths: &'static [AllowedPath],
    /// Parameters of a query that say which version of its paths this type is asked for; they go to no other.
    pub own_query: &'static [&'static str],
    /// The settings that a provider of this type has, beside those of [`Self::key_forms`].
    pub settings: &'static [SettingRule],
    /// What its keys may be; the first is what they are where nothing is said.
    pub key_forms: &'static [KeyForm],
    /// The parameters that a query may have; `None` where any may be there.
    pub query: Option<&'static [Parameter]>,
    /// Reads in a request's body what lets other models serve it than the one that it asks for.
    pub other_models: Option<ReadOtherModels>,
    /// Names of models mean the same in any case: `GPT-5` and `gpt-5` are one.
    pub models_ignore_case: bool,
    /// Where credentials are.
    pub credentials: Credentials,
    /// How a request for a provider of this type is told from others when the provider's name is not known.
    pub signs: ClientSigns,
}

/// Reads what lets other models serve a request than the one that it asks for.
pub type ReadOtherModels = fn(&[u8]) -> Result<OtherModels, MalformedBody>;

/// What lets other models serve a request than the one that it asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherModels {
    /// Those that the body names.
    pub listed: Vec<Box<str>>,
    /// The member by which there may be some that it does not name.
    pub unnamed: Option<&'static str>,
}

/// A parameter of a query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name, letter by letter.
    pub name: &'static str,
    /// The values that it may have; any, where none is named.
    pub values: &'static [&'static str],
}

/// Where credentials are in requests to a provider type. Every header named here is taken out of what goes upstream, whatever
/// the type of the provider that it goes to ([`credential_headers`]).
#[derive(Debug, Clone, Copy)]
pub struct Credentials {
    /// Where clients send the credential that they were given, which is a user token, the most usual place first.
    pub token: &'static [CredentialHeader],
    /// Where a provider key of the user's own may be; the first header that has one counts, and goes on as it came.
    pub own_key: &'static [&'static str],
    /// Where the provider expects the central key.
    pub central_key: CredentialHeader,
    /// Query parameters that the provider takes a credential in. A request with one is refused, whatever it holds: URLs are in
    /// logs, and what is there has to be made anew.
    pub query: &'static [&'static str],
    /// Headers that name who pays. They go upstream only with a key of the user's own.
    pub payer: &'static [&'static str],
}

/// A header with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialHeader {
    /// Its name, in lower case.
    pub name: &'static str,
    /// What its value is.
    pub scheme: Scheme,
}

/// How a header's value holds a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The value is the credential.
    Plain,
    /// The credential follows the word `Bearer`.
    Bearer,
}

/// How requests of one provider type's clients are recognised.
#[derive(Debug, Clone, Copy)]
pub struct ClientSigns {
    /// Beginnings of paths.
    pub paths: &'static [&'static str],
    /// Names of headers, in lower case.
    pub headers: &'static [&'static str],
}

/// `authorization: Bearer …`
pub(crate) const BEARER: CredentialHeader = CredentialHeader {
    name: "authorization",
    scheme: Scheme::Bearer,
};

/// Credential headers of other providers than the one addressed, or of such that there is no type for. A client that was set up
/// for one of those sends the token that it was given in here, or its key along.
pub const OTHER_CREDENTIAL_HEADERS: &[CredentialHeader] = &[
    plain("api-key"),
    plain("x-goog-api-key"),
    plain("ocp-apim-subscription-key"),
];

/// A header whose value is the credential.
pub(crate) const fn plain(name: &'static str) -> CredentialHeader {
    CredentialHeader {
        name,
        scheme: Scheme::Plain,
    }
}

/// The description of a provider type.
pub const fn describe(provider_type: ProviderType) -> &'static ProviderDescription {
    description(provider_type)
}

/// Every header that any provider takes a credential in. Some come more than once.
pub fn credential_headers() -> impl Iterator<Item = &'static str> {
    let of_type = |provider_type: &ProviderType| {
        let Credentials {
            token,
            own_key,
            central_key,
            query: _,
            payer: _,
        } = describe(*provider_type).credentials;
        let token = token.iter().map(|header| header.name);
        token.chain(own_key.iter().copied()).chain([central_key.name])
    };
    let all = ProviderType::ALL.iter().flat_map(of_type);
    all.chain(OTHER_CREDENTIAL_HEADERS.iter().map(|header| header.name))
}

/// Every header by which some provider is told who pays. Some come more than once.
pub fn payer_headers() -> impl Iterator<Item = &'static str> {
    let of_type = |provider_type: &ProviderType| describe(*provider_type).credentials.payer.iter().copied();
    ProviderType::ALL.iter().flat_map(of_type)
}

/// The wire family of a request whose provider is not known, by what follows the provider's name in its path, and by its
/// headers.
pub fn likely_family(path: &str, has_header: impl Fn(&str) -> bool) -> WireFamily {
    let likely = |shows: &dyn Fn(&ClientSigns) -> bool| {
        let mut types = ProviderType::ALL.iter();
        types.find(|provider_type| shows(&describe(**provider_type).signs))
    };
    let by_path = likely(&|signs| signs.paths.iter().any(|beginning| path.starts_with(beginning)));
    by_path
        .or_else(|| likely(&|signs| signs.headers.iter().any(|name| has_header(name))))
        .map_or(DEFAULT_FAMILY, |provider_type| provider_type.wire_family())
}

impl ProviderDescription {
    /// The entry of the list that a path is on.
    pub fn path(&self, path: &str) -> Option<&'static AllowedPath> {
        self.paths.iter().find(|allowed| allowed.matches(path))
    }

    /// Where it offers an operation that another type of its family has, too.
    pub fn offering(&self, operation: &str, method: &str) -> Option<&'static AllowedPath> {
        let mut paths = self.paths.iter();
        paths.find(|allowed| allowed.operation == operation && allowed.allows(method))
    }

    /// Where it lists its models; `None` where nothing is known of its lists.
    pub fn models(&self) -> Option<String> {
        let mut paths = self.paths.iter();
        let list = paths.find(|path| path.shows_models && !path.names_model())?;
        Some(format!("{}{}", list.root, list.operation))
    }

    /// Whether another type takes the same requests, so that one goes to it as it is.
    pub fn has_paths_of(&self, other: &Self) -> bool {
        std::ptr::eq(self.paths, other.paths)
    }

    /// Whether every parameter of a query may be there. One that is written otherwise, with escapes or in another case, may not.
    pub fn allows_query(&self, query: &str) -> bool {
        let Some(allowed) = self.query else { return true };
        let is_allowed = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let mut known = allowed.iter().filter(|one| one.name == name);
            known.any(|one| one.values.is_empty() || one.values.contains(&value))
        };
        query
            .split(['&', ';'])
            .all(|parameter| parameter.is_empty() || is_allowed(parameter))
    }

    /// Whether a parameter of a query is one of [`Self::own_query`].
    pub fn is_own_parameter(&self, parameter: &str) -> bool {
        self.own_query.iter().any(|name| is_parameter(parameter, name))
    }
}

/// Whether a parameter of a query has this name, which is in lower case, to a server that resolves escapes and ignores case.
pub fn is_parameter(parameter: &str, name: &str) -> bool {
    let mut rest = parameter.split('=').next().unwrap_or_default().as_bytes();
    for wanted in name.bytes() {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        let (letter, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or_default(), after),
                _ => return false,
            },
            [letter, after @ ..] => (*letter, after),
            [] => return false,
        };
        if letter.to_ascii_lowercase() != wanted {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

impl CredentialHeader {
    /// The credential in a value of this header; `None` where the value has another scheme.
    pub fn credential<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        match self.scheme {
            Scheme::Plain => Some(value),
            Scheme::Bearer => bearer(value),
        }
    }

    /// The header's value for a credential.
    pub fn value(&self, credential: &str) -> String {
        match self.scheme {
            Scheme::Plain => credential.to_owned(),
            Scheme::Bearer => format!("Bearer {credential}"),
        }
    }
}

/// What follows the scheme `Bearer`.
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"bearer".len())?;
    let separated = matches!(rest.first(), Some(b' ' | b'\t'));
    (separated && scheme.eq_ignore_ascii_case(b"bearer")).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::paths::{self, is_id};
    use super::*;
    use lychgate_types::provider::Api;

    #[test]
    fn every_description_can_be_acted_by() {
        for provider_type in ProviderType::ALL {
            let description = describe(*provider_type);
            for path in description.paths {
                let written = path.to_string();
                assert!(written.starts_with(description.base_path), "{path:?}");
                assert!(written[description.base_path.len()..].starts_with('/'), "{path:?}");
                assert!(path.operation.starts_with('/'), "{path:?}");
                let known = |segment: &str| {
                    let place_holder = segment
                        .split_once(':')
                        .map_or(segment, |(place_holder, _)| place_holder);
                    segment == "{id}" || place_holder == "{model}" || paths::alternatives(segment).all(is_id)
                };
                assert!(written.split('/').skip(1).all(known), "{path:?}");
                assert!(
                    path.api.is_none() || path.names_object || !written.contains("{id}"),
                    "{path:?}"
                );
                assert!(!path.names_object || written.contains("{id}"), "{path:?}");
                let upper = |method: &str| !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
                assert!(path.methods.split(", ").all(upper), "{path:?}");
                if let Some(api) = path.api {
                    assert_eq!(api.wire_family(), provider_type.wire_family(), "{path:?}");
                }
            }
            assert!(!description.credentials.token.is_empty() && !description.credentials.own_key.is_empty());
            let names = credential_headers()
                .chain(payer_headers())
                .chain(description.signs.headers.iter().copied());
            for name in names {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                assert!(!name.is_empty() && name.bytes().all(plain), "{name}");
            }
        }
    }

    #[test]
    fn no_entry_hides_a_later_one() {
        for provider_type in ProviderType::ALL {
            let all = describe(*provider_type).paths;
            for (at, path) in all.iter().enumerate() {
                let filled = path.to_string().replace("{id}", "x").replace("{model}", "x");
                let segments = filled.split('/').map(|segment| paths::alternatives(segment).next());
                let example = segments.map(Option::unwrap).collect::<Vec<_>>().join("/");
                let first = all.iter().position(|path| path.matches(&example));
                assert_eq!(first, Some(at), "{provider_type}: {path}");
            }
        }
    }

    /// What is generated is a part of every pair, or of none of it.
    #[test]
    fn routes_may_lead_to_where_what_is_generated_is_offered_too() {
        let generates = |path: &&AllowedPath| path.api.is_some_and(|api| !api.is_about_objects());
        for entry in ProviderType::ALL {
            for other in ProviderType::ALL {
                let mut asked = describe(*entry).paths.iter().filter(generates);
                let is_offered = asked.any(|path| {
                    let mut methods = path.methods.split(", ");
                    methods.any(|method| describe(*other).offering(path.operation, method).is_some())
                });
                assert_eq!(entry.may_route_to(*other), is_offered, "{entry} to {other}");
            }
        }
    }

    #[test]
    fn the_settings_in_paths_are_those_that_the_type_tells() {
        for provider_type in ProviderType::ALL {
            for path in describe(*provider_type).paths {
                let told = path.settings().collect::<Vec<_>>();
                assert_eq!(told, provider_type.settings_in_paths(), "{provider_type}: {path}");
            }
        }
    }

    #[test]
    fn every_api_is_on_a_list() {
        for api in Api::ALL {
            let mut types = ProviderType::ALL.iter();
            assert!(
                types.any(|provider_type| describe(*provider_type).paths.iter().any(|path| path.api == Some(*api))),
                "{api}"
            );
        }
    }

    #[test]
    fn a_request_is_recognised_by_its_path_then_by_its_headers() {
        let with = |path: &str, header: Option<&str>| likely_family(path, |name| Some(name) == header);
        for (path, header, family) in [
            ("/v1/messages", None, WireFamily::Anthropic),
            ("/v1/messages/count_tokens", None, WireFamily::Anthropic),
            ("/v1/models", Some("anthropic-version"), WireFamily::Anthropic),
            ("/v1/models", Some("x-api-key"), WireFamily::Anthropic),
            ("/v1/models", Some("authorization"), WireFamily::OpenAi),
            ("/v1/models", None, WireFamily::OpenAi),
            ("/v1/chat/completions", Some("x-api-key"), WireFamily::OpenAi),
            ("/v1beta/models", None, WireFamily::Gemini),
            ("/v1/models", Some("x-goog-api-key"), WireFamily::Gemini),
            ("", None, WireFamily::OpenAi),
        ] {
            assert_eq!(with(path, header), family, "{path} {header:?}");
        }
    }

    #[test]
    fn credentials_are_read_and_written_by_their_scheme() {
        let plain = CredentialHeader {
            name: "x",
            scheme: Scheme::Plain,
        };
        for (header, value, credential) in [
            (plain, "key", Some("key")),
            (plain, "Bearer key", Some("Bearer key")),
            (BEARER, "Bearer key", Some("key")),
            (BEARER, "bEARER  key ", Some("key")),
            (BEARER, "Bearer\tkey", Some("key")),
            (BEARER, "Bearer", None),
            (BEARER, "Basic key", None),
            (BEARER, "key", None),
        ] {
            let found = header.credential(value.as_bytes());
            assert_eq!(found, credential.map(str::as_bytes), "{value}");
        }
        assert_eq!(
            (plain.value("k").as_str(), BEARER.value("k").as_str()),
            ("k", "Bearer k")
        );
    }
}
