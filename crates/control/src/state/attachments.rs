//! All live attachments of this control plane, and the way for changes down to them. The registry that all control planes
//! share is in the store; what is heard here goes there in bulk.

use super::configuration::Loaded;
use super::key_cache::{KeySession, KeySessions};
use super::outbox::{self, Beginning, Ending, Mailbox};
use futures_util::StreamExt as _;
use lychgate_link::{Attachment, CloseReason, Configuration, Heartbeat};
use lychgate_store::{ReplicaAttachment, ReplicaBeat, ReplicaLoad, ReplicaState};
use lychgate_telemetry::metrics::Counter;
use lychgate_types::secret::{SecretHash, SpoolKey};
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, watch};

/// The live attachments. Everything in it is in memory; a restart begins with none.
pub(crate) struct Attachments {
    /// The keys in use.
    pub(crate) key_sessions: KeySessions,
    state: Mutex<State>,
    detachments: mpsc::UnboundedSender<Detachment>,
    revocations: AtomicU64,
    /// Revoked tokens in the feed that everybody was told of.
    pub(crate) revoked: Counter,
}

#[derive(Default)]
struct State {
    next_registration: u64,
    live: BTreeMap<u64, Live>,
    /// The place in the feed of changes up to which all mailboxes have been told.
    place: u64,
    stopping: bool,
}

struct Live {
    replica_id: ReplicaId,
    by: Option<ReplicaIdentity>,
    heartbeats: watch::Receiver<Heartbeat>,
    /// When the replica was last heard over this attachment.
    heard_at: Option<Timestamp>,
    mailbox: Arc<Mailbox>,
    /// Whether it was let in; until then it may still be refused.
    announced: bool,
}

/// A replica that came in by a gateway key, not the embedded gateway.
#[derive(Clone)]
pub(crate) struct ReplicaIdentity {
    pub(crate) session: Arc<KeySession>,
    pub(crate) source: Option<IpAddr>,
    /// As the registry knows it.
    pub(crate) attachment: ReplicaAttachment,
}

impl Live {
    fn key_id(&self) -> Option<GatewayKeyId> {
        self.by.as_ref().map(|by| by.session.key_id)
    }

    /// Whether it is a replica's own, and neither ended nor replaced.
    fn is_attached(&self) -> bool {
        self.by.is_some() && self.announced && matches!(self.mailbox.ending(), Ending::Open)
    }

    /// Takes the last heartbeat, if there is one that was not taken.
    fn beat(&mut self, now: Timestamp) -> Option<ReplicaBeat> {
        let last = self.heartbeats.borrow_and_update();
        let (new, load) = (last.has_changed(), load(&last));
        drop(last);
        if !new {
            return None;
        }
        self.heard_at = Some(now);
        Some(ReplicaBeat {
            attachment: self.by.as_ref()?.attachment.clone(),
            heard_at: now,
            load,
        })
    }

    /// The last heartbeat, and when it was taken in; `None`: it is to be taken in now.
    fn last_heard(&self) -> Option<(Option<Timestamp>, ReplicaLoad)> {
        let last = self.heartbeats.borrow();
        let (unseen, load) = (last.has_changed(), load(&last));
        match (unseen, self.heard_at) {
            (true, _) => Some((None, load)),
            (false, Some(at)) => Some((Some(at), load)),
            (false, None) => None,
        }
    }

    /// What the replica is from now on, where that can be told from here.
    fn last_state(&self) -> Option<ReplicaState> {
        match self.mailbox.ending() {
            // It is on its way to another control plane, or back.
            Ending::Replaced | Ending::Closed(CloseReason::ShuttingDown) => None,
            Ending::Closed(_) => Some(ReplicaState::Detached),
            Ending::Open => {
                let last = *self.heartbeats.borrow();
                let idle = last.spool_depth == 0 && last.in_flight == 0;
                // A replica whose process ends in good order says that it drains. One that an operator drains says so too.
                let said = last.draining && (idle || !self.mailbox.told_to_drain());
                Some(if said {
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

/// A replica that detached, for the registry and the audit log.
pub(crate) struct Detachment {
    pub(crate) session: Arc<KeySession>,
    pub(crate) attachment: ReplicaAttachment,
    /// The last that it said; `None`: nothing over this attachment.
    pub(crate) last: Option<(Option<Timestamp>, ReplicaLoad)>,
    pub(crate) state: Option<ReplicaState>,
}

impl Attachments {
    /// None yet. Each is told what comes after this place in the feed, and detached replicas are sent to the receiver.
    pub(crate) fn new(place: u64) -> (Arc<Self>, mpsc::UnboundedReceiver<Detachment>) {
        let (detachments, gone) = mpsc::unbounded_channel();
        let attachments = Self {
            key_sessions: KeySessions::default(),
            state: Mutex::new(State {
                place,
                ..State::default()
            }),
            detachments,
            revocations: AtomicU64::new(0),
            revoked: Counter::default(),
        };
        (Arc::new(attachments), gone)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Takes an attachment in: of a replica that came by a key, or (`None`) of the embedded gateway.
    pub(crate) fn register(
        self: &Arc<Self>,
        replica_id: ReplicaId,
        by: Option<ReplicaIdentity>,
        spool_key: SpoolKey,
        heartbeats: watch::Receiver<Heartbeat>,
    ) -> Registration {
        let (number, mailbox) = self.with(|state| {
            let mailbox = Arc::new(Mailbox::new(spool_key, state.place));
            if state.stopping && by.is_some() {
                mailbox.post_close(CloseReason::ShuttingDown);
            }
            let live = Live {
                replica_id,
                by,
                heartbeats,
                heard_at: None,
                mailbox: mailbox.clone(),
                announced: false,
            };
            state.next_registration += 1;
            state.live.insert(state.next_registration, live);
            (state.next_registration, mailbox)
        });
        Registration {
            attachments: self.clone(),
            number,
            mailbox,
        }
    }

    /// Marks a registration as let in. A replica that is still attached by the same key (its old connection broke unseen, or it shows
    /// a new secret) is replaced.
    fn announce(&self, number: u64) {
        self.with(|state| {
            let Some(new) = state.live.get_mut(&number) else { return };
            new.announced = true;
            let whose = (new.replica_id, new.key_id());
            for (other, live) in &state.live {
                if *other != number && live.announced && (live.replica_id, live.key_id()) == whose {
                    live.mailbox.end();
                }
            }
        });
    }

    fn heartbeats(&self, number: u64) -> Option<watch::Receiver<Heartbeat>> {
        self.with(|state| state.live.get(&number).map(|live| live.heartbeats.clone()))
    }

    /// Sends everybody what of a configuration its key serves.
    pub(crate) fn push_configuration(&self, configuration: &Loaded) {
        let everybody: Vec<_> = self.with(|state| {
            let live = state.live.values();
            live.map(|live| (live.key_id(), live.mailbox.clone())).collect()
        });
        for (key_id, mailbox) in everybody {
            mailbox.post_configuration(&configuration.of(key_id));
        }
    }

    /// The place in the feed of changes up to which everybody has been told.
    pub(crate) fn place(&self) -> u64 {
        self.with(|state| state.place)
    }

    /// Tells everybody what the feed has up to this place: that these tokens must not be believed, and who is to drain.
    pub(crate) fn advance(&self, upto: u64, revoked: &[SecretHash], drained: &[ReplicaId]) {
        if !revoked.is_empty() {
            self.revocations.fetch_add(1, Ordering::SeqCst);
            self.revoked.add(revoked.len() as u64);
        }
        self.with(|state| {
            state.place = upto;
            for live in state.live.values() {
                live.mailbox.post_revoked(revoked, upto);
                if drained.contains(&live.replica_id) {
                    live.mailbox.post_drain();
                }
            }
        });
    }

    /// Tells everybody that these tokens must not be believed, though their place in the feed is not known yet.
    pub(crate) fn push_revoked(&self, tokens: &[SecretHash]) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.with(|state| {
            for live in state.live.values() {
                live.mailbox.post_revoked(tokens, 0);
            }
        });
    }

    /// Ends every attachment without a word, since it is not known what happened up to this place in the feed: replicas come
    /// back and are told how they stand.
    pub(crate) fn lose_track(&self, place: u64) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.with(|state| {
            state.place = place;
            state.live.values().for_each(|live| live.mailbox.end());
        });
    }

    /// Grows with each revocation: a look-up during which it grew is to be made again.
    pub(crate) fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::SeqCst)
    }

    /// Shuts the key_sessions of a deleted key and closes its attachments.
    pub(crate) fn close_key(&self, key_id: GatewayKeyId) {
        self.key_sessions.of(key_id).iter().for_each(|session| session.gone());
        self.with(|state| {
            for live in state.live.values() {
                if let Some(by) = live.by.as_ref().filter(|by| by.session.key_id == key_id) {
                    by.session.gone();
                    live.mailbox.post_close(CloseReason::KeyRevoked);
                }
            }
        });
    }

    /// Closes the attachments by this session that it does not let in any longer.
    pub(crate) fn close_refused(&self, session: &KeySession) {
        self.with(|state| {
            for live in state.live.values() {
                if let Some(by) = live.by.as_ref().filter(|by| by.session.hash == session.hash)
                    && let Some(reason) = session.shut_to(by.source)
                {
                    live.mailbox.post_close(reason);
                }
            }
        });
    }

    /// Closes every attachment made by a key, and all that still come: the control plane is stopping.
    pub(crate) fn close_everybody(&self) {
        self.with(|state| {
            state.stopping = true;
            for live in state.live.values().filter(|live| live.by.is_some()) {
                live.mailbox.post_close(CloseReason::ShuttingDown);
            }
        });
    }

    /// What was heard of replicas since the last call.
    pub(crate) fn beats(&self, now: Timestamp) -> Vec<ReplicaBeat> {
        self.with(|state| {
            let live = state.live.values_mut().filter(|live| live.announced);
            live.filter_map(|live| live.beat(now)).collect()
        })
    }

    /// How many replicas are attached by a key: those that take requests, and those that drain.
    pub(crate) fn attached(&self) -> (u64, u64) {
        self.with(|state| {
            let live = state.live.values().filter(|live| live.is_attached());
            live.fold((0, 0), |(serving, draining), live| {
                let drains = live.mailbox.told_to_drain() || live.heartbeats.borrow().draining;
                if drains {
                    (serving, draining + 1)
                } else {
                    (serving + 1, draining)
                }
            })
        })
    }

    /// Whether a replica of this id is attached by another key than this one.
    pub(crate) fn belongs_to_another(&self, replica: ReplicaId, key_id: Option<GatewayKeyId>) -> bool {
        self.with(|state| {
            state
                .live
                .values()
                .any(|live| live.replica_id == replica && live.key_id() != key_id)
        })
    }
}

/// Waits until no heartbeat will come any more.
async fn end_of(heartbeats: Option<watch::Receiver<Heartbeat>>) {
    match heartbeats {
        Some(mut heartbeats) => while heartbeats.changed().await.is_ok() {},
        None => std::future::pending().await,
    }
}

/// A place among the live attachments; dropping it detaches.
pub(crate) struct Registration {
    attachments: Arc<Attachments>,
    number: u64,
    mailbox: Arc<Mailbox>,
}

impl Registration {
    /// Makes the attachment of it, which begins with this configuration. From here on, leaving is worth an audit entry.
    pub(crate) fn into_attachment(self, first: &Arc<Configuration>, beginning: Beginning, drain: bool) -> Attachment {
        self.attachments.announce(self.number);
        if drain {
            self.mailbox.post_drain();
        }
        self.mailbox.begin(first, beginning);
        let heartbeats = self.attachments.heartbeats(self.number);
        let events = outbox::events(self.mailbox.clone(), self);
        Attachment {
            events: events.take_until(end_of(heartbeats)).boxed(),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let live = self.attachments.with(|state| state.live.remove(&self.number));
        let Some(live) = live.filter(|live| live.announced) else {
            return;
        };
        let Some(by) = &live.by else { return };
        // The receiver is gone only when the control plane has stopped.
        let _ = self.attachments.detachments.send(Detachment {
            session: by.session.clone(),
            attachment: by.attachment.clone(),
            last: live.last_heard(),
            state: live.last_state(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use lychgate_link::{Down, Message, RefusalReason};
    use lychgate_store::{KeyRef, ReplicaTold};
    use lychgate_types::Ambient;

    fn by_key(ambient: &Ambient, session: Arc<KeySession>) -> ReplicaIdentity {
        let told = ReplicaTold {
            name: String::new(),
            version: String::new(),
            address: String::new(),
            labels: BTreeMap::new(),
        };
        let attachment = ReplicaAttachment {
            id: ambient.new_id(),
            replica_id: ambient.new_id(),
            gateway_key: KeyRef {
                id: session.key_id,
                name: String::new(),
            },
            told,
            control_plane_id: ambient.new_id(),
            connected_at: ambient.now(),
        };
        ReplicaIdentity {
            session,
            source: None,
            attachment,
        }
    }

    #[tokio::test]
    async fn closing_a_key_reaches_its_own_attachments_only() {
        let ambient = Ambient::system();
        let (attachments, mut detachments) = Attachments::new(0);
        let session = |byte: u8| {
            let hash = SecretHash::from_bytes([byte; 32]);
            attachments
                .key_sessions
                .enter(KeySession::new(ambient.new_id(), String::new(), String::new(), hash))
        };
        let (closed, other) = (session(1), session(2));
        // While it beats, a replica is there.
        let (beating, heartbeats) = watch::channel(Heartbeat::default());
        let register = |session: Option<Arc<KeySession>>| {
            let by = session.map(|session| by_key(&ambient, session));
            let registration =
                attachments.register(ambient.new_id(), by, outbox::tests::spool_key(), heartbeats.clone());
            let first = outbox::tests::configuration(1);
            registration.into_attachment(&first, Beginning::Anew, false).events
        };
        let (mut one, mut two, mut embedded) = (
            register(Some(closed.clone())),
            register(Some(other.clone())),
            register(None),
        );
        attachments.close_key(closed.key_id);
        assert!(matches!(
            one.next().await,
            Some(Ok(Down {
                message: Message::Close(CloseReason::KeyRevoked),
                ..
            }))
        ));
        assert!(one.next().await.is_none());
        assert_eq!(
            (closed.refusal(None), other.refusal(None)),
            (Some(RefusalReason::KeyRevoked), None)
        );
        for spared in [&mut two, &mut embedded] {
            assert!(matches!(
                spared.next().await,
                Some(Ok(Down {
                    message: Message::Configuration { .. },
                    ..
                }))
            ));
        }
        drop(one);
        assert_eq!(
            detachments.recv().await.map(|gone| gone.session.key_id),
            Some(closed.key_id)
        );

        attachments.close_everybody();
        assert!(matches!(
            two.next().await,
            Some(Ok(Down {
                message: Message::Close(CloseReason::ShuttingDown),
                ..
            }))
        ));
        let mut late = register(Some(other));
        assert!(matches!(
            late.next().await,
            Some(Ok(Down {
                message: Message::Close(CloseReason::ShuttingDown),
                ..
            }))
        ));
        drop(beating);
        assert!(embedded.next().await.is_none(), "without heartbeats nobody is attached");
    }
}
