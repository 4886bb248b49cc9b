//! Anthropic's error shape, the same in a body and in a stream's `error` event.

use crate::capture::clipped;
use crate::format::ErrorFormat;
use crate::json::{Raw, members};
use crate::limits::MESSAGE_BYTES;
use crate::{ErrorFacts, verdict};
use serde_json::Value;

members! {
    struct Body<'de> { kind: Raw<'de> = b"type", message: Raw<'de> = b"message", }
}

/// Reads the `error` member of `{"type": "error", "error": {"type", "message"}}`; `None` when it is null or absent.
pub(super) fn member(error: Raw<'_>) -> Option<ErrorFacts> {
    if !error.is_some() {
        return None;
    }
    let body: Body<'_> = error.object().unwrap_or(Body {
        kind: Raw::default(),
        message: error,
    });
    let error_type = Some(body.kind.name())
        .filter(|kind| !kind.is_empty())
        .unwrap_or_else(|| "error".to_owned());
    Some(ErrorFacts {
        error_type,
        message: clipped(body.message.text_or_json(), MESSAGE_BYTES),
    })
}

/// Errors as Anthropic writes them.
pub(crate) struct Errors;

impl ErrorFormat for Errors {
    fn error_type(&self, status: u16) -> &'static str {
        match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    fn body(&self, status: u16, message: &str, _: Option<u32>) -> String {
        let (error_type, message) = (self.error_type(status), Value::from(message));
        format!(r#"{{"type":"error","error":{{"type":"{error_type}","message":{message}}}}}"#)
    }

    fn is_out_of_credit(&self, error: &ErrorFacts) -> bool {
        verdict::is_out_of_credit_by_name(error)
    }
}
