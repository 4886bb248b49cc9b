//! Errors as AWS writes them: the type in a header, or as the name of an exception frame; the message in a JSON body.

use crate::ErrorFacts;
use crate::capture::{clipped, name};
use crate::format::ErrorFormat;
use crate::frames::{self, Frame};
use crate::json::{self, Raw, members};
use crate::limits::MESSAGE_BYTES;
use serde_json::Value;

members! {
    struct Body<'de> {
        message: Raw<'de> = b"message",
        // Some of AWS's own front ends spell it so.
        capital: Raw<'de> = b"Message",
        kind: Raw<'de> = b"__type",
    }
}

/// The header that names the type of an error.
pub(super) const TYPE_HEADER: &str = "x-amzn-errortype";

/// The type in that header, which may stand between a name space and an address.
pub(super) fn type_in(header: &str) -> String {
    let behind = header.rsplit_once('#').map_or(header, |(_, behind)| behind);
    let before = behind.split_once(':').map_or(behind, |(before, _)| before);
    name(before.trim().into())
}

/// Reads an error's body; `None` where it is none. `error_type` is what the head says.
pub(super) fn body(body: &[u8], error_type: Option<String>) -> Option<ErrorFacts> {
    let body: Body<'_> = json::object(body)?;
    // Some models have an object of this name in their answers.
    let message = body.message.text().or_else(|| body.capital.text());
    let error_type = error_type.or_else(|| body.kind.text().map(|kind| type_in(&kind)));
    if message.is_none() && error_type.is_none() {
        return None;
    }
    Some(ErrorFacts {
        error_type: error_type.unwrap_or_else(|| "error".to_owned()),
        message: clipped(message.unwrap_or_default(), MESSAGE_BYTES),
    })
}

/// The error that a frame is; `None` for an event.
pub(super) fn frame(frame: &Frame<'_>) -> Option<ErrorFacts> {
    match *frame {
        Frame::Event { .. } => None,
        Frame::Exception { name: kind, payload } => {
            let error_type = name(kind.into());
            let read = body(payload, Some(error_type.clone()));
            Some(read.unwrap_or(ErrorFacts {
                error_type,
                message: clipped(String::from_utf8_lossy(payload), MESSAGE_BYTES),
            }))
        }
        Frame::Error { code, message } => Some(ErrorFacts {
            error_type: name(code.into()),
            message: clipped(message.into(), MESSAGE_BYTES),
        }),
    }
}

/// The exception frame that ends a stream. `of_timeouts` is the exception that this API has for them.
pub(super) fn exception(status: u16, message: &str, of_timeouts: &'static str) -> Vec<u8> {
    let name = match status {
        504 => of_timeouts,
        503 => "serviceUnavailableException",
        429 => "throttlingException",
        ..=499 => "validationException",
        _ => "internalServerException",
    };
    frames::exception(name, Errors.body(status, message, None))
}

/// Errors as AWS writes them.
pub(crate) struct Errors;

impl ErrorFormat for Errors {
    fn error_type(&self, status: u16) -> &'static str {
        match status {
            401 => "UnrecognizedClientException",
            403 => "AccessDeniedException",
            404 => "ResourceNotFoundException",
            429 => "ThrottlingException",
            503 => "ServiceUnavailableException",
            504 => "ModelTimeoutException",
            500.. => "InternalServerException",
            _ => "ValidationException",
        }
    }

    fn type_header(&self) -> Option<&'static str> {
        Some(TYPE_HEADER)
    }

    /// An account pays afterwards.
    fn is_out_of_credit(&self, _: &ErrorFacts) -> bool {
        false
    }

    fn body(&self, _: u16, message: &str, _: Option<u32>) -> String {
        format!(r#"{{"message":{}}}"#, Value::from(message))
    }
}
