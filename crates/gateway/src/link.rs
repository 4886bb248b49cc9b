//! The control link as the gateway uses it: the long stream from the control plane, and the delivery of records.
//!
//! Not here: messages and transport (crate `link`).

pub(crate) mod attach;
pub(crate) mod deliver;
pub(crate) mod offline;
