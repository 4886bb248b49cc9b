//! OpenAI Chat Completions, by OpenAI itself and by the many servers that speak it.

mod chunk;
mod reader;
mod request;
mod splice;
#[cfg(test)]
mod tests;
mod tools;
mod usage_filter;

pub use usage_filter::UsageChunkFilter;

use super::COMMENT;
use super::error::done_event;
use crate::capture::Capture;
use crate::format::{ApiFormat, ResponseFormat};
use crate::{MalformedBody, RequestFacts};

/// OpenAI Chat Completions.
pub(crate) struct ChatCompletions;

impl ApiFormat for ChatCompletions {
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        request::read(body)
    }

    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat> {
        Box::new(reader::Reader::new(capture))
    }

    fn with_usage_requested(&self, body: &[u8]) -> Option<Vec<u8>> {
        splice::with_usage_requested(body)
    }

    fn filler(&self, _client: &str) -> Option<&'static [u8]> {
        Some(COMMENT)
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        done_event(status, message).into_bytes()
    }
}
