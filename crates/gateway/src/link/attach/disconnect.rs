//! How an attachment ends, or does not come about, and what this replica believes from then on of its standing.

use crate::replica_state::{Snapshot, Standing, Why};
use crate::shared::Shared;
use lychgate_link::{CloseReason, LinkError, RefusalReason};
use lychgate_telemetry::metrics::labels::LinkTrouble;
use std::sync::Arc;
use tokio::time::Instant;

/// Why an attachment is over.
pub(super) enum Over {
    /// It may work again soon.
    Lost(Why),
    /// The control plane does not want this replica.
    Refused(Why),
}

impl Over {
    pub(super) fn lost(trouble: LinkTrouble, words: impl Into<Arc<str>>) -> Self {
        let words = words.into();
        Self::Lost(Why { trouble, words })
    }
}

pub(super) fn closed(reason: CloseReason) -> Over {
    let refusal = match reason {
        CloseReason::KeyRevoked => RefusalReason::KeyRevoked,
        CloseReason::KeyExpired => RefusalReason::KeyExpired,
        CloseReason::KeyRotated => RefusalReason::KeyRotated,
        CloseReason::KeyDisabled => RefusalReason::KeyDisabled,
        CloseReason::SourceNotAllowed => RefusalReason::SourceNotAllowed,
        CloseReason::ShuttingDown => {
            return Over::lost(LinkTrouble::ShuttingDown, "the control plane is shutting down");
        }
    };
    Over::Refused(why(&refusal))
}

pub(super) fn failed(error: &LinkError) -> Over {
    match error {
        // Says nothing about the key: what is known stays good for its time.
        LinkError::Refused(reason @ RefusalReason::TooManyAttempts) => Over::Lost(why(reason)),
        LinkError::Refused(reason) => Over::Refused(why(reason)),
        LinkError::Unreachable(_) => Over::lost(LinkTrouble::Unreachable, error.to_string()),
        LinkError::Internal { .. } => Over::lost(LinkTrouble::InternalError, error.to_string()),
    }
}

fn why(reason: &RefusalReason) -> Why {
    let trouble = match reason {
        RefusalReason::KeyMalformed(_) => LinkTrouble::KeyMalformed,
        RefusalReason::KeyUnknown => LinkTrouble::KeyUnknown,
        RefusalReason::KeyRevoked => LinkTrouble::KeyRevoked,
        RefusalReason::KeyExpired => LinkTrouble::KeyExpired,
        RefusalReason::KeyRotated => LinkTrouble::KeyRotated,
        RefusalReason::KeyDisabled => LinkTrouble::KeyDisabled,
        RefusalReason::SourceNotAllowed => LinkTrouble::SourceNotAllowed,
        RefusalReason::TooManyAttempts => LinkTrouble::TooManyAttempts,
        RefusalReason::Version(_) => LinkTrouble::Version,
        RefusalReason::Other(_) => LinkTrouble::Other,
    };
    let words = reason.to_string().into();
    Why { trouble, words }
}

pub(super) fn lost(core: &Shared, why: Why) {
    stand(core, |standing| match standing {
        Standing::Attached => Standing::Away {
            since: Instant::now(),
            why,
        },
        Standing::Starting { .. } => match core.offline.last_attached() {
            Some(since) if since.elapsed() < core.options.max_offline => {
                tracing::warn!(
                    "no control plane can be reached: this replica begins by what it knew when it was last attached"
                );
                Standing::Away { since, why }
            }
            _ => Standing::Starting { why: Some(why) },
        },
        // Neither the time since the loss nor a refusal is forgotten because another attempt failed.
        Standing::Away { since, .. } => Standing::Away { since: *since, why },
        Standing::Refused { .. } => standing.clone(),
    });
}

pub(super) fn refused(core: &Shared, why: Why) {
    core.leases.forget_all();
    core.offline.forget();
    stand(core, |standing| match standing {
        // A key that was revoked while we watched is unknown from then on; the first reason is the one that helps.
        Standing::Refused { .. } => standing.clone(),
        _ => Standing::Refused {
            since: Instant::now().checked_sub(core.away(standing)).unwrap_or(core.started),
            why,
        },
    });
}

fn stand(core: &Shared, change: impl FnOnce(&Standing) -> Standing) {
    let now = core.snapshot.load_full();
    core.snapshot.store(Arc::new(Snapshot {
        standing: change(&now.standing),
        table: Arc::clone(&now.table),
    }));
    core.attached.send_replace(false);
}
