//! Why a call over the control link failed.

use crate::field::BadMessage;
use crate::version::VersionRefusal;
use lychgate_types::KeyRefusal;
use std::borrow::Cow;

/// Why a call over the control link failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The control plane could not be reached, or the connection broke. Try again.
    #[error("the control plane can't be reached: {0}")]
    Unreachable(String),
    /// The control plane refused the gateway key or the version. Trying again at once is useless.
    #[error("the control plane refused this replica: {0}")]
    Refused(Refusal),
    /// The control plane had an internal error. Try again later.
    #[error("the control plane had an internal error (request {request_id})")]
    Internal {
        /// Identifies the failure in the control plane's log; empty if unknown.
        request_id: String,
    },
}

/// A control plane's refusal of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for decisions and metrics.
    pub reason: KeyRefusal,
    /// The control plane's own words, for people. They may say more than the reason.
    pub message: Cow<'static, str>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<VersionRefusal> for Refusal {
    fn from(refusal: VersionRefusal) -> Self {
        Self {
            reason: KeyRefusal::ProtocolVersion,
            message: refusal.to_string().into(),
        }
    }
}

impl LinkError {
    /// A refusal in the reason's usual words.
    pub const fn refused(reason: KeyRefusal) -> Self {
        let message = Cow::Borrowed(reason.explanation());
        Self::Refused(Refusal { reason, message })
    }

    /// The reason, if this is a refusal.
    pub const fn refusal(&self) -> Option<KeyRefusal> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason),
            Self::Unreachable(_) | Self::Internal { .. } => None,
        }
    }
}

impl From<BadMessage> for LinkError {
    /// What does not keep to the protocol is no control plane that this replica can use.
    fn from(error: BadMessage) -> Self {
        Self::Unreachable(error.to_string())
    }
}
