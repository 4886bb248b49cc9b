//! All live attachments of this control plane: the registry of replicas, and the way for changes down to them.

use super::configuration::Loaded;
use super::gate::{Gate, Gates};
use super::mailbox::{self, Mailbox};
use lychgate_link::{Attachment, CloseReason, Configuration, Heartbeat, Hello};
use lychgate_types::secret::{SecretHash, SpoolKey};
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// The live attachments. Everything in it is in memory; a restart begins with none.
pub(crate) struct Hub {
    /// The keys in use.
    pub(crate) gates: Gates,
    state: Mutex<State>,
    departures: mpsc::UnboundedSender<Departure>,
    revocations: AtomicU64,
    stale: AtomicBool,
}

#[derive(Default)]
struct State {
    next_seat: u64,
    live: BTreeMap<u64, Live>,
    stopping: bool,
}

struct Live {
    hello: Hello,
    since: Timestamp,
    gate: Option<Arc<Gate>>,
    source: Option<IpAddr>,
    heartbeats: watch::Receiver<Heartbeat>,
    mailbox: Arc<Mailbox>,
}

impl Live {
    fn key_id(&self) -> Option<GatewayKeyId> {
        self.gate.as_ref().map(|gate| gate.key_id)
    }
}

/// A replica that detached, for the audit log.
pub(crate) struct Departure {
    pub(crate) replica_id: ReplicaId,
    pub(crate) gate: Arc<Gate>,
}

/// A live replica, as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct LiveReplica {
    pub(crate) hello: Hello,
    pub(crate) since: Timestamp,
    pub(crate) heartbeat: Heartbeat,
}

impl Hub {
    /// An empty hub, and the detached replicas as they go.
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Departure>) {
        let (departures, gone) = mpsc::unbounded_channel();
        let hub = Self {
            gates: Gates::default(),
            state: Mutex::default(),
            departures,
            revocations: AtomicU64::new(0),
            stale: AtomicBool::new(false),
        };
        (Arc::new(hub), gone)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes an attachment in: `from` a replica by this gate and source, or from the embedded gateway. A replica that is still attached by the same key (its old connection broke unseen) is
    /// replaced.
    pub(super) fn sit(
        self: &Arc<Self>,
        hello: Hello,
        since: Timestamp,
        from: Option<(Arc<Gate>, Option<IpAddr>)>,
        spool_key: SpoolKey,
        heartbeats: watch::Receiver<Heartbeat>,
    ) -> Seat {
        let (gate, source) = from.map_or((None, None), |(gate, source)| (Some(gate), source));
        let mailbox = Arc::new(Mailbox::new(spool_key));
        let live = Live {
            hello,
            since,
            gate,
            source,
            heartbeats,
            mailbox: mailbox.clone(),
        };
        let number = self.with(|state| {
            for old in state
                .live
                .values()
                .filter(|old| old.hello.replica_id == live.hello.replica_id)
            {
                if old.key_id() == live.key_id() {
                    old.mailbox.end();
                }
            }
            if state.stopping && live.gate.is_some() {
                mailbox.post_close(CloseReason::ShuttingDown);
            }
            state.next_seat += 1;
            state.live.insert(state.next_seat, live);
            state.next_seat
        });
        Seat {
            hub: self.clone(),
            number,
            mailbox,
            announced: false,
        }
    }

    fn everybody(&self) -> Vec<Arc<Mailbox>> {
        self.with(|state| state.live.values().map(|live| live.mailbox.clone()).collect())
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

    /// Tells everybody that these tokens must not be believed. Call after the commit.
    pub(crate) fn push_revoked(&self, tokens: &[SecretHash]) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        if !tokens.is_empty() {
            self.everybody().iter().for_each(|mailbox| mailbox.post_revoked(tokens));
        }
    }

    /// Grows with each revocation: a look-up during which it grew is to be made again.
    pub(crate) fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::SeqCst)
    }

    /// Shuts the gates of a deleted key and closes its attachments.
    pub(crate) fn close_key(&self, key_id: GatewayKeyId) {
        self.gates.of(key_id).iter().for_each(|gate| gate.gone());
        self.with(|state| {
            for live in state.live.values().filter(|live| live.key_id() == Some(key_id)) {
                if let Some(gate) = &live.gate {
                    gate.gone();
                }
                live.mailbox.post_close(CloseReason::KeyRevoked);
            }
        });
    }

    /// Closes the attachments by this gate that it does not let in any longer.
    pub(crate) fn close_refused(&self, gate: &Gate) {
        self.with(|state| {
            for live in state.live.values() {
                if live.gate.as_ref().is_some_and(|own| own.hash == gate.hash)
                    && let Some(reason) = gate.shut_to(live.source)
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
            for live in state.live.values().filter(|live| live.gate.is_some()) {
                live.mailbox.post_close(CloseReason::ShuttingDown);
            }
        });
    }

    /// Marks that a configuration could not be sent, so that the background work sends it later.
    pub(crate) fn mark_stale(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// Whether a configuration is still to be sent; asking takes the mark away.
    pub(crate) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::SeqCst)
    }

    /// The live replicas of one key, in the order of their coming.
    pub(crate) fn replicas_of(&self, key_id: GatewayKeyId) -> Vec<LiveReplica> {
        self.with(|state| {
            state
                .live
                .values()
                .filter(|live| live.key_id() == Some(key_id))
                .map(LiveReplica::of)
                .collect()
        })
    }

    /// Whether a replica of this id is attached by another key than this one.
    pub(super) fn belongs_to_another(&self, replica: ReplicaId, key_id: Option<GatewayKeyId>) -> bool {
        self.with(|state| {
            state
                .live
                .values()
                .any(|live| live.hello.replica_id == replica && live.key_id() != key_id)
        })
    }
}

impl LiveReplica {
    fn of(live: &Live) -> Self {
        Self {
            hello: live.hello.clone(),
            since: live.since,
            heartbeat: *live.heartbeats.borrow(),
        }
    }
}

/// A place among the live attachments; dropping it detaches.
pub(super) struct Seat {
    hub: Arc<Hub>,
    number: u64,
    mailbox: Arc<Mailbox>,
    announced: bool,
}

impl Seat {
    /// Sends the first configuration and makes the attachment of it. From here on, leaving is worth an audit entry.
    pub(super) fn into_attachment(mut self, first: &Arc<Configuration>) -> Attachment {
        self.announced = true;
        self.mailbox.post_configuration(first);
        Attachment {
            events: mailbox::events(self.mailbox.clone(), self),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let live = self.hub.with(|state| state.live.remove(&self.number));
        if let (
            true,
            Some(Live {
                hello,
                gate: Some(gate),
                ..
            }),
        ) = (self.announced, live)
        {
            // The receiver is gone only when the control plane has stopped.
            let _ = self.hub.departures.send(Departure {
                replica_id: hello.replica_id,
                gate,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use lychgate_link::{Down, Message, PROTOCOL, RefusalReason};
    use lychgate_types::Ambient;

    fn hello(replica_id: ReplicaId) -> Hello {
        let (name, version, address) = (String::new(), String::new(), String::new());
        Hello {
            replica_id,
            name,
            version,
            protocol: PROTOCOL,
            address,
            labels: BTreeMap::new(),
            resume_after: 0,
        }
    }

    #[tokio::test]
    async fn closing_a_key_reaches_its_own_attachments_only() {
        let ambient = Ambient::system();
        let (hub, mut departures) = Hub::new();
        let gate = |byte: u8| {
            let hash = SecretHash::from_bytes([byte; 32]);
            hub.gates
                .enter(Gate::new(ambient.new_id(), String::new(), String::new(), hash))
        };
        let (closed, other) = (gate(1), gate(2));
        let sit = |gate: Option<Arc<Gate>>| {
            let heartbeats = watch::channel(Heartbeat::default()).1;
            let seat = hub.sit(
                hello(ambient.new_id()),
                ambient.now(),
                gate.map(|gate| (gate, None)),
                mailbox::tests::spool_key(),
                heartbeats,
            );
            seat.into_attachment(&mailbox::tests::configuration(1)).events
        };
        let (mut one, mut two, mut embedded) = (sit(Some(closed.clone())), sit(Some(other.clone())), sit(None));
        hub.close_key(closed.key_id);
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
            departures.recv().await.map(|gone| gone.gate.key_id),
            Some(closed.key_id)
        );

        hub.close_everybody();
        assert!(matches!(
            two.next().await,
            Some(Ok(Down {
                message: Message::Close(CloseReason::ShuttingDown),
                ..
            }))
        ));
        let mut late = sit(Some(other));
        assert!(matches!(
            late.next().await,
            Some(Ok(Down {
                message: Message::Close(CloseReason::ShuttingDown),
                ..
            }))
        ));
    }
}
