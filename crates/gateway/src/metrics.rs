//! What a gateway counts, and how it is served.

pub(crate) mod counts;
mod exposition;

pub use exposition::exposition;
