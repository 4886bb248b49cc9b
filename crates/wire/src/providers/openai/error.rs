//! OpenAI's error shape, and those of servers that only nearly speak it.

use crate::capture::clipped;
use crate::format::ErrorFormat;
use crate::json::{self, Raw, members};
use crate::limits::MESSAGE_BYTES;
use crate::{ErrorFacts, verdict};
use serde_json::Value;

members! {
    /// An answer or event that may be an error.
    struct Envelope<'de> {
        error: Raw<'de> = b"error",
        object: Raw<'de> = b"object",
        kind: Raw<'de> = b"type",
        code: Raw<'de> = b"code",
        message: Raw<'de> = b"message",
        detail: Raw<'de> = b"detail",
    }
}

members! {
    /// `{"message", "type", "param", "code"}`
    struct Body<'de> {
        kind: Raw<'de> = b"type",
        code: Raw<'de> = b"code",
        message: Raw<'de> = b"message",
    }
}

/// An error as OpenAI's APIs spell it.
pub(crate) struct ErrorBody;

impl ErrorBody {
    /// Reads a whole answer or event: `{"error": {…}}`, `{"error": "…"}`, `{"object": "error", …}` (vLLM),
    /// `{"type": "error", …}` (Responses), `{"detail": "…"}` (FastAPI). `None` when it is no error.
    pub(crate) fn read(json: &[u8]) -> Option<ErrorFacts> {
        let found: Envelope<'_> = json::object(json)?;
        if found.error.is_some() {
            return Self::member(found.error);
        }
        if found.object.is("error") || found.kind.is("error") {
            return Some(facts(found.kind, found.code, found.message));
        }
        found.detail.text().map(|_| facts(found.kind, found.code, found.detail))
    }

    /// Reads the value of an `error` member; `None` when it is null or absent.
    pub(crate) fn member(error: Raw<'_>) -> Option<ErrorFacts> {
        if !error.is_some() {
            return None;
        }
        let Some(body) = error.object::<Body<'_>>() else {
            return Some(facts(Raw::default(), Raw::default(), error));
        };
        Some(facts(body.kind, body.code, body.message))
    }
}

fn facts(kind: Raw<'_>, code: Raw<'_>, message: Raw<'_>) -> ErrorFacts {
    let error_type = [kind.text().unwrap_or_default(), code.text_or_json()]
        .into_iter()
        .find(|name| !name.is_empty() && name != "error")
        .unwrap_or("error".into());
    ErrorFacts {
        error_type: crate::capture::name(error_type),
        message: clipped(message.text_or_json(), MESSAGE_BYTES),
    }
}

/// Errors as OpenAI writes them.
pub(crate) struct Errors;

impl ErrorFormat for Errors {
    fn error_type(&self, status: u16) -> &'static str {
        match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn body(&self, status: u16, message: &str, _: Option<u32>) -> String {
        let (error_type, message, code) = (self.error_type(status), Value::from(message), code(status));
        format!(r#"{{"error":{{"message":{message},"type":"{error_type}","param":null,"code":{code}}}}}"#)
    }

    fn is_out_of_credit(&self, error: &ErrorFacts) -> bool {
        verdict::is_out_of_credit_by_name(error)
    }
}

/// A stream's last events after an error: the error, then what ends every stream of Chat Completions.
pub(super) fn done_event(status: u16, message: &str) -> String {
    format!("data: {}\n\ndata: [DONE]\n\n", Errors.body(status, message, None))
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

    #[test]
    fn every_shape_of_error_is_read() {
        for (json, error_type, message) in [
            (
                r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                "invalid_request_error",
                "Incorrect API key provided",
            ),
            (
                r#"{"error":{"code":"DeploymentNotFound","message":"none"}}"#,
                "DeploymentNotFound",
                "none",
            ),
            (r#"{"error":{"message":"m","type":null,"code":404}}"#, "404", "m"),
            (r#"{"error":"model \"x\" not found"}"#, "error", "model \"x\" not found"),
            (
                r#"{"object":"error","message":"m","type":"NotFoundError","code":404}"#,
                "NotFoundError",
                "m",
            ),
            (
                r#"{"type":"error","code":"server_error","message":"m","param":null}"#,
                "server_error",
                "m",
            ),
            (
                r#"{"type":"error","error":{"type":"too_many_requests","message":"m"}}"#,
                "too_many_requests",
                "m",
            ),
            (r#"{"detail":"Not Found"}"#, "error", "Not Found"),
            (r#"{"error":{"message":7,"type":[1]}}"#, "error", "7"),
        ] {
            let found = ErrorBody::read(json.as_bytes());
            assert_eq!(
                found,
                Some(ErrorFacts {
                    error_type: error_type.into(),
                    message: message.into()
                }),
                "{json}"
            );
        }
        for json in [
            r#"{"id":"x","error":null}"#,
            r#"{"detail":null}"#,
            "[]",
            "<html>",
            r#"{"message":"hi"}"#,
        ] {
            assert_eq!(ErrorBody::read(json.as_bytes()), None, "{json}");
        }
    }
}
