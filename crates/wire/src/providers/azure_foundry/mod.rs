//! Anthropic's models on Azure AI Foundry: Messages as Anthropic has them, without what Anthropic offers beside them.

use crate::provider::{AllowedPath, KeyForm, PLAIN_KEYS, ProviderDescription};
use crate::provider::{BEARER, ClientSigns, CredentialHeader, Credentials, plain};
use crate::providers::azure_openai::{QUERY_KEYS, entra_client_secret};
use lychgate_types::provider::Api;

const API_KEY: CredentialHeader = plain("x-api-key");
/// Where Azure's own clients send keys.
const AZURE_KEY: CredentialHeader = plain("api-key");

static PATHS: [AllowedPath; 2] = [
    AllowedPath::recorded("/v1/messages", Api::AnthropicMessages),
    AllowedPath::question_about("/v1/messages/count_tokens", Api::AnthropicMessages),
];

/// What an Entra ID credential is for at the platform.
const ENTRA: KeyForm = entra_client_secret("https://ai.azure.com/.default");

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "",
    paths: &PATHS,
    own_query: &[],
    query: None,
    settings: &[],
    key_forms: &[PLAIN_KEYS[0], ENTRA],
    other_models: None,
    models_ignore_case: true,
    credentials: Credentials {
        token: &[API_KEY, AZURE_KEY, BEARER],
        own_key: &[API_KEY.name, AZURE_KEY.name, BEARER.name],
        central_key: API_KEY,
        query: QUERY_KEYS,
        payer: &[],
    },
    signs: ClientSigns {
        paths: &[],
        headers: &[],
    },
};
