//! Google's error shape, the same in a body, in a list and in a stream.

use crate::ErrorFacts;
use crate::capture::{clipped, name};
use crate::format::ErrorFormat;
use crate::json::{Raw, members};
use crate::limits::MESSAGE_BYTES;
use serde_json::{Value, json};

members! {
    struct Body<'de> { status: Raw<'de> = b"status", code: Raw<'de> = b"code", message: Raw<'de> = b"message", }
}

/// How messages begin that mean an account without credit. "You exceeded your current quota" is none of them: Google says it of
/// each limit per minute.
const NO_CREDIT_MESSAGES: &[&str] = &["Your prepayment credits are depleted"];

/// Reads the `error` member of `{"error": {"code", "message", "status", "details"}}`; `None` when it is null or absent.
pub(super) fn member(error: Raw<'_>) -> Option<ErrorFacts> {
    if !error.is_some() {
        return None;
    }
    let body: Body<'_> = error.object().unwrap_or(Body {
        message: error,
        ..Body::default()
    });
    let error_type = [body.status.text().unwrap_or_default(), body.code.text_or_json()]
        .into_iter()
        .find(|name| !name.is_empty());
    Some(ErrorFacts {
        error_type: error_type.map_or_else(|| "error".to_owned(), name),
        message: clipped(body.message.text_or_json(), MESSAGE_BYTES),
    })
}

/// Errors as Google writes them.
pub(crate) struct Errors;

impl ErrorFormat for Errors {
    fn error_type(&self, status: u16) -> &'static str {
        match status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            409 => "ABORTED",
            429 => "RESOURCE_EXHAUSTED",
            502 | 503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        }
    }

    /// With a `RetryInfo`, because clients of Google's look for it there and not in a header: without it they take a 429 for a
    /// quota of the day, or try again for minutes.
    fn body(&self, status: u16, message: &str, retry_after_seconds: Option<u32>) -> String {
        let (error_type, message) = (self.error_type(status), Value::from(message));
        let details = match retry_after_seconds {
            Some(seconds) => {
                json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s") }])
            }
            None => json!([]),
        };
        format!(r#"{{"error":{{"code":{status},"message":{message},"status":"{error_type}","details":{details}}}}}"#)
    }

    fn is_out_of_credit(&self, error: &ErrorFacts) -> bool {
        let message = &error.message;
        NO_CREDIT_MESSAGES
            .iter()
            .any(|beginning| message.starts_with(beginning))
    }
}
