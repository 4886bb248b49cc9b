//! Anthropic's models on Google's Vertex AI: Messages whose path names the project, the location and the model, and says whether the
//! answer is a stream.
//!
//! Not here: Google's own models there, which are of another wire family.

use crate::provider::{
    AllowedPath, BEARER, ClientSigns, Credentials, PLAIN_KEYS, ProviderDescription, SettingRule, plain,
};
use crate::providers::gemini::QUERY;
use lychgate_types::provider::Api;

/// The question how many tokens a prompt has comes first: it has the place of a model's name.
static PATHS: [AllowedPath; 3] = [
    AllowedPath::question_about(
        "/v1/projects/{project}/locations/{location}/publishers/anthropic/models/count-tokens:rawPredict",
        Api::AnthropicMessages,
    ),
    AllowedPath::recorded(
        "/v1/projects/{project}/locations/{location}/publishers/anthropic/models/{model}:streamRawPredict",
        Api::AnthropicMessages,
    )
    .with_model_letters("@")
    .streaming(true),
    AllowedPath::recorded(
        "/v1/projects/{project}/locations/{location}/publishers/anthropic/models/{model}:rawPredict",
        Api::AnthropicMessages,
    )
    .with_model_letters("@")
    .streaming(false),
];

const SETTINGS: &[SettingRule] = &[SettingRule::needed("project"), SettingRule::needed("location")];

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "",
    paths: &PATHS,
    own_query: &[],
    query: Some(QUERY),
    settings: SETTINGS,
    key_forms: PLAIN_KEYS,
    other_models: None,
    models_ignore_case: false,
    credentials: Credentials {
        token: &[BEARER, plain("x-api-key")],
        own_key: &[BEARER.name],
        central_key: BEARER,
        query: &["key", "access_token", "oauth_token"],
        payer: &["x-goog-user-project"],
    },
    signs: ClientSigns {
        paths: &["/v1/projects/"],
        headers: &[],
    },
};
