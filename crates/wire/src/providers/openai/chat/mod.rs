//! OpenAI Chat Completions, by OpenAI itself and by the many servers that speak it.

mod chunk;
mod reader;
mod request;
mod splice;
#[cfg(test)]
mod tests;
mod tools;
mod usage_filter;

pub(crate) use reader::Reader;
pub(crate) use request::read_request;
pub(crate) use splice::with_usage_requested;
pub use usage_filter::UsageChunkFilter;
