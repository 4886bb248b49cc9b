//! Whose an object is that a provider stores, as seen from one user.
//!
//! Not here: who knows it (crate `store`), and what follows from it (crate `gateway`).

use crate::InterceptionId;

/// What is known of an object that a provider stores, as seen from one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Whose it is.
    pub ownership: Ownership,
    /// The interception that made it, where that is on record as unfinished.
    pub unfinished: Option<UnfinishedInterception>,
}

impl From<Ownership> for StoredObject {
    /// One that nothing is awaited of.
    fn from(ownership: Ownership) -> Self {
        Self {
            ownership,
            unfinished: None,
        }
    }
}

/// An interception that goes on at its provider in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedInterception {
    /// Its id.
    pub id: InterceptionId,
    /// The provider's name. Another provider may have another object under the same id.
    pub provider: String,
}

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
