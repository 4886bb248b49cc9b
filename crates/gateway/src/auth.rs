//! Authentication: credentials from the headers, and leases on what the control plane said about them.
//!
//! Not here: what goes upstream in their place (`exchange::headers`).

pub(crate) mod credentials;
pub(crate) mod leases;
pub(crate) mod lookup_health;
mod signatures;
pub(crate) mod target;
