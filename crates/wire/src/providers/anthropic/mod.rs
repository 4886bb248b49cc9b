//! Anthropic: Messages, and what its clients ask for beside it.

mod error;
pub(crate) mod models;
mod reader;
mod request;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use error::Errors;

use crate::capture::Capture;
use crate::form::Boundary;
use crate::format::{ApiFormat, ErrorFormat as _, ResponseFormat};
use crate::provider::{
    AllowedPath, BEARER, ClientSigns, CredentialHeader, Credentials, Family, GET, PLAIN_KEYS, POST,
    ProviderDescription, plain,
};
use crate::{MalformedBody, RequestFacts};
use lychgate_types::provider::Api;

const API_KEY: CredentialHeader = plain("x-api-key");

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "",
    paths: &[
        AllowedPath::recorded("/v1/messages", Api::AnthropicMessages),
        AllowedPath::question_about("/v1/messages/count_tokens", Api::AnthropicMessages),
        AllowedPath::list("/v1/messages/batches", Api::AnthropicObjects, Family::Batches),
        AllowedPath::stored(
            "/v1/messages/batches/{id}",
            "GET, HEAD, DELETE",
            Api::AnthropicObjects,
            Family::Batches,
        ),
        AllowedPath::stored(
            "/v1/messages/batches/{id}/cancel",
            POST,
            Api::AnthropicObjects,
            Family::Batches,
        ),
        AllowedPath::stored(
            "/v1/messages/batches/{id}/results",
            GET,
            Api::AnthropicObjects,
            Family::Batches,
        ),
        AllowedPath::list("/v1/files", Api::AnthropicObjects, Family::Files),
        AllowedPath::stored(
            "/v1/files/{id}",
            "GET, HEAD, DELETE",
            Api::AnthropicObjects,
            Family::Files,
        ),
        AllowedPath::stored("/v1/files/{id}/content", GET, Api::AnthropicObjects, Family::Files),
        AllowedPath::list("/v1/skills", Api::AnthropicObjects, Family::Skills),
        AllowedPath::stored(
            "/v1/skills/{id}",
            "GET, HEAD, DELETE",
            Api::AnthropicObjects,
            Family::Skills,
        ),
        AllowedPath::stored(
            "/v1/skills/{id}/versions",
            "GET, HEAD, POST",
            Api::AnthropicObjects,
            Family::Skills,
        ),
        AllowedPath::stored(
            "/v1/skills/{id}/versions/{id}",
            "GET, HEAD, DELETE",
            Api::AnthropicObjects,
            Family::Skills,
        ),
        AllowedPath::models("/v1/models"),
        AllowedPath::models("/v1/models/{model}"),
        AllowedPath::unrecorded("/api/event_logging/{id}", POST),
        AllowedPath::unrecorded("/api/event_logging/{id}/{id}", POST),
    ],
    own_query: &[],
    query: None,
    settings: &[],
    key_forms: PLAIN_KEYS,
    other_models: None,
    models_ignore_case: false,
    credentials: Credentials {
        token: &[API_KEY, BEARER],
        own_key: &[API_KEY.name, BEARER.name],
        central_key: API_KEY,
        query: &[],
        payer: &[],
    },
    signs: ClientSigns {
        paths: &["/v1/messages"],
        headers: &["anthropic-version", API_KEY.name],
    },
};

/// What Anthropic stores.
pub(crate) struct Objects;

impl ApiFormat for Objects {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        super::openai::objects::Objects.read_request(body)
    }

    fn read_form(&self, body: &[u8], boundary: Boundary<'_>) -> Option<Result<RequestFacts, MalformedBody>> {
        super::openai::objects::Objects.read_form(body, boundary)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        super::openai::objects::Objects.response(capture)
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        Messages.error_event(status, message)
    }
}

/// Anthropic Messages.
pub(crate) struct Messages;

impl ApiFormat for Messages {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        request::read(body)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        Box::new(reader::Reader::new(capture))
    }

    /// As Anthropic itself sends it. There are clients that fail on one without data.
    fn filler(&self, _client: &str) -> Option<&'static [u8]> {
        Some(b"event: ping\ndata: {\"type\": \"ping\"}\n\n")
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        format!("event: error\ndata: {}\n\n", Errors.body(status, message, None)).into_bytes()
    }
}
