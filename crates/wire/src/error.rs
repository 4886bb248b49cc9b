//! Errors that the gateway itself makes, in the shape of the provider that the client thinks it talks to.
//!
//! Not here: reading a provider's errors (they are facts of the response, [`crate::ErrorFacts`]).

use lychgate_types::provider::{Api, ProviderType};
use serde_json::{Value, json};

/// Why the gateway answered instead of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GatewayErrorKind {
    /// The body is not what the route needs.
    MalformedRequest,
    /// No user token, or one that does not hold.
    Unauthenticated,
    /// A good token that may not do this.
    Forbidden,
    /// No such provider, or a path that is not on its list.
    NotFound,
    /// The path is there, but not for this method.
    MethodNotAllowed,
    /// The body is over the limit.
    TooLarge,
    /// A WebSocket was asked for.
    UpgradeRefused,
    /// The gateway broke.
    Internal,
    /// The provider can't be reached.
    UpstreamUnreachable,
    /// The gateway can't let anybody in at present (no link, no key, draining).
    Unavailable,
    /// The provider did not answer in time.
    UpstreamTimeout,
}

impl GatewayErrorKind {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::UpgradeRefused => 426,
            Self::Internal => 500,
            Self::UpstreamUnreachable => 502,
            Self::Unavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }
}

/// The error type that a provider of this family gives with this status; also what the record says.
pub const fn error_type(provider_type: ProviderType, status: u16) -> &'static str {
    match provider_type {
        ProviderType::Anthropic => match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        },
        ProviderType::OpenAi | ProviderType::OpenAiCompatible => match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        },
    }
}

/// An error answer's body: JSON in the provider's own shape.
pub fn body(provider_type: ProviderType, status: u16, message: &str) -> String {
    let error_type = error_type(provider_type, status);
    match provider_type {
        ProviderType::Anthropic => json!({"type": "error", "error": {"type": error_type, "message": message}}),
        ProviderType::OpenAi | ProviderType::OpenAiCompatible => {
            json!({"error": {"message": message, "type": error_type, "param": null, "code": code(status)}})
        }
    }
    .to_string()
}

/// What ends a stream that broke after its head had gone out: the provider's own error event, then (Chat) `[DONE]`.
///
/// Begins a new event: where the stream broke inside one, a blank line must go before it
/// ([`crate::ResponseReader::is_inside_event`]).
pub fn stream_event(api: Api, status: u16, message: &str) -> String {
    match api {
        Api::AnthropicMessages => format!(
            "event: error\ndata: {}\n\n",
            body(ProviderType::Anthropic, status, message)
        ),
        Api::OpenAiChatCompletions | Api::OpenAiEmbeddings => {
            format!(
                "data: {}\n\ndata: [DONE]\n\n",
                body(ProviderType::OpenAi, status, message)
            )
        }
        Api::OpenAiResponses => {
            let code = error_type(ProviderType::OpenAi, status);
            let event = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": 0});
            format!("event: error\ndata: {event}\n\n")
        }
    }
}

/// OpenAI's `code`, where its own API has one for the status.
fn code(status: u16) -> Value {
    match status {
        401 => "invalid_api_key".into(),
        404 => "not_found".into(),
        429 => "rate_limit_exceeded".into(),
        _ => Value::Null,
    }
}
