//! One folder per wire family.

pub(crate) mod anthropic;
pub(crate) mod openai;
