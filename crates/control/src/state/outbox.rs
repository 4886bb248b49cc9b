//! What waits to be sent on one attachment. Bounded by coalescing: only the newest configuration is kept, and revoked tokens are a
//! set of hashes. So a replica that reads slowly delays nobody, and one that reads nothing is detached.
//!
//! Each message carries the positions in the feed of changes from which and to which it brings the replica. Only revocations
//! depend on that order: configuration and drain are sent again at each attachment. So a message may overtake another that waits,
//! but none may claim a position for which a revocation still waits.

use futures_util::stream::{self, BoxStream, StreamExt};
use lychgate_link::{CloseReason, Configuration, Down, Heartbeat, LinkError, Message};
use lychgate_types::secret::{SecretHash, SpoolKeys};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// Most revoked tokens that wait for one replica. With more, it has to attach again and look up every token again.
pub(crate) const MOST_REVOKED: u32 = 50_000;
/// How long a replica may take to report what it leaves behind.
const LAST_REPORT: Duration = Duration::from_secs(1);
/// Most revoked tokens in one message.
const REVOKED_PER_MESSAGE: usize = 10_000;

/// One attachment's queue. Many post, one reads.
pub(crate) struct Mailbox {
    /// Goes with each configuration.
    spool_keys: SpoolKeys,
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Default)]
struct State {
    configuration: Option<Arc<Configuration>>,
    /// Version of the newest configuration posted: late posts of older ones are dropped.
    newest: Option<u64>,
    /// Whether the first configuration was sent; nothing but a close may go before it.
    started: bool,
    /// Whether the first configuration says that leases are still valid.
    resumed: bool,
    revoked: HashSet<SecretHash>,
    drain: bool,
    /// Whether a drain was sent to the replica, or waits to be.
    drain_requested: bool,
    /// The position in the feed that the messages sent have brought the replica to.
    sent: u64,
    /// The position that the messages waiting here will bring it to.
    upto: u64,
    close: Option<CloseReason>,
    ended: bool,
}

/// How an attachment begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// The replica forgets its leases.
    Fresh,
    /// The replica continues from its own position in the feed.
    Resumed {
        /// That position.
        after: u64,
        /// The tokens revoked since.
        revoked: Vec<SecretHash>,
        /// Up to this position.
        upto: u64,
    },
}

/// How this side ended an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It did not.
    Open,
    /// With a close message.
    Closed(CloseReason),
    /// Without a message: another attachment replaces it.
    Replaced,
}

impl Mailbox {
    /// An empty one, for a replica that gets these spool keys and what is in the feed after `position`.
    pub(crate) fn new(spool_keys: SpoolKeys, position: u64) -> Self {
        let state = State {
            sent: position,
            upto: position,
            ..State::default()
        };
        Self {
            spool_keys,
            state: Mutex::new(state),
            bell: Notify::new(),
        }
    }

    /// Begins: the first configuration is sent next.
    pub(crate) fn begin(&self, first: &Arc<Configuration>, beginning: Beginning) {
        self.post_configuration(first);
        if let Beginning::Resumed { after, revoked, upto } = beginning {
            self.change(|state| {
                state.resumed = true;
                state.sent = after;
                // What was posted meanwhile may be older than what the replica has seen elsewhere already.
                state.upto = state.upto.max(upto).max(after);
                state.revoked.extend(revoked);
            });
        }
    }

    /// Posts a configuration, unless a newer one was posted.
    pub(crate) fn post_configuration(&self, configuration: &Arc<Configuration>) {
        self.change(|state| {
            if state.newest.is_none_or(|newest| newest < configuration.version) {
                state.newest = Some(configuration.version);
                state.configuration = Some(configuration.clone());
            }
        });
    }

    /// Posts the tokens that the feed revokes up to this position.
    pub(crate) fn post_revoked(&self, tokens: impl IntoIterator<Item = SecretHash>, upto: u64) {
        self.change(|state| {
            state.upto = state.upto.max(upto);
            state.revoked.extend(tokens);
            if state.revoked.len() > MOST_REVOKED as usize {
                state.revoked = HashSet::new();
                state.ended = true;
            }
        });
    }

    /// Asks the replica to accept no new requests, once.
    pub(crate) fn post_drain(&self) {
        self.change(|state| {
            state.drain |= !state.drain_requested;
            state.drain_requested = true;
        });
    }

    /// Closes with a message; the first reason counts.
    pub(crate) fn post_close(&self, reason: CloseReason) {
        self.change(|state| state.close = state.close.or(Some(reason)));
    }

    /// Ends without a message: the replica has attached again, or should.
    pub(crate) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// How it ended so far.
    pub(crate) fn ending(&self) -> Ending {
        let state = self.state.lock();
        match state.close {
            Some(reason) => Ending::Closed(reason),
            None if state.ended => Ending::Replaced,
            None => Ending::Open,
        }
    }

    /// Whether the replica was asked to drain.
    pub(crate) fn drain_requested(&self) -> bool {
        self.state.lock().drain_requested
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.bell.notify_one();
    }

    fn take(&self) -> Option<Option<Down>> {
        let mut state = self.state.lock();
        if state.ended {
            return Some(None);
        }
        if let Some(reason) = state.close {
            state.ended = true;
            return Some(Some(Message::Close(reason).into()));
        }
        let message = state.next(&self.spool_keys)?;
        let sequence = if state.revoked.is_empty() {
            state.upto
        } else {
            state.sent
        };
        let after = std::mem::replace(&mut state.sent, sequence);
        Some(Some(Down {
            after,
            sequence,
            message,
        }))
    }

    async fn next(&self) -> Option<Down> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.bell.notified().await;
        }
    }
}

impl State {
    fn next(&mut self, spool_keys: &SpoolKeys) -> Option<Message> {
        if self.started && !self.revoked.is_empty() {
            return Some(Message::TokensRevoked(self.some_revoked()));
        }
        if self.started && std::mem::take(&mut self.drain) {
            return Some(Message::Drain);
        }
        let configuration = self.configuration.take()?;
        let resumed = self.resumed || self.started;
        self.started = true;
        Some(Message::Configuration {
            configuration,
            resumed,
            spool_keys: spool_keys.clone(),
        })
    }

    fn some_revoked(&mut self) -> Vec<SecretHash> {
        if self.revoked.len() <= REVOKED_PER_MESSAGE {
            return std::mem::take(&mut self.revoked).into_iter().collect();
        }
        let some: Vec<_> = self.revoked.iter().take(REVOKED_PER_MESSAGE).copied().collect();
        some.iter().for_each(|hash| {
            self.revoked.remove(hash);
        });
        some
    }
}

/// The messages as an attachment's stream; `guard` lives as long as the stream. A replica that is refused has a moment to report what
/// it leaves behind.
pub(crate) fn events<G: Send + 'static>(
    mailbox: Arc<Mailbox>,
    heartbeats: Option<watch::Receiver<Heartbeat>>,
    guard: G,
) -> BoxStream<'static, Result<Down, LinkError>> {
    stream::unfold(
        (mailbox, heartbeats, guard),
        |(mailbox, mut heartbeats, guard)| async move {
            let Some(down) = mailbox.next().await else {
                if let (Ending::Closed(CloseReason::Refused(_)), Some(heartbeats)) = (mailbox.ending(), &mut heartbeats)
                {
                    // Without a last report, the one before counts.
                    let _ = timeout(LAST_REPORT, heartbeats.changed()).await;
                }
                return None;
            };
            if let (Message::Close(_), Some(heartbeats)) = (&down.message, &mut heartbeats) {
                heartbeats.mark_unchanged();
            }
            Some((Ok(down), (mailbox, heartbeats, guard)))
        },
    )
    .boxed()
}

#[cfg(test)]
pub(crate) mod tests;
