//! OpenAI Responses.

mod items;
mod reader;
mod request;

pub(crate) use reader::Reader;
pub(crate) use request::read_request;
