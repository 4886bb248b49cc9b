//! All live attachments of this control plane, and how changes reach them. Everything here is in memory; a restart begins empty.
//!
//! Not here: the registry that all control planes share. It is in the store, and what replicas report here is written there in
//! bulk (`jobs::registry`).

mod live;
#[cfg(test)]
mod tests;

pub(crate) use live::{Detachment, ReplicaIdentity, Revoked, clock_is_off};

use super::configuration::Loaded;
use super::key_cache::{KeySession, KeySessions};
use super::outbox::{self, Beginning, Mailbox};
use futures_util::StreamExt as _;
use live::Live;
use lychgate_link::{Attachment, CloseReason, Configuration, Heartbeat, LinkError, Refusal};
use lychgate_store::ReplicaBeat;
use lychgate_telemetry::metrics::Counter;
use lychgate_types::secret::{SecretHash, SpoolKeys};
use lychgate_types::{GatewayKeyId, KeyRefusal, ReplicaId, Timestamp};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, watch};

/// So many replicas of one gateway key may be attached here, those that are about to be included.
pub(crate) const ATTACHMENTS_PER_KEY: usize = 512;
/// So many may be attached from one address. Where proxies are not named, that is theirs.
pub(crate) const ATTACHMENTS_PER_SOURCE: usize = 1024;

/// Which tokens each gateway key was told of.
pub(crate) type Granted = HashMap<GatewayKeyId, Vec<SecretHash>>;

/// The live attachments.
pub(crate) struct Attachments {
    /// The gateway keys in use.
    pub(crate) key_sessions: KeySessions,
    state: Mutex<State>,
    detachments: mpsc::UnboundedSender<Detachment>,
    revocations: AtomicU64,
    /// Revoked tokens that were sent down all attachments.
    pub(crate) revoked: Counter,
}

#[derive(Default)]
struct State {
    last_number: u64,
    live: BTreeMap<u64, Live>,
    /// The position in the feed of changes up to which all mailboxes have everything.
    position: u64,
    stopping: bool,
}

impl State {
    /// Refuses an attachment too many.
    fn check_caps(&self, new: &ReplicaIdentity) -> Result<(), LinkError> {
        let others = || self.live.values().filter_map(|live| live.identity.as_ref());
        let of_key = others()
            .filter(|other| other.session.key_id == new.session.key_id)
            .count();
        let of_source = others()
            .filter(|other| new.source.is_some() && other.source == new.source)
            .count();
        let (most, what) = if of_key >= ATTACHMENTS_PER_KEY {
            (ATTACHMENTS_PER_KEY, "this gateway key")
        } else if of_source >= ATTACHMENTS_PER_SOURCE {
            (ATTACHMENTS_PER_SOURCE, "this address")
        } else {
            return Ok(());
        };
        Err(LinkError::Refused(Refusal {
            reason: KeyRefusal::TooManyAttempts,
            message: format!("{what} has {most} attachments at this control plane, which is the most there may be")
                .into(),
        }))
    }
}

impl Attachments {
    /// No attachments yet. Each will receive what comes after this position in the feed; replicas that detach are sent to the
    /// receiver.
    pub(crate) fn new(position: u64) -> (Arc<Self>, mpsc::UnboundedReceiver<Detachment>) {
        let (detachments, receiver) = mpsc::unbounded_channel();
        let attachments = Self {
            key_sessions: KeySessions::default(),
            state: Mutex::new(State {
                position,
                ..State::default()
            }),
            detachments,
            revocations: AtomicU64::new(0),
            revoked: Counter::default(),
        };
        (Arc::new(attachments), receiver)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Registers an attachment of a replica, or (`None`) of the embedded gateway. From here on it receives changes.
    pub(crate) fn register(
        self: &Arc<Self>,
        replica_id: ReplicaId,
        identity: Option<ReplicaIdentity>,
        spool_keys: SpoolKeys,
        heartbeats: watch::Receiver<Heartbeat>,
    ) -> Result<Registration, LinkError> {
        let (number, mailbox) = self.with(|state| {
            if let Some(identity) = &identity {
                state.check_caps(identity)?;
            }
            let mailbox = Arc::new(Mailbox::new(spool_keys, state.position));
            if state.stopping && identity.is_some() {
                mailbox.post_close(CloseReason::ShuttingDown);
            }
            let live = Live {
                replica_id,
                identity,
                heartbeats,
                heard_at: None,
                clock_skew_ms: None,
                clock_is_off: false,
                mailbox: mailbox.clone(),
                is_accepted: false,
            };
            state.last_number += 1;
            state.live.insert(state.last_number, live);
            Ok::<_, LinkError>((state.last_number, mailbox))
        })?;
        Ok(Registration {
            attachments: self.clone(),
            number,
            mailbox,
        })
    }

    /// Marks a registration as accepted. It replaces an attachment of the same replica: that one's connection broke unnoticed, or the
    /// replica now shows another key. Whoever is accepted has shown that the id is its own.
    fn accept(&self, number: u64) -> Option<watch::Receiver<Heartbeat>> {
        self.with(|state| {
            let new = state.live.get_mut(&number)?;
            new.is_accepted = true;
            let heartbeats = new.heartbeats.clone();
            let replica = new.replica_id;
            for (other, live) in &state.live {
                if *other != number && live.is_accepted && live.replica_id == replica {
                    live.mailbox.end();
                }
            }
            Some(heartbeats)
        })
    }

    /// Sends each attachment the part of a configuration that its key serves.
    pub(crate) fn push_configuration(&self, configuration: &Loaded) {
        let all: Vec<_> = self.with(|state| {
            let live = state.live.values();
            live.map(|live| (live.key_id(), live.mailbox.clone())).collect()
        });
        for (key_id, mailbox) in all {
            mailbox.post_configuration(&configuration.of(key_id));
        }
    }

    /// The position in the feed of changes up to which all attachments have everything.
    pub(crate) fn position(&self) -> u64 {
        self.with(|state| state.position)
    }

    /// Sends the attachments what the feed has up to this position: revoked tokens that they know, and which replicas are to drain.
    pub(crate) fn advance(&self, position: u64, revoked: &Revoked<'_>, drained: &[ReplicaId]) {
        if !revoked.all.is_empty() {
            self.revocations.fetch_add(1, Ordering::SeqCst);
            self.revoked.add(revoked.all.len() as u64);
        }
        self.with(|state| {
            state.position = position;
            for live in state.live.values() {
                live.mailbox.post_revoked(live.known(revoked), position);
                if drained.contains(&live.replica_id) {
                    live.mailbox.post_drain();
                }
            }
        });
    }

    /// Sends the embedded gateway revoked tokens whose position in the feed is not known yet. Which replicas know them is not known
    /// either; they hear of them once the feed can be read.
    pub(crate) fn push_revoked(&self, tokens: &[SecretHash]) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.with(|state| {
            for live in state.live.values().filter(|live| live.identity.is_none()) {
                live.mailbox.post_revoked(tokens.iter().copied(), 0);
            }
        });
    }

    /// Ends every attachment without a message because changes up to this position were missed: the replicas attach again and
    /// learn what holds now.
    pub(crate) fn restart_all(&self, position: u64) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.with(|state| {
            state.position = position;
            state.live.values().for_each(|live| live.mailbox.end());
        });
    }

    /// Grows with each revocation: a look-up during which it grew must be made again.
    pub(crate) fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::SeqCst)
    }

    /// Closes the attachments of a deleted key, and refuses it from now on.
    pub(crate) fn close_key(&self, key_id: GatewayKeyId) {
        self.key_sessions
            .of(key_id)
            .iter()
            .for_each(|session| session.mark_deleted());
        self.with(|state| {
            for live in state.live.values() {
                if let Some(identity) = live.identity.as_ref().filter(|it| it.session.key_id == key_id) {
                    identity.session.mark_deleted();
                    live.mailbox.post_close(CloseReason::Refused(KeyRefusal::Revoked));
                }
            }
        });
    }

    /// Closes the attachments of this session that are no longer accepted.
    pub(crate) fn close_refused(&self, session: &KeySession) {
        self.with(|state| {
            for live in state.live.values() {
                if let Some(identity) = live.identity.as_ref().filter(|it| it.session.hash == session.hash)
                    && let Some(reason) = session.refusal(identity.source)
                {
                    live.mailbox.post_close(CloseReason::Refused(reason));
                }
            }
        });
    }

    /// Closes all attachments of replicas, including any new ones: the control plane is stopping.
    pub(crate) fn close_all(&self) {
        self.with(|state| {
            state.stopping = true;
            for live in state.live.values().filter(|live| live.identity.is_some()) {
                live.mailbox.post_close(CloseReason::ShuttingDown);
            }
        });
    }

    /// What replicas reported since the last call.
    pub(crate) fn take_beats(&self, now: Timestamp) -> Vec<ReplicaBeat> {
        self.with(|state| {
            let live = state.live.values_mut().filter(|live| live.is_accepted);
            live.filter_map(|live| live.take_beat(now)).collect()
        })
    }

    /// The largest difference between the clock of an attached replica and this one, in milliseconds; 0 where none is known.
    pub(crate) fn clock_skew_ms(&self) -> u64 {
        self.with(|state| {
            let live = state.live.values().filter(|live| live.is_attached());
            live.filter_map(|live| live.clock_skew_ms)
                .map(i64::unsigned_abs)
                .max()
                .unwrap_or(0)
        })
    }

    /// How many replicas are attached: those that accept requests, and those that drain.
    pub(crate) fn count(&self) -> (u64, u64) {
        self.with(|state| {
            let live = state.live.values().filter(|live| live.is_attached());
            live.fold((0, 0), |(serving, draining), live| {
                if live.is_draining() {
                    (serving, draining + 1)
                } else {
                    (serving + 1, draining)
                }
            })
        })
    }
}

/// Waits until no more heartbeats can arrive.
async fn end_of(heartbeats: Option<watch::Receiver<Heartbeat>>) {
    match heartbeats {
        Some(mut heartbeats) => while heartbeats.changed().await.is_ok() {},
        None => std::future::pending().await,
    }
}

/// An entry among the live attachments; dropping it detaches.
pub(crate) struct Registration {
    attachments: Arc<Attachments>,
    number: u64,
    mailbox: Arc<Mailbox>,
}

impl Registration {
    /// Makes it an attachment that begins with this configuration. From here on, its end is written to the audit log.
    pub(crate) fn into_attachment(self, first: &Arc<Configuration>, beginning: Beginning, drain: bool) -> Attachment {
        let heartbeats = self.attachments.accept(self.number);
        if drain {
            self.mailbox.post_drain();
        }
        self.mailbox.begin(first, beginning);
        let events = outbox::events(self.mailbox.clone(), heartbeats.clone(), self);
        Attachment {
            events: events.take_until(end_of(heartbeats)).boxed(),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let live = self.attachments.with(|state| state.live.remove(&self.number));
        let accepted = live.filter(|live| live.is_accepted);
        if let Some(detachment) = accepted.and_then(Live::into_detachment) {
            // The receiver is gone only when the control plane has stopped.
            let _ = self.attachments.detachments.send(detachment);
        }
    }
}
