//! Errors that the gateway itself makes, in the shape of the provider that the client thinks it talks to.
//!
//! Not here: reading a provider's errors (they are facts of the response, [`crate::ErrorFacts`]).

use lychgate_types::provider::{Api, ProviderType};
use serde_json::Value;

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
    let message = Value::from(message);
    match provider_type {
        ProviderType::Anthropic => {
            format!(r#"{{"type":"error","error":{{"type":"{error_type}","message":{message}}}}}"#)
        }
        ProviderType::OpenAi | ProviderType::OpenAiCompatible => {
            let code = code(status);
            format!(r#"{{"error":{{"message":{message},"type":"{error_type}","param":null,"code":{code}}}}}"#)
        }
    }
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
            let message = Value::from(message);
            let event =
                format!(r#"{{"type":"error","code":"{code}","message":{message},"param":null,"sequence_number":0}}"#);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReaderOptions, ResponseReader};

    #[test]
    fn each_provider_has_its_own_shape() {
        assert_eq!(
            body(ProviderType::Anthropic, 401, "no \"token\""),
            r#"{"type":"error","error":{"type":"authentication_error","message":"no \"token\""}}"#
        );
        assert_eq!(
            body(ProviderType::OpenAi, 401, "m"),
            r#"{"error":{"message":"m","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
        );
        assert_eq!(
            body(ProviderType::OpenAiCompatible, 502, "m"),
            body(ProviderType::OpenAi, 502, "m")
        );
    }

    #[test]
    fn every_kind_has_an_error_type_with_every_provider() {
        use GatewayErrorKind::*;
        for (kind, anthropic, openai) in [
            (MalformedRequest, "invalid_request_error", "invalid_request_error"),
            (Unauthenticated, "authentication_error", "authentication_error"),
            (Forbidden, "permission_error", "permission_error"),
            (NotFound, "not_found_error", "invalid_request_error"),
            (MethodNotAllowed, "invalid_request_error", "invalid_request_error"),
            (TooLarge, "request_too_large", "invalid_request_error"),
            (UpgradeRefused, "invalid_request_error", "invalid_request_error"),
            (Internal, "api_error", "server_error"),
            (UpstreamUnreachable, "api_error", "server_error"),
            (Unavailable, "overloaded_error", "server_error"),
            (UpstreamTimeout, "timeout_error", "server_error"),
        ] {
            assert_eq!(
                error_type(ProviderType::Anthropic, kind.status()),
                anthropic,
                "{kind:?}"
            );
            assert_eq!(error_type(ProviderType::OpenAi, kind.status()), openai, "{kind:?}");
        }
    }

    #[test]
    fn our_own_events_read_as_the_providers() {
        for (api, error_type) in [
            (Api::AnthropicMessages, "timeout_error"),
            (Api::OpenAiChatCompletions, "server_error"),
            (Api::OpenAiResponses, "server_error"),
        ] {
            let mut reader = ResponseReader::new(api, true, ReaderOptions { capture_content: true });
            reader.push(stream_event(api, 504, "the provider\nfell silent").as_bytes());
            assert!(!reader.is_inside_event());
            assert_eq!(
                reader.is_complete(),
                api == Api::OpenAiChatCompletions,
                "only Chat has an end of its own"
            );
            let error = reader.finish(200).error.unwrap();
            assert_eq!(
                (error.error_type.as_str(), error.message.as_str()),
                (error_type, "the provider\nfell silent")
            );
        }
    }
}
