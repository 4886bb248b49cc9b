//! Remembered answers: a request repeated under the same `Idempotency-Key` within an hour is answered as before.

use crate::{Store, StoreError};
use lychgate_authz::{Action, Caller, Resource, Target, authorise};

/// What kind of request an idempotency key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Store::ai_gateway_key_insert`].
    AiGatewayKeyInsert,
}

impl Operation {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AiGatewayKeyInsert => "ai_gateway_key_insert",
        }
    }

    const fn right(self) -> (Action, Resource) {
        match self {
            Self::AiGatewayKeyInsert => (Action::Create, Resource::AiGatewayKey),
        }
    }
}

/// An answer to be remembered.
#[derive(Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key, at most 255 characters.
    pub key: String,
    /// Tells the same request from another one under the same key.
    pub request_fingerprint: [u8; 32],
    /// The whole answer, sealed, since it may show a secret.
    pub sealed_answer: Vec<u8>,
}

impl std::fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Idempotency")
    }
}

/// An answer given before.
#[derive(Clone, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// Of the request that it answered.
    pub request_fingerprint: [u8; 32],
    /// The whole answer, sealed.
    pub sealed_answer: Vec<u8>,
}

impl std::fmt::Debug for RememberedAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RememberedAnswer")
    }
}

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
