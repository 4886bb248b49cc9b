//! Remembered answers.

use crate::seal::SealError;
use lychgate_authz::{Action, Caller, Resource, Target};

/// What kind of request an idempotency key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `Store::ai_gateway_key_insert`.
    AiGatewayKeyInsert,
    /// `Store::ai_gateway_key_rotate`.
    AiGatewayKeyRotate,
    /// `Store::token_insert`.
    TokenInsert,
}

impl Operation {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AiGatewayKeyInsert => "ai_gateway_key_insert",
            Self::AiGatewayKeyRotate => "ai_gateway_key_rotate",
            Self::TokenInsert => "token_insert",
        }
    }

    /// What a caller must be allowed to do to see its answer again.
    pub(crate) fn right(self, caller: &Caller) -> (Action, Resource, Target) {
        let own = caller.principal.user_id().map_or(Target::Shared, Target::OwnedBy);
        match self {
            Self::AiGatewayKeyInsert => (Action::Create, Resource::AiGatewayKey, Target::Collection),
            Self::AiGatewayKeyRotate => (Action::Update, Resource::AiGatewayKey, Target::Shared),
            Self::TokenInsert => (Action::Create, Resource::Token, own),
        }
    }
}

/// Makes the whole answer from the row as it is after the change. Sealed, since it shows a secret.
pub type SealedAnswer<'a, Row> = Box<dyn FnOnce(&Row) -> Result<Vec<u8>, SealError> + Send + 'a>;

/// Has the answer to a request remembered, in the transaction of the change itself.
pub struct Idempotency<'a, Row> {
    /// The client's key, at most 255 characters.
    pub key: String,
    /// Tells the same request from another one under the same key.
    pub request_fingerprint: [u8; 32],
    /// What a repeated request gets.
    pub answer: SealedAnswer<'a, Row>,
}

impl<Row> std::fmt::Debug for Idempotency<'_, Row> {
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
