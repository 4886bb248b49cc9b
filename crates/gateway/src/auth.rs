//! Who asks: credentials out of the headers, and whether the control plane stands by them.
//!
//! Not here: what goes upstream in their place (`exchange::headers`).

pub(crate) mod credentials;
pub(crate) mod leases;
pub(crate) mod lookup_health;
