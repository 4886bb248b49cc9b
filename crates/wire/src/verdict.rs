//! What an error says beyond its status: that an account is out of credit, or that an answer which began with success is none.
//! The gateway decides by it whether another key or provider may do better.
//!
//! Not here: what is done about it (crate `gateway`).

use crate::{ErrorFacts, ReaderOptions, ResponseReader, frames, providers};
use lychgate_types::provider::Api;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::LazyLock;

/// How much of the beginning of an answer is looked at, in bytes: an error comes first, or not at all.
pub const BEGINNING_BYTES: usize = 4 * 1024;

/// Types and codes of errors that mean an account without credit.
const NO_CREDIT_TYPES: &[&str] = &[
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "insufficient_credits",
];
/// How messages begin that mean the same under a type that says less. Their beginnings only: what follows may be text of the
/// request, which must not be able to put a key out of use.
const NO_CREDIT_MESSAGES: &[&str] = &[
    "Your credit balance is too low",
    "You exceeded your current quota",
    "Billing hard limit has been reached",
    "Insufficient Balance",
    "Insufficient credits",
];
/// Without this word there is no error.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("error"));
/// The same of frames.
static EXCEPTION_TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(":exception-type"));
static ERROR_CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(":error-code"));
const FRAMED: [&LazyLock<Finder<'static>>; 2] = [&EXCEPTION_TYPE, &ERROR_CODE];
/// Types of errors that pass, and the status that they would have had.
const PASSING: &[(&str, u16)] = &[
    ("overloaded_error", 529),
    ("overloaded", 529),
    ("api_error", 500),
    ("server_error", 500),
    ("internal_error", 500),
    ("internal_server_error", 500),
    ("rate_limit_error", 429),
    ("rate_limit_exceeded", 429),
    ("too_many_requests", 429),
    ("timeout_error", 504),
    ("service_unavailable", 503),
    ("UNAVAILABLE", 503),
    ("INTERNAL", 500),
    ("RESOURCE_EXHAUSTED", 429),
    ("DEADLINE_EXCEEDED", 504),
    ("internalServerException", 500),
    ("InternalFailure", 500),
    ("InternalError", 500),
    ("modelStreamErrorException", 502),
    ("modelTimeoutException", 504),
    ("modelNotReadyException", 429),
    ("serviceUnavailableException", 503),
    ("ServiceUnavailable", 503),
    ("throttlingException", 429),
    ("Throttling", 429),
    ("SlowDown", 503),
];

/// Whether the body of an error says that the account of the key has no credit left.
pub fn is_out_of_credit(api: Api, status: u16, body: &[u8]) -> bool {
    let mut reader = reader(api, false);
    reader.push(&body[..body.len().min(BEGINNING_BYTES)]);
    let errors = providers::errors(api.wire_family());
    reader
        .finish(status)
        .error
        .is_some_and(|error| errors.is_out_of_credit(&error))
}

/// The same by the names and words that most providers use.
pub(crate) fn is_out_of_credit_by_name(error: &ErrorFacts) -> bool {
    let says = |beginning: &&str| error.message.starts_with(*beginning);
    NO_CREDIT_TYPES.contains(&error.error_type.as_str()) || NO_CREDIT_MESSAGES.iter().any(says)
}

/// What the messages of errors with status 403 say, in lower case, that are about the model, or about the request, and not about the key. That a message
/// may hold text of the request does no harm: a key stays in use that would have rested for a while.
const NOT_ABOUT_THE_KEY: &[&str] = &[
    // Bedrock: the account lacks a model, or a policy is about some.
    "access to the model",
    "access to this model",
    "model access is denied",
    "is not authorized to perform:",
    // OpenAI
    "does not have access to model",
    // Vertex AI
    "denied on resource",
    // OpenRouter: what the user wrote.
    "your input was flagged",
];

/// Whether the body of an error with status 403 says that it is about the model or the request, so that the key may serve others.
pub fn is_not_about_the_key(api: Api, body: &[u8]) -> bool {
    let mut reader = reader(api, false);
    reader.push(&body[..body.len().min(BEGINNING_BYTES)]);
    let error = reader.finish(403).error;
    error.is_some_and(|error| {
        let message = error.message.to_ascii_lowercase();
        NOT_ABOUT_THE_KEY.iter().any(|words| message.contains(words))
    })
}

/// Whether the body of an error names what asks for usage in a stream. It may do so because the client's own request is in it, too.
pub fn refuses_usage(body: &[u8]) -> bool {
    names_usage(&body[..body.len().min(BEGINNING_BYTES)])
}

/// Whether what asks for usage is named anywhere.
pub(crate) fn names_usage(text: &[u8]) -> bool {
    [&b"stream_options"[..], b"include_usage"]
        .into_iter()
        .any(|name| memchr::memmem::find(text, name).is_some())
}

/// The status of an error that is the first thing in an answer with a good status, where it is one that may pass; `None` for
/// anything else. `beginning` is what came first of the body.
pub fn passing_error_first(api: Api, is_event_stream: bool, beginning: &[u8]) -> Option<u16> {
    let beginning = &beginning[..beginning.len().min(BEGINNING_BYTES)];
    let is_framed = is_event_stream && providers::api(api).is_framed();
    let signs = if is_framed { &FRAMED[..] } else { &[&ERROR] };
    // Nearly all answers end here.
    signs.iter().find_map(|sign| sign.find(beginning))?;
    let first = match is_framed && frames::is_inside_first(beginning) {
        // Which error a frame is, its headers say, however long the message.
        true => frames::without_payload(beginning)?.into(),
        false => Cow::Borrowed(beginning),
    };
    let mut reader = reader(api, is_event_stream);
    reader.push(&first);
    let facts = reader.finish(200);
    let ErrorFacts { error_type, .. } = facts.error?;
    // An exception's name begins with a small letter in a frame, and with a capital one elsewhere.
    let known = PASSING
        .iter()
        .find(|(passing, _)| passing.eq_ignore_ascii_case(&error_type));
    // Some give the status itself as the code.
    let coded = || {
        error_type
            .parse()
            .ok()
            .filter(|code| matches!(code, 408 | 429 | 500..=599))
    };
    let status = known.map(|(_, status)| *status).or_else(coded)?;
    // What has begun to be written is billed, and the client's.
    (facts.usages.is_empty() && facts.text_bytes == 0).then_some(status)
}

/// Whether nothing can be said yet of a stream that begins so: its first frame is not whole, and may be an error.
pub fn needs_more(api: Api, beginning: &[u8]) -> bool {
    providers::api(api).is_framed() && beginning.len() < BEGINNING_BYTES && frames::is_inside_first(beginning)
}

fn reader(api: Api, is_event_stream: bool) -> ResponseReader {
    let options = ReaderOptions { capture_content: false };
    ResponseReader::new(api, is_event_stream, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Api::{AnthropicMessages, GeminiGenerateContent, OpenAiChatCompletions, OpenAiResponses};

    #[test]
    fn an_account_without_credit() {
        for (api, body, is_out) in [
            (
                AnthropicMessages,
                r#"{"type":"error","error":{"type":"billing_error","message":"m"}}"#,
                true,
            ),
            (
                AnthropicMessages,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
                true,
            ),
            (
                AnthropicMessages,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"no such tool: Your credit balance is too low"}}"#,
                false,
            ),
            (
                OpenAiChatCompletions,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                true,
            ),
            (
                OpenAiResponses,
                r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#,
                false,
            ),
            (OpenAiChatCompletions, "insufficient_quota", false),
            (
                GeminiGenerateContent,
                r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}"#,
                false,
            ),
            (
                GeminiGenerateContent,
                r#"[{"error":{"code":429,"message":"Your prepayment credits are depleted.","status":"RESOURCE_EXHAUSTED"}}]"#,
                true,
            ),
        ] {
            assert_eq!(is_out_of_credit(api, 429, body.as_bytes()), is_out, "{body}");
        }
    }

    #[test]
    fn an_error_that_comes_first() {
        let overloaded =
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n";
        let started = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n";
        for (api, beginning, status) in [
            (AnthropicMessages, overloaded.to_owned(), Some(529)),
            (AnthropicMessages, format!(": comment\n\n{overloaded}"), Some(529)),
            (AnthropicMessages, format!("{started}{overloaded}"), None),
            (
                AnthropicMessages,
                overloaded.replace("overloaded_error", "invalid_request_error"),
                None,
            ),
            (
                OpenAiChatCompletions,
                "data: {\"error\":{\"message\":\"m\",\"type\":\"internal_error\"}}\n\n".to_owned(),
                Some(500),
            ),
            (
                OpenAiChatCompletions,
                "data: {\"error\":{\"message\":\"m\",\"code\":502}}\n\n".to_owned(),
                Some(502),
            ),
            (
                OpenAiChatCompletions,
                "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"an error\"}}]}\n\n".to_owned(),
                None,
            ),
        ] {
            assert_eq!(
                passing_error_first(api, true, beginning.as_bytes()),
                status,
                "{beginning}"
            );
        }
        for beginning in [
            "[{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}]",
            "data: {\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
            "{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}",
        ] {
            assert_eq!(
                passing_error_first(GeminiGenerateContent, true, beginning.as_bytes()),
                Some(503)
            );
        }
        let blocking = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
        assert_eq!(
            passing_error_first(AnthropicMessages, false, blocking.as_bytes()),
            Some(529)
        );
    }
}
