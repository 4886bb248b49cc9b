//! The state of the control link and the configuration in force, at one moment. Replaced as a whole, read without a lock.

use crate::error::Refusal;
use crate::routing::table::Table;
use http::StatusCode;
use lychgate_telemetry::metrics::LinkTrouble;
use lychgate_telemetry::metrics::labels::{self, Refused};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The state at one moment.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaState {
    pub(crate) link: LinkState,
    pub(crate) table: Arc<Table>,
}

/// The state of the control link.
#[derive(Debug, Clone)]
pub(crate) enum LinkState {
    /// Not attached yet; `reason` is from the last attempt.
    Starting { reason: Option<DisconnectReason> },
    /// Attached.
    Attached,
    /// No longer attached, since then; `reason` is from the last attempt.
    Offline { since: Instant, reason: DisconnectReason },
    /// The control plane refuses this replica. `since` is when it was last attached, or started.
    Refused { since: Instant, reason: DisconnectReason },
}

/// Why it is not attached.
#[derive(Debug, Clone)]
pub(crate) struct DisconnectReason {
    pub(crate) trouble: LinkTrouble,
    /// The same for people.
    pub(crate) message: Arc<str>,
}

impl ReplicaState {
    pub(crate) fn start() -> Self {
        Self {
            link: LinkState::Starting { reason: None },
            table: Arc::default(),
        }
    }
}

impl LinkState {
    pub(crate) fn is_attached(&self) -> bool {
        matches!(self, Self::Attached)
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether requests may be accepted, and if not, why.
    pub(crate) fn admits(&self, max_offline: Duration) -> Result<(), Refusal> {
        match self {
            Self::Attached => Ok(()),
            Self::Offline { since, .. } if since.elapsed() < max_offline => Ok(()),
            Self::Starting { .. } => Err(Refusal::unavailable(
                Refused::NotAttached,
                "this gateway has not reached its control plane yet; try again shortly",
                1,
            )),
            Self::Offline { .. } => Err(Refusal::unavailable(
                Refused::OfflineTooLong,
                "this gateway has been without its control plane for too long",
                5,
            )),
            Self::Refused { reason, .. } => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Refused::ReplicaRefused,
                format!("this gateway is refused by its control plane: {}", reason.message),
            )),
        }
    }

    /// The same for `/readyz`: what is worth knowing while ready, or why not ready.
    pub(crate) fn readiness(&self, max_offline: Duration) -> Result<&'static str, String> {
        match self {
            Self::Attached => Ok("ready"),
            Self::Offline { since, .. } if since.elapsed() < max_offline => {
                Ok("ready for known tokens only; the control plane can't be reached")
            }
            Self::Starting { reason: None } => Err("not attached to the control plane yet".to_owned()),
            Self::Starting { reason: Some(reason) } => {
                Err(format!("not attached to the control plane yet: {}", reason.message))
            }
            Self::Offline { .. } => Err("the control plane has been unreachable for too long".to_owned()),
            Self::Refused { reason, .. } => Err(format!("the control plane refuses this gateway: {}", reason.message)),
        }
    }

    /// The same for the metrics.
    pub(crate) fn label(&self) -> labels::LinkState {
        match self {
            Self::Starting { .. } => labels::LinkState::Starting,
            Self::Attached => labels::LinkState::Attached,
            Self::Offline { .. } => labels::LinkState::Offline,
            Self::Refused { .. } => labels::LinkState::Refused,
        }
    }

    /// Why it is not attached.
    pub(crate) fn trouble(&self) -> Option<LinkTrouble> {
        match self {
            Self::Attached | Self::Starting { reason: None } => None,
            Self::Starting { reason: Some(reason) } | Self::Offline { reason, .. } | Self::Refused { reason, .. } => {
                Some(reason.trouble)
            }
        }
    }
}
