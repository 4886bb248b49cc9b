//! The network between one replica and one control plane.

use super::rng::Rng;
use super::signal::Signal;
use lychgate_link::LinkError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a silence lasts until both ends consider the connection broken.
const KEEPALIVE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Connections break, and none can be made.
    Cut,
    /// Nothing gets through; what is on its way arrives later, if anybody still waits for it.
    Silent,
}

#[derive(Debug)]
pub(super) struct Connection {
    rng: Arc<Rng>,
    state: Signal<(State, Instant)>,
    /// The longest time that a message takes, in milliseconds.
    slow: AtomicU64,
    usual: u64,
}

impl Connection {
    pub(super) fn new(rng: Arc<Rng>, usual: u64) -> Self {
        Self {
            rng,
            state: Signal::new((State::Open, Instant::now())),
            slow: AtomicU64::new(usual),
            usual,
        }
    }

    pub(super) fn set(&self, state: State) {
        self.state.set((state, Instant::now()));
    }

    /// Makes messages take longer, or (`None`) as long as usual.
    pub(super) fn slow_down(&self, most: Option<u64>) {
        self.slow.store(most.unwrap_or(self.usual), Ordering::Relaxed);
        self.state.set((self.state.get().0, Instant::now()));
    }

    pub(super) fn open_since(&self) -> Option<Instant> {
        let (state, since) = self.state.get();
        (state == State::Open && self.is_usual()).then_some(since)
    }

    fn is_usual(&self) -> bool {
        self.slow.load(Ordering::Relaxed) == self.usual
    }

    /// Carries one message. A message on a slow way arrives when the way is as fast as usual again.
    pub(super) async fn pass(&self) -> Result<(), LinkError> {
        let was_slow = !self.is_usual();
        tokio::select! {
            biased;
            () = self.rng.takes(self.slow.load(Ordering::Relaxed)) => {}
            _ = self.state.until(|_| self.is_usual()), if was_slow => {}
        }
        match self.state.until(|(state, _)| state != State::Silent).await.0 {
            State::Open => Ok(()),
            _ => Err(broken()),
        }
    }

    /// Returns when an open connection breaks.
    pub(super) async fn breaks(&self) {
        loop {
            match self.state.get().0 {
                State::Cut => return,
                State::Open => drop(self.state.until(|(state, _)| state != State::Open).await),
                State::Silent => {
                    let heard = self.state.until(|(state, _)| state != State::Silent);
                    if timeout(KEEPALIVE, heard).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

pub(super) fn broken() -> LinkError {
    LinkError::Unreachable("the connection broke".to_owned())
}
