//! Remembered answers.

use lychgate_authz::{Action, Resource};

/// What kind of request an idempotency key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `Store::ai_gateway_key_insert`.
    AiGatewayKeyInsert,
}

impl Operation {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AiGatewayKeyInsert => "ai_gateway_key_insert",
        }
    }

    pub(crate) const fn right(self) -> (Action, Resource) {
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
