//! OpenAI Responses.

mod items;
mod reader;
pub(crate) mod request;
#[cfg(test)]
mod tests;

use super::COMMENT;
use super::error::Errors;
use crate::capture::Capture;
use crate::client::CODEX;
use crate::format::{ApiFormat, ErrorFormat as _, ResponseFormat};
use crate::{MalformedBody, RequestFacts};
use serde_json::Value;

/// OpenAI Responses.
pub(crate) struct Responses;

impl ApiFormat for Responses {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        request::read(body)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        Box::new(reader::Reader::new(capture))
    }

    /// Codex counts the events that it can parse, and passes over those of a type that it does not know; comments do not
    /// reset its limit of silence.
    fn filler(&self, client: &str) -> Option<&'static [u8]> {
        Some(match client {
            CODEX => b"event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n",
            _ => COMMENT,
        })
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        let (code, message) = (Errors.error_type(status), Value::from(message));
        let event =
            format!(r#"{{"type":"error","code":"{code}","message":{message},"param":null,"sequence_number":0}}"#);
        format!("event: error\ndata: {event}\n\n").into_bytes()
    }
}
