//! Anthropic's error shape, the same in a body and in a stream's `error` event.

use crate::ErrorFacts;
use crate::capture::clipped;
use crate::json::{Raw, members};
use crate::limits::MESSAGE_BYTES;

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
