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
        let (new, load) = (last.has_changed(), load(&last));
        drop(last);
        if !new {
            return None;
        }
        self.heard_at = Some(now);
        Some(ReplicaBeat {
            attachment: self.identity.as_ref()?.attachment.clone(),
            heard_at: now,
            load,
        })
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
        let (unread, load) = (last.has_changed(), load(&last));
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

fn load(heartbeat: &Heartbeat) -> ReplicaLoad {
    ReplicaLoad {
        spool_depth: heartbeat.spool_depth,
        set_aside: heartbeat.set_aside,
        in_flight: heartbeat.in_flight,
        configuration_version: heartbeat.configuration_version,
    }
}
