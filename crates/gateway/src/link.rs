//! The control link as the gateway uses it: attaching, delivering records, and starting while no control plane can be reached.
//!
//! Not here: messages and transport (crate `link`).

pub(crate) mod attach;
pub(crate) mod deliver;
pub(crate) mod offline;
