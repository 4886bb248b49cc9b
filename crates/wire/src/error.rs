//! Errors that the gateway itself makes, in the shape of the provider that the client addresses.
//!
//! Not here: how each family spells them (`providers`), and reading a provider's errors (they are facts of the response,
//! [`crate::ErrorFacts`]).

use crate::providers;
use lychgate_types::provider::{Api, WireFamily};

/// The error type that providers of this family give with this status; it is recorded, too.
pub fn error_type(family: WireFamily, status: u16) -> &'static str {
    providers::errors(family).error_type(status)
}

/// An error answer's body: JSON in the family's own shape.
pub fn body(family: WireFamily, status: u16, message: &str) -> String {
    providers::errors(family).body(status, message)
}

/// What ends a stream that broke after its head had gone out: the provider's own error event, then whatever ends every stream
/// of this API.
///
/// Begins a new event: where the stream broke inside one, a blank line must go before it
/// ([`crate::ResponseReader::is_inside_event`]).
pub fn stream_event(api: Api, status: u16, message: &str) -> String {
    providers::api(api).error_event(status, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReaderOptions, ResponseReader};
    use WireFamily::{Anthropic, OpenAi};

    #[test]
    fn each_family_has_its_own_shape() {
        assert_eq!(
            body(Anthropic, 401, "no \"token\""),
            r#"{"type":"error","error":{"type":"authentication_error","message":"no \"token\""}}"#
        );
        assert_eq!(
            body(OpenAi, 401, "m"),
            r#"{"error":{"message":"m","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
        );
    }

    #[test]
    fn every_status_of_the_gateways_own_has_an_error_type_in_every_family() {
        for (status, anthropic, openai) in [
            (400, "invalid_request_error", "invalid_request_error"),
            (401, "authentication_error", "authentication_error"),
            (403, "permission_error", "permission_error"),
            (404, "not_found_error", "invalid_request_error"),
            (405, "invalid_request_error", "invalid_request_error"),
            (408, "invalid_request_error", "invalid_request_error"),
            (413, "request_too_large", "invalid_request_error"),
            (415, "invalid_request_error", "invalid_request_error"),
            (426, "invalid_request_error", "invalid_request_error"),
            (429, "rate_limit_error", "rate_limit_error"),
            (500, "api_error", "server_error"),
            (502, "api_error", "server_error"),
            (503, "overloaded_error", "server_error"),
            (504, "timeout_error", "server_error"),
        ] {
            assert_eq!(error_type(Anthropic, status), anthropic, "{status}");
            assert_eq!(error_type(OpenAi, status), openai, "{status}");
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
