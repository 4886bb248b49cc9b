//! Azure OpenAI: OpenAI's operations on an Azure resource, by its v1 API and by the dated ones that came before it.

#[cfg(test)]
mod tests;

use crate::provider::{
    AllowedPath, BEARER, ClientSigns, CredentialHeader, Credentials, GrantForm, KeyForm, KeyUse, PLAIN_KEYS,
    ProviderDescription, SettingRule, SettingValue, below, plain,
};
use crate::providers::openai::OPERATIONS;
use lychgate_types::provider::Api;

const API_KEY: CredentialHeader = plain("api-key");
/// Where Azure takes a key in a query.
pub(crate) const QUERY_KEYS: &[&str] = &["api-key", "subscription-key", "ocp-apim-subscription-key"];

/// What the dated API offers below a deployment. Its clients ask for anything else without one.
const DEPLOYED: &[AllowedPath] = &[
    AllowedPath::recorded("/chat/completions", Api::OpenAiChatCompletions),
    AllowedPath::recorded("/completions", Api::OpenAiCompletions),
    AllowedPath::recorded("/embeddings", Api::OpenAiEmbeddings),
    AllowedPath::recorded("/audio/speech", Api::OpenAiAudio),
    AllowedPath::recorded("/audio/transcriptions", Api::OpenAiAudio),
    AllowedPath::recorded("/audio/translations", Api::OpenAiAudio),
    AllowedPath::recorded("/images/generations", Api::OpenAiImages),
    AllowedPath::recorded("/images/edits", Api::OpenAiImages),
];

/// The v1 API is first: it is the one that needs no `api-version`, which clients of other types do not send.
static PATHS: [AllowedPath; 2 * OPERATIONS.len() + DEPLOYED.len()] = named_plainly(below([
    ("/openai/v1", OPERATIONS),
    ("/openai/deployments/{model}", DEPLOYED),
    ("/openai", OPERATIONS),
]));

/// The names of deployments are plain, and a slash in one would lead to paths that are on no list.
const fn named_plainly<const PATHS: usize>(mut paths: [AllowedPath; PATHS]) -> [AllowedPath; PATHS] {
    let mut at = 0;
    while at < PATHS {
        paths[at].model_letters = ":";
        at += 1;
    }
    paths
}

/// What an Entra ID credential is for at Azure's models.
const ENTRA: KeyForm = entra_client_secret("https://cognitiveservices.azure.com/.default");

const ENTRA_SETTINGS: &[SettingRule] = &[
    SettingRule::needed("tenant_id"),
    SettingRule::needed("client_id"),
    SettingRule {
        name: "authority",
        takes: SettingValue::Url,
        is_needed: false,
    },
];

/// Keys that are the secrets of a client that is registered at Entra ID.
pub(crate) const fn entra_client_secret(scope: &'static str) -> KeyForm {
    KeyForm {
        name: "entra_client_secret",
        settings: ENTRA_SETTINGS,
        used: KeyUse::Fetches(GrantForm::EntraClientSecret { scope }),
    }
}

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "",
    paths: &PATHS,
    own_query: &["api-version"],
    query: None,
    settings: &[],
    key_forms: &[PLAIN_KEYS[0], ENTRA],
    other_models: None,
    models_ignore_case: true,
    credentials: Credentials {
        token: &[API_KEY, BEARER],
        own_key: &[API_KEY.name, BEARER.name],
        central_key: API_KEY,
        query: QUERY_KEYS,
        payer: &[],
    },
    signs: ClientSigns {
        paths: &["/openai/"],
        headers: &[API_KEY.name],
    },
};
