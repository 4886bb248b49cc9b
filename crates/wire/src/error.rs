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

/// An error answer's body: JSON in the family's own shape, with how long to wait before the next try where that shape has a place
/// for it.
pub fn body(family: WireFamily, status: u16, message: &str, retry_after_seconds: Option<u32>) -> String {
    providers::errors(family).body(status, message, retry_after_seconds)
}

/// What ends a stream that broke after its head had gone out: the provider's own error event, then whatever ends every stream
/// of this API.
///
/// Begins a new event: where the stream broke inside one, [`event_gap`] must go before it
/// ([`crate::ResponseReader::is_inside_event`]).
pub fn stream_event(api: Api, status: u16, message: &str) -> Vec<u8> {
    providers::api(api).error_event(status, message)
}

/// What ends an event that a stream of this API broke in; `None` where nothing can, since the length of the event is fixed.
pub fn event_gap(api: Api) -> Option<&'static str> {
    (!providers::api(api).is_framed()).then_some("\n\n")
}

/// The header that names an error's type in this family, where its bodies don't.
pub fn type_header(family: WireFamily) -> Option<&'static str> {
    providers::errors(family).type_header()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReaderOptions, ResponseReader};
    use WireFamily::{Anthropic, Bedrock, Gemini, OpenAi};

    #[test]
    fn each_family_has_its_own_shape() {
        assert_eq!(
            body(Anthropic, 401, "no \"token\"", None),
            r#"{"type":"error","error":{"type":"authentication_error","message":"no \"token\""}}"#
        );
        assert_eq!(
            body(OpenAi, 401, "m", Some(1)),
            r#"{"error":{"message":"m","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
        );
        assert_eq!(
            body(Gemini, 401, "m", None),
            r#"{"error":{"code":401,"message":"m","status":"UNAUTHENTICATED","details":[]}}"#
        );
        assert_eq!(
            body(Gemini, 429, "m", Some(7)),
            r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}"#
        );
        assert_eq!(body(Bedrock, 401, "m", None), r#"{"message":"m"}"#);
        assert_eq!(type_header(Bedrock), Some("x-amzn-errortype"));
    }

    #[test]
    fn every_status_of_the_gateways_own_has_an_error_type_in_every_family() {
        for (status, anthropic, openai, gemini) in [
            (
                400,
                "invalid_request_error",
                "invalid_request_error",
                "INVALID_ARGUMENT",
            ),
            (401, "authentication_error", "authentication_error", "UNAUTHENTICATED"),
            (403, "permission_error", "permission_error", "PERMISSION_DENIED"),
            (404, "not_found_error", "invalid_request_error", "NOT_FOUND"),
            (
                405,
                "invalid_request_error",
                "invalid_request_error",
                "INVALID_ARGUMENT",
            ),
            (
                408,
                "invalid_request_error",
                "invalid_request_error",
                "INVALID_ARGUMENT",
            ),
            (413, "request_too_large", "invalid_request_error", "INVALID_ARGUMENT"),
            (
                415,
                "invalid_request_error",
                "invalid_request_error",
                "INVALID_ARGUMENT",
            ),
            (
                426,
                "invalid_request_error",
                "invalid_request_error",
                "INVALID_ARGUMENT",
            ),
            (429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
            (500, "api_error", "server_error", "INTERNAL"),
            (502, "api_error", "server_error", "UNAVAILABLE"),
            (503, "overloaded_error", "server_error", "UNAVAILABLE"),
            (504, "timeout_error", "server_error", "DEADLINE_EXCEEDED"),
        ] {
            assert_eq!(error_type(Anthropic, status), anthropic, "{status}");
            assert_eq!(error_type(OpenAi, status), openai, "{status}");
            assert_eq!(error_type(Gemini, status), gemini, "{status}");
        }
    }

    #[test]
    fn bedrocks_types_are_those_of_aws() {
        for (status, wanted) in [
            (400, "ValidationException"),
            (401, "UnrecognizedClientException"),
            (403, "AccessDeniedException"),
            (404, "ResourceNotFoundException"),
            (413, "ValidationException"),
            (429, "ThrottlingException"),
            (500, "InternalServerException"),
            (502, "InternalServerException"),
            (503, "ServiceUnavailableException"),
            (504, "ModelTimeoutException"),
        ] {
            assert_eq!(error_type(Bedrock, status), wanted, "{status}");
        }
    }

    #[test]
    fn our_own_events_read_as_the_providers() {
        for (api, error_type) in [
            (Api::AnthropicMessages, "timeout_error"),
            (Api::OpenAiChatCompletions, "server_error"),
            (Api::OpenAiResponses, "server_error"),
            (Api::GeminiGenerateContent, "DEADLINE_EXCEEDED"),
            (Api::BedrockInvoke, "modelTimeoutException"),
            (Api::BedrockConverse, "modelStreamErrorException"),
        ] {
            let mut reader = ResponseReader::new(api, true, ReaderOptions { capture_content: true });
            reader.push(&stream_event(api, 504, "the provider\nfell silent"));
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
