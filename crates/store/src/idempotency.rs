//! Remembered answers: a request repeated under the same `Idempotency-Key` within an hour is answered as before. For requests
//! whose answer shows a secret that can't be shown again.
//!
//! Not here: sealing answers, and telling the same request from another one (crate `control`).

use crate::connect::Store;
use crate::engine::{Tx, foreign};
use crate::error::StoreError;
use crate::guard::Guarded;
use crate::rows::idempotency::{Idempotency, Operation, RememberedAnswer};
use crate::sql::idempotency as sql;
use lychgate_authz::{Caller, authorise};
use std::time::Duration;
use uuid::Uuid;

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

impl Store {
    /// The answer that the calling user got under this key within the last hour.
    pub async fn idempotency_find(
        &self,
        caller: &Caller,
        operation: Operation,
        key: &str,
    ) -> Result<Option<RememberedAnswer>, StoreError> {
        let (action, resource, target) = operation.right(caller);
        authorise(&caller.principal, action, resource, target)?;
        let Some(user) = caller.principal.user_id() else {
            return Ok(None);
        };
        let mut held = self.engine.read().await?;
        sql::find(held.conn(), user, operation.as_str(), key, self.now()).await
    }

    /// Claims the idempotency key, if there is one. Call first in the transaction: a request that runs at the same time under
    /// the same key waits here, and then fails with the conflict `idempotency_keys_user_operation_key_idx` without having
    /// changed anything. Its caller then finds the answer.
    pub(crate) async fn claim<'a, Row>(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        operation: Operation,
        idempotency: Option<Idempotency<'a, Row>>,
    ) -> Result<Claim<'a, Row>, StoreError> {
        let (Some(user), Some(idempotency)) = (caller.principal.user_id(), idempotency) else {
            return Ok(Claim(None));
        };
        let (id, now) = (self.new_uuid(), self.now());
        let whose = (user, operation.as_str(), &*idempotency.key);
        let fingerprint = &idempotency.request_fingerprint;
        sql::insert(tx, id, (now, now.plus(REMEMBERED)), whose, fingerprint).await?;
        Ok(Claim(Some((id, idempotency))))
    }
}

/// An idempotency key that belongs to the transaction under way.
#[must_use]
pub(crate) struct Claim<'a, Row>(Option<(Uuid, Idempotency<'a, Row>)>);

impl<Row: Guarded> Claim<'_, Row> {
    /// Remembers the answer. Call last before the commit, with the row as it is now.
    pub(crate) async fn settle(self, tx: &mut Tx, row: &Row) -> Result<(), StoreError> {
        let Some((id, idempotency)) = self.0 else { return Ok(()) };
        let answer = (idempotency.answer)(row).map_err(foreign)?;
        sql::set_answer(tx.conn(), id, &answer, row.audited().id).await
    }
}
