//! Whose an object is that a provider stores, as seen from one user.
//!
//! Not here: who knows it (crate `store`), and what follows from it (crate `gateway`).

/// Whose an object is that a provider stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The user made it, through this deployment.
    Own,
    /// Others are known to have made it, and not the user.
    Anothers,
    /// Nobody is known to have made it: it is older than the deployment, or was made past it, or its record is on its way.
    Unknown,
}
