//! Whose an object is that a provider stores (a response, a conversation): the user's who made it.
//!
//! Not here: what replicas do about it (crate `gateway`).

use crate::connect::Store;
use crate::error::StoreError;
use crate::sql::stored_objects as sql;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::Ownership;
use lychgate_types::secret::SecretHash;
use std::time::Duration;

/// Providers keep responses for a month; conversations stay until they are deleted, but few are taken up after a year.
pub(crate) const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

impl Store {
    /// Whose the object with this id is, as seen from the user of the token with this hash.
    pub async fn stored_object_ownership(
        &self,
        caller: &Caller,
        token: &SecretHash,
        object: &str,
    ) -> Result<Ownership, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::ownership(held.conn(), object, token).await
    }
}
