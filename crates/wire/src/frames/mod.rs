//! AWS's event stream: binary frames with headers and checksums, split at any byte.
//!
//! [`Splitter`] finds where a frame ends and holds one that a read cut in two; the vendor's crate reads and writes whole frames.
//! What the events say is for the readers of each API (`providers::bedrock`).

mod position;
mod splitter;
#[cfg(test)]
mod tests;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use aws_smithy_types::str_bytes::StrBytes;

pub(crate) use position::Position;
pub(crate) use splitter::{Damage, Splitter, is_inside_first, without_payload};

/// What a frame is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// An event of this name.
    Event { name: &'a str, payload: &'a [u8] },
    /// An error of the API's own, which ends the stream.
    Exception { name: &'a str, payload: &'a [u8] },
    /// Any other error, which ends the stream, too.
    Error { code: &'a str, message: &'a str },
}

/// Reads a frame by its headers; `None` for a kind that nobody knows.
fn read(message: &Message) -> Option<Frame<'_>> {
    let text = |wanted: &str| {
        let mut headers = message.headers().iter();
        let header = headers.find(|header| header.name().as_str() == wanted)?;
        header.value().as_string().ok().map(StrBytes::as_str)
    };
    let payload = message.payload();
    match text(":message-type")? {
        "event" => Some(Frame::Event {
            name: text(":event-type").unwrap_or_default(),
            payload,
        }),
        "exception" => Some(Frame::Exception {
            name: text(":exception-type").unwrap_or_default(),
            payload,
        }),
        "error" => Some(Frame::Error {
            code: text(":error-code").unwrap_or_default(),
            message: text(":error-message").unwrap_or_default(),
        }),
        _ => None,
    }
}

/// A frame with an event of this name; `payload` is JSON.
pub(crate) fn event(name: &'static str, payload: String) -> Vec<u8> {
    written([(":event-type", name), JSON, (":message-type", "event")], payload)
}

/// A frame with an exception of this name; `payload` is JSON.
pub(crate) fn exception(name: &'static str, payload: String) -> Vec<u8> {
    written(
        [(":exception-type", name), JSON, (":message-type", "exception")],
        payload,
    )
}

const JSON: (&str, &str) = (":content-type", "application/json");

fn written(headers: [(&'static str, &'static str); 3], payload: String) -> Vec<u8> {
    let message = headers
        .into_iter()
        .fold(Message::new(payload.into_bytes()), |message, (name, value)| {
            message.add_header(Header::new(name, HeaderValue::String(value.into())))
        });
    let mut frame = Vec::new();
    // It fails only for headers that are too long, or a time: there is none.
    let _ = write_message_to(&message, &mut frame);
    frame
}
