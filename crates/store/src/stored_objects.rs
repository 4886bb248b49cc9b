//! Whose an object is that a provider stores (a response, a conversation): the user's who made it.
//!
//! Not here: what replicas do about it (crate `gateway`).

use crate::connect::Store;
use crate::error::StoreError;
use crate::sql::stored_objects as sql;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::StoredObject;
use lychgate_types::secret::SecretHash;
use std::time::Duration;

/// Providers keep responses for a month; conversations stay until they are deleted, but few are taken up after a year.
pub(crate) const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

impl Store {
    /// What is known of the object with this id, as seen from the user of the token with this hash.
    pub async fn stored_object_get(
        &self,
        caller: &Caller,
        token: &SecretHash,
        object: &str,
    ) -> Result<StoredObject, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::find(held.conn(), object, token).await
    }
}
