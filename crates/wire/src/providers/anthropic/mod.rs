//! Anthropic Messages.

mod error;
mod reader;
mod request;
#[cfg(test)]
mod tests;
mod usage;

pub(crate) use reader::Reader;
pub(crate) use request::read_request;
