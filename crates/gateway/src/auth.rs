//! Authentication: credentials from the headers, leases on what the control plane said about them, and how many who are not
//! known may wait at the same time.
//!
//! Not here: what goes upstream in their place (`exchange::headers`).

pub(crate) mod credentials;
pub(crate) mod leases;
pub(crate) mod lookup_health;
pub(crate) mod places;
