//! OpenAI's APIs, by OpenAI itself and by the many servers that speak them.

pub(crate) mod chat;
pub(crate) mod embeddings;
mod error;
pub(crate) mod responses;
