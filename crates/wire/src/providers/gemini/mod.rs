//! Google's Gemini API: content generated and embedded, and what its clients ask for beside it.
//!
//! Not here: files and cached contents, which are not relayed, and Google's cloud (Vertex AI), which has other paths and credentials.

mod embeddings;
mod error;
mod made_id;
mod reader;
mod request;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use embeddings::Embeddings;
pub(crate) use error::Errors;

use crate::capture::Capture;
use crate::format::{ApiFormat, ErrorFormat as _, ResponseFormat};
use crate::provider::{
    AllowedPath, BEARER, ClientSigns, CredentialHeader, Credentials, GET, PLAIN_KEYS, Parameter, ProviderDescription,
    plain,
};
use crate::{MalformedBody, RequestFacts};
use lychgate_types::provider::Api;

const API_KEY: CredentialHeader = plain("x-goog-api-key");

/// Google takes many more, under several names each, by which a client may have the usage left out of an answer, have it in a form that
/// can't be read, or name who pays.
pub(crate) const QUERY: &[Parameter] = &[
    Parameter {
        name: "alt",
        values: &["sse", "json"],
    },
    Parameter {
        name: "prettyPrint",
        values: &["true", "false"],
    },
    Parameter {
        name: "pageSize",
        values: &[],
    },
    Parameter {
        name: "pageToken",
        values: &[],
    },
];

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "",
    paths: &[
        AllowedPath::recorded(
            "/{v1beta|v1|v1alpha}/models/{model}:streamGenerateContent",
            Api::GeminiGenerateContent,
        )
        .streaming(true)
        .with_model_letters(""),
        AllowedPath::recorded(
            "/{v1beta|v1|v1alpha}/models/{model}:generateContent",
            Api::GeminiGenerateContent,
        )
        .streaming(false)
        .with_model_letters(""),
        AllowedPath::recorded(
            "/{v1beta|v1|v1alpha}/models/{model}:embedContent",
            Api::GeminiEmbeddings,
        )
        .with_model_letters(""),
        AllowedPath::recorded(
            "/{v1beta|v1|v1alpha}/models/{model}:batchEmbedContents",
            Api::GeminiEmbeddings,
        )
        .with_model_letters(""),
        AllowedPath::question_about(
            "/{v1beta|v1|v1alpha}/models/{model}:countTokens",
            Api::GeminiGenerateContent,
        )
        .with_model_letters(""),
        AllowedPath::recorded(
            "/{v1beta|v1|v1alpha}/tunedModels/{model}:streamGenerateContent",
            Api::GeminiGenerateContent,
        )
        .streaming(true)
        .with_model_letters("")
        .with_model_prefix("tunedModels/"),
        AllowedPath::recorded(
            "/{v1beta|v1|v1alpha}/tunedModels/{model}:generateContent",
            Api::GeminiGenerateContent,
        )
        .streaming(false)
        .with_model_letters("")
        .with_model_prefix("tunedModels/"),
        AllowedPath::unrecorded("/{v1beta|v1|v1alpha}/models", GET),
        AllowedPath::unrecorded("/{v1beta|v1|v1alpha}/models/{model}", GET).with_model_letters(""),
    ],
    own_query: &[],
    query: Some(QUERY),
    settings: &[],
    key_forms: PLAIN_KEYS,
    other_models: None,
    models_ignore_case: false,
    credentials: Credentials {
        token: &[API_KEY, BEARER],
        own_key: &[API_KEY.name, BEARER.name],
        central_key: API_KEY,
        query: &["key", "access_token", "oauth_token"],
        payer: &["x-goog-user-project", "x-goog-quota-user"],
    },
    signs: ClientSigns {
        paths: &["/v1beta/", "/v1alpha/"],
        headers: &[API_KEY.name, "x-goog-api-client"],
    },
};

/// `generateContent` and `streamGenerateContent`.
pub(crate) struct GenerateContent;

impl ApiFormat for GenerateContent {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        request::read(body)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        Box::new(reader::Reader::new(capture))
    }

    /// Without `alt=sse` in its URL.
    fn streams_as_list(&self) -> bool {
        true
    }

    /// Google's clients take a comment for text that is none, or lose the event behind it. This is an empty event.
    fn filler(&self, _client: &str) -> Option<&'static [u8]> {
        Some(b"\r\n\r\n")
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        error_event(status, message).into_bytes()
    }
}

/// Not as data, as Google does it, too: its own client for JavaScript passes over an error that comes as data.
fn error_event(status: u16, message: &str) -> String {
    format!("{}\n\n", Errors.body(status, message, None))
}
