//! One folder per provider type.

pub(crate) mod anthropic;
pub(crate) mod openai;
