//! Anthropic: Messages, and what its clients ask for beside it.

mod error;
mod reader;
mod request;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use error::Errors;

use crate::capture::Capture;
use crate::format::{ApiFormat, ErrorFormat as _, ResponseFormat};
use crate::provider::{
    AllowedPath, BEARER, ClientSigns, CredentialHeader, Credentials, GET, POST, ProviderDescription, plain,
};
use crate::{MalformedBody, RequestFacts};
use lychgate_types::provider::Api;

const API_KEY: CredentialHeader = plain("x-api-key");

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "",
    paths: &[
        AllowedPath::recorded("/v1/messages", Api::AnthropicMessages),
        AllowedPath::question("/v1/messages/count_tokens"),
        AllowedPath::unrecorded("/v1/models", GET),
        AllowedPath::unrecorded("/v1/models/{model}", GET),
        AllowedPath::unrecorded("/api/event_logging/{id}", POST),
        AllowedPath::unrecorded("/api/event_logging/{id}/{id}", POST),
    ],
    credentials: Credentials {
        token: &[API_KEY, BEARER],
        own_key: &[API_KEY.name, BEARER.name],
        central_key: API_KEY,
        payer: &[],
    },
    signs: ClientSigns {
        paths: &["/v1/messages"],
        headers: &["anthropic-version", API_KEY.name],
    },
};

/// Anthropic Messages.
pub(crate) struct Messages;

impl ApiFormat for Messages {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        request::read(body)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        Box::new(reader::Reader::new(capture))
    }

    fn error_event(&self, status: u16, message: &str) -> String {
        format!("event: error\ndata: {}\n\n", Errors.body(status, message))
    }
}
