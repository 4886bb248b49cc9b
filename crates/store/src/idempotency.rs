//! Remembered answers: a request repeated under the same `Idempotency-Key` within an hour is answered as before.

use crate::connect::Store;
use crate::error::StoreError;
use crate::rows::idempotency::{Operation, RememberedAnswer};
use lychgate_authz::{Caller, Target, authorise};
use std::time::Duration;

/// How long an answer is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3600);

impl Store {
    /// The answer that the calling user got under this key within the last hour.
    pub async fn idempotency_find(
        &self,
        caller: &Caller,
        operation: Operation,
        key: &str,
    ) -> Result<Option<RememberedAnswer>, StoreError> {
        let (action, resource) = operation.right();
        authorise(&caller.principal, action, resource, Target::Collection)?;
        let Some(user) = caller.principal.user_id() else {
            return Ok(None);
        };
        let mut held = self.engine.read().await?;
        crate::sql::idempotency::find(held.conn(), user, operation.as_str(), key, self.now()).await
    }
}
