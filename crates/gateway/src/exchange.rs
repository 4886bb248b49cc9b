//! One request and its answer: admission, attempts, relay, record.
//!
//! Not here: when to retry (`resilience`), connections (`upstream`), and the record's way to the control plane (`spool`, `link`).

pub(crate) mod attempt;
pub(crate) mod attempts;
pub(crate) mod headers;
pub(crate) mod outcome;
pub(crate) mod packed_headers;
pub(crate) mod peeked;
pub(crate) mod recorder;
pub(crate) mod relay;
pub(crate) mod selector;
pub(crate) mod tee;
