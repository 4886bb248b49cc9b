//! OpenAI's.

pub(crate) mod chat;
pub(crate) mod embeddings;
mod response_items;
pub(crate) mod responses;
