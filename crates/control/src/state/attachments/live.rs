//! One live attachment: who it is, what it last reported, and what its end means.

use super::Granted;
use crate::state::key_cache::KeySession;
use crate::state::outbox::{Ending, Mailbox};
use lychgate_link::{CloseReason, Heartbeat};
use lychgate_store::{ReplicaAttachment, ReplicaBeat, ReplicaLoad, ReplicaState};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// A replica that authenticated with a gateway key. The embedded gateway has none.
#[derive(Clone)]
pub(crate) struct ReplicaIdentity {
    pub(crate) session: Arc<KeySession>,
    pub(crate) source: Option<IpAddr>,
    /// As recorded in the registry.
    pub(crate) attachment: ReplicaAttachment,
}

/// A replica that detached, for the registry and the audit log.
pub(crate) struct Detachment {
    pub(crate) session: Arc<KeySession>,
    pub(crate) attachment: ReplicaAttachment,
    /// Its last report and when that was read (`None`: now); `None` if it reported nothing over this attachment.
    pub(crate) last: Option<(Option<Timestamp>, ReplicaLoad)>,
    /// `None` if it is on its way to another attachment.
    pub(crate) state: Option<ReplicaState>,
}

/// Tokens that were revoked.
pub(crate) struct Revoked<'a> {
    pub(crate) all: &'a [SecretHash],
    /// Those of them that each gateway key was told of.
    pub(crate) by_key: &'a Granted,
}

pub(super) struct Live {
    pub(super) replica_id: ReplicaId,
    /// `None` for the embedded gateway.
    pub(super) identity: Option<ReplicaIdentity>,
    pub(super) heartbeats: watch::Receiver<Heartbeat>,
    /// When a heartbeat was last read from this attachment.
    pub(super) heard_at: Option<Timestamp>,
    /// As of then.
    pub(super) clock_skew_ms: Option<i64>,
    /// Whether that was too much, and somebody was told.
    pub(super) clock_is_off: bool,
    pub(super) mailbox: Arc<Mailbox>,
    /// Whether the handshake succeeded; before that, it may still be refused.
    pub(super) is_accepted: bool,
}

impl Live {
    pub(super) fn key_id(&self) -> Option<GatewayKeyId> {
        self.identity.as_ref().map(|identity| identity.session.key_id)
    }

    /// Those of the tokens that it may know. The embedded gateway hears of all.
    pub(super) fn known<'a>(&'a self, revoked: &'a Revoked<'_>) -> impl Iterator<Item = SecretHash> + 'a {
        let known = match self.key_id() {
            Some(key) => revoked.by_key.get(&key).map_or(&[][..], Vec::as_slice),
            None => revoked.all,
        };
        known.iter().copied()
    }

    /// Whether it belongs to a replica, not the embedded gateway, and is neither ended nor replaced.
    pub(super) fn is_attached(&self) -> bool {
        self.identity.is_some() && self.is_accepted && matches!(self.mailbox.ending(), Ending::Open)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.mailbox.drain_requested() || self.heartbeats.borrow().draining
    }

    /// Takes the last heartbeat, unless it was taken before.
    pub(super) fn take_beat(&mut self, now: Timestamp) -> Option<ReplicaBeat> {
        let last = self.heartbeats.borrow_and_update();
        let (new, load) = (last.has_changed(), load(&last, now));
        drop(last);
        if !new {
            return None;
        }
        self.heard_at = Some(now);
        self.note_clock(load.clock_skew_ms);
        Some(ReplicaBeat {
            attachment: self.identity.as_ref()?.attachment.clone(),
            heard_at: now,
            load,
        })
    }

    /// Says once that the replica's clock is wrong, and once that it is right again.
    fn note_clock(&mut self, skew_ms: Option<i64>) {
        let Some(identity) = &self.identity else { return };
        self.clock_skew_ms = skew_ms;
        let is_off = skew_ms.is_some_and(clock_is_off);
        if std::mem::replace(&mut self.clock_is_off, is_off) == is_off {
            return;
        }
        let (replica, name) = (self.replica_id, &identity.attachment.info.name);
        let skew_seconds = skew_ms.unwrap_or(0) / 1000;
        if is_off {
            tracing::warn!(%replica, name, skew_seconds, "the clock of a replica, or this one, is wrong: check time synchronisation on both");
        } else {
            tracing::info!(%replica, name, "the clock of a replica agrees with this one again");
        }
    }

    /// Why it ended, as far as it is known here; `None` for the embedded gateway.
    pub(super) fn into_detachment(self) -> Option<Detachment> {
        let (last, state) = (self.last_report(), self.last_state());
        let ReplicaIdentity {
            session, attachment, ..
        } = self.identity?;
        Some(Detachment {
            session,
            attachment,
            last,
            state,
        })
    }

    fn last_report(&self) -> Option<(Option<Timestamp>, ReplicaLoad)> {
        let last = self.heartbeats.borrow();
        // Nobody knows when it came.
        let (unread, load) = (
            last.has_changed(),
            ReplicaLoad {
                clock_skew_ms: self.clock_skew_ms,
                ..load(&last, Timestamp::from_micros(0))
            },
        );
        match (unread, self.heard_at) {
            (true, _) => Some((None, load)),
            (false, Some(at)) => Some((Some(at), load)),
            (false, None) => None,
        }
    }

    fn last_state(&self) -> Option<ReplicaState> {
        match self.mailbox.ending() {
            // It is on its way to another control plane, or back.
            Ending::Replaced | Ending::Closed(CloseReason::ShuttingDown) => None,
            Ending::Closed(CloseReason::Refused(_)) => Some(ReplicaState::Detached),
            Ending::Open => {
                let last = *self.heartbeats.borrow();
                let idle = last.spool_depth == 0 && last.in_flight == 0;
                // A replica that shuts down properly reports that it drains. So does one that an operator drains.
                let shut_down = last.draining && (idle || !self.mailbox.drain_requested());
                Some(if shut_down {
                    ReplicaState::Detached
                } else {
                    ReplicaState::Lost
                })
            }
        }
    }
}

/// A difference of so much is told, in milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 30_000;

/// Whether a replica's clock, or this one, is wrong.
pub(crate) fn clock_is_off(skew_ms: i64) -> bool {
    skew_ms.unsigned_abs() > CLOCK_TOLERANCE_MS
}

/// `now` is when the heartbeat is read, up to three seconds after it arrived.
fn load(heartbeat: &Heartbeat, now: Timestamp) -> ReplicaLoad {
    let skew = |sent_at: Timestamp| sent_at.as_micros().saturating_sub(now.as_micros()) / 1000;
    ReplicaLoad {
        clock_skew_ms: heartbeat.sent_at.map(skew),
        spool_depth: heartbeat.spool_depth,
        set_aside: heartbeat.set_aside,
        in_flight: heartbeat.in_flight,
        configuration_version: heartbeat.configuration_version,
    }
}
