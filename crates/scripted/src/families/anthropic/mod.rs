//! Anthropic's.

pub(crate) mod messages;
