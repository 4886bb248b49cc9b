//! OpenAI Responses.

mod items;
mod reader;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use reader::Reader;
pub(crate) use request::read_request;
