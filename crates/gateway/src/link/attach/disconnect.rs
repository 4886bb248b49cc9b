//! How an attachment ends or fails to come about, and the link state that follows.

use crate::replica_state::{DisconnectReason, LinkState, ReplicaState};
use crate::shared::Shared;
use crate::sockets::News;
use lychgate_link::{CloseReason, LinkError};
use lychgate_telemetry::metrics::labels::LinkLoss;
use lychgate_types::KeyRefusal;
use std::sync::Arc;
use tokio::time::Instant;

/// Why there is no attachment.
pub(super) enum Disconnect {
    /// It may work again soon.
    Lost(DisconnectReason),
    /// The control plane refuses this replica.
    Refused(DisconnectReason),
}

impl Disconnect {
    pub(super) fn lost(loss: LinkLoss, message: impl Into<Arc<str>>) -> Self {
        Self::Lost(DisconnectReason {
            trouble: loss.into(),
            message: message.into(),
        })
    }

    /// What it says.
    pub(super) fn reason(&self) -> &DisconnectReason {
        match self {
            Self::Lost(reason) | Self::Refused(reason) => reason,
        }
    }

    fn refused(refusal: KeyRefusal, message: impl Into<Arc<str>>) -> Self {
        let reason = DisconnectReason {
            trouble: refusal.into(),
            message: message.into(),
        };
        match refusal {
            // Says nothing about the key: what is known stays valid for its time.
            KeyRefusal::TooManyAttempts => Self::Lost(reason),
            _ => Self::Refused(reason),
        }
    }

    /// The control plane closed the stream.
    pub(super) fn closed(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Refused(refusal) => Self::refused(refusal, refusal.explanation()),
            CloseReason::ShuttingDown => Self::lost(LinkLoss::ShuttingDown, "the control plane is shutting down"),
        }
    }

    /// Opening or reading the stream failed.
    pub(super) fn failed(error: &LinkError) -> Self {
        match error {
            LinkError::Refused(refusal) => Self::refused(refusal.reason, &*refusal.message),
            LinkError::Unreachable(_) => Self::lost(LinkLoss::Unreachable, error.to_string()),
            LinkError::Internal { .. } => Self::lost(LinkLoss::InternalError, error.to_string()),
        }
    }
}

pub(super) fn set_lost(shared: &Shared, reason: DisconnectReason) {
    set_link_state(shared, |link| match link {
        LinkState::Attached => LinkState::Offline {
            since: Instant::now(),
            reason,
        },
        LinkState::Starting { .. } => match shared.snapshot_cache.last_attached() {
            Some(since) if since.elapsed() < shared.options.max_offline => {
                tracing::warn!("no control plane can be reached: starting from the snapshot of the last attachment");
                LinkState::Offline { since, reason }
            }
            _ => LinkState::Starting { reason: Some(reason) },
        },
        // Another failed attempt resets neither the time since the loss nor a refusal.
        LinkState::Offline { since, .. } => LinkState::Offline { since: *since, reason },
        LinkState::Refused { .. } => link.clone(),
    });
}

pub(super) fn set_refused(shared: &Shared, reason: DisconnectReason) {
    shared.leases.clear();
    shared.snapshot_cache.discard();
    shared.stop_fetching();
    set_link_state(shared, |link| match link {
        // A key that was revoked while attached is unknown from then on; the first reason is the one that helps.
        LinkState::Refused { .. } => link.clone(),
        _ => LinkState::Refused {
            since: Instant::now()
                .checked_sub(shared.offline(link))
                .unwrap_or(shared.started),
            reason,
        },
    });
}

fn set_link_state(shared: &Shared, change: impl FnOnce(&LinkState) -> LinkState) {
    let now = shared.replica_state.load_full();
    shared.replica_state.store(Arc::new(ReplicaState {
        link: change(&now.link),
        table: Arc::clone(&now.table),
    }));
    shared.attached.send_replace(false);
    shared.sockets.tell(News::State);
}
