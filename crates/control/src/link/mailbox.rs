//! What waits to go down one attachment. Bounded by coalescing: only the newest configuration is kept, and revoked tokens
//! are a set of hashes; so a replica that reads slowly holds up nobody.

use futures_util::stream::{self, BoxStream, StreamExt};
use lychgate_link::{CloseReason, Configuration, Down, LinkError, Message};
use lychgate_types::secret::{SecretHash, SpoolKey};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// One attachment's queue. Many post, one reads.
pub(super) struct Mailbox {
    /// Goes with each configuration.
    spool_key: SpoolKey,
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Default)]
struct State {
    configuration: Option<Arc<Configuration>>,
    /// Version of the newest configuration posted: late posts of older ones are dropped.
    newest: Option<u64>,
    /// Whether the first configuration went down; nothing but a close may go before it.
    started: bool,
    revoked: HashSet<SecretHash>,
    close: Option<CloseReason>,
    ended: bool,
}

impl Mailbox {
    /// An empty one, for a replica that is told this spool key.
    pub(super) fn new(spool_key: SpoolKey) -> Self {
        Self {
            spool_key,
            state: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// Posts a configuration, unless a newer one was posted.
    pub(super) fn post_configuration(&self, configuration: &Arc<Configuration>) {
        self.change(|state| {
            if state.newest.is_none_or(|newest| newest < configuration.version) {
                state.newest = Some(configuration.version);
                state.configuration = Some(configuration.clone());
            }
        });
    }

    /// Posts tokens that must not be believed any longer.
    pub(super) fn post_revoked(&self, tokens: &[SecretHash]) {
        self.change(|state| state.revoked.extend(tokens));
    }

    /// Closes with a word; the first reason given counts.
    pub(super) fn post_close(&self, reason: CloseReason) {
        self.change(|state| state.close = state.close.or(Some(reason)));
    }

    /// Ends without a word: the replica attached anew.
    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
    }

    fn take(&self) -> Option<Option<Message>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return Some(None);
        }
        if let Some(reason) = state.close {
            state.ended = true;
            return Some(Some(Message::Close(reason)));
        }
        if state.started && !state.revoked.is_empty() {
            return Some(Some(Message::TokensRevoked(state.revoked.drain().collect())));
        }
        let configuration = state.configuration.take()?;
        state.started = true;
        Some(Some(Message::Configuration {
            configuration,
            resumed: false,
            spool_key: self.spool_key.clone(),
        }))
    }

    async fn next(&self) -> Option<Message> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.bell.notified().await;
        }
    }
}

/// The mail as the stream that an attachment is; `guard` lives as long as the stream.
pub(super) fn events<G: Send + 'static>(
    mailbox: Arc<Mailbox>,
    guard: G,
) -> BoxStream<'static, Result<Down, LinkError>> {
    stream::unfold((mailbox, guard), |(mailbox, guard)| async move {
        let message = mailbox.next().await?;
        Some((Ok(message.into()), (mailbox, guard)))
    })
    .boxed()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use futures_util::FutureExt;

    pub(in crate::link) fn spool_key() -> SpoolKey {
        SpoolKey::from_bytes([7; 32])
    }

    pub(in crate::link) fn configuration(version: u64) -> Arc<Configuration> {
        Arc::new(Configuration {
            version,
            capture_content: false,
            providers: vec![],
            routes: vec![],
        })
    }

    #[tokio::test]
    async fn the_configuration_goes_first_the_newest_wins_and_a_close_ends() {
        let mailbox = Arc::new(Mailbox::new(spool_key()));
        let hash = SecretHash::from_bytes([7; 32]);
        mailbox.post_revoked(&[hash, hash]);
        mailbox.post_configuration(&configuration(2));
        mailbox.post_configuration(&configuration(1));
        let mut events = events(mailbox.clone(), ());
        let Some(Ok(Down {
            message: Message::Configuration {
                configuration: first, ..
            },
            ..
        })) = events.next().await
        else {
            panic!()
        };
        assert_eq!(first.version, 2);
        let Some(Ok(Down {
            message: Message::TokensRevoked(hashes),
            ..
        })) = events.next().await
        else {
            panic!()
        };
        assert_eq!(hashes, [hash]);
        mailbox.post_configuration(&configuration(3));
        mailbox.post_close(CloseReason::KeyRevoked);
        mailbox.post_close(CloseReason::ShuttingDown);
        assert!(matches!(
            events.next().await,
            Some(Ok(Down {
                message: Message::Close(CloseReason::KeyRevoked),
                ..
            }))
        ));
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn a_close_does_not_wait_for_the_first_configuration() {
        let mailbox = Arc::new(Mailbox::new(spool_key()));
        let mut events = events(mailbox.clone(), ());
        assert!(events.next().now_or_never().is_none());
        mailbox.post_close(CloseReason::KeyExpired);
        assert!(matches!(
            events.next().await,
            Some(Ok(Down {
                message: Message::Close(CloseReason::KeyExpired),
                ..
            }))
        ));
    }

    #[tokio::test]
    async fn an_end_says_nothing() {
        let mailbox = Arc::new(Mailbox::new(spool_key()));
        mailbox.post_configuration(&configuration(1));
        mailbox.end();
        assert!(events(mailbox, ()).next().await.is_none());
    }
}
