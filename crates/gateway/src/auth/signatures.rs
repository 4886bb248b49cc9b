//! Requests that a client signed with AWS credentials: a signature is no token, and can't be passed on.
//!
//! Not here: signing what goes to a provider.

use super::credentials::X_LYCHGATE_TOKEN;
use crate::error::Refusal;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use lychgate_telemetry::metrics::labels::Refused;

/// Whether a credential is a signature (AWS SigV4): it is good for one request, and for the host that that was sent to.
pub(super) fn is_signature(text: &[u8]) -> bool {
    text.starts_with(b"AWS4-")
}

pub(super) fn is_signed(headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION);
    value.is_some_and(|value| is_signature(value.as_bytes().trim_ascii_start()))
}

pub(super) fn signed_without_token() -> Refusal {
    let message = format!(
        "this request is signed with AWS credentials, which are no Lychgate token: set AWS_BEARER_TOKEN_BEDROCK to your Lychgate \
         token (lgu_…), which the AWS SDKs send as authorization: Bearer, or send it in {X_LYCHGATE_TOKEN} beside a Bedrock API key of \
         your own"
    );
    Refusal::new(StatusCode::FORBIDDEN, Refused::CredentialMissing, message)
}

pub(super) fn signature_not_passed_on() -> Refusal {
    let message = format!(
        "{X_LYCHGATE_TOKEN} means that you bring your own provider key, but this request is signed with AWS credentials: the signature \
         was made for this host and can't be passed on. Send a Bedrock API key as authorization: Bearer, or send the Lychgate \
         token there instead to use the platform's key"
    );
    Refusal::new(StatusCode::FORBIDDEN, Refused::CredentialMissing, message)
}
