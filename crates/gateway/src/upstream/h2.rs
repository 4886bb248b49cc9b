//! The HTTP/2 connections to one target: several, each with as many requests as the peer allows.
//!
//! A single connection would limit the number of concurrent streams, and further requests would queue behind long answers. So
//! requests are counted; where no connection has a free stream, another one is made. What the peer allows is known once its
//! settings have arrived; until then, a connection takes one request.

mod connect;
mod settings;

pub(super) use connect::DialPermit;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most requests on one connection, whatever the peer allows: they all share one TCP stream.
const MAX_STREAMS: usize = 256;
/// This many waiting requests justify one more connection being made at the same time.
const WAITING_PER_DIAL: usize = 32;
/// A connection found idle by this many consecutive sweeps is closed.
const IDLE_SWEEPS: usize = 3;

/// The connections.
#[derive(Default)]
pub(super) struct H2Connections {
    state: Mutex<State>,
    /// Signalled when there may be a free stream, or a new connection.
    changed: Notify,
}

#[derive(Default)]
struct State {
    connections: Vec<Arc<H2Connection>>,
    dialing: usize,
    waiting: usize,
}

/// One connection.
struct H2Connection {
    sender: http2::SendRequest<Full<Bytes>>,
    active: AtomicUsize,
    limit: Arc<AtomicUsize>,
    expires: Instant,
    idle_sweeps: AtomicUsize,
}

/// One stream of a connection; given back when dropped.
pub(super) struct StreamPermit {
    connection: Arc<H2Connection>,
    connections: Arc<H2Connections>,
}

/// What a request gets that asks for a stream.
pub(super) enum Acquired {
    Stream(StreamPermit),
    /// The task of making another connection.
    Dial(DialPermit),
}

impl H2Connections {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits for a stream on a connection other than `avoided`, or for permission to make another connection. Waits without a time
    /// limit; `given_up` ends it.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        avoided: Option<&StreamPermit>,
        given_up: impl Fn() -> bool,
    ) -> Option<Acquired> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no signal is missed.
            changed.as_mut().enable();
            if given_up() {
                return None;
            }
            if let Some(acquired) = self.try_acquire(avoided) {
                return Some(acquired);
            }
            let _waiting = Waiting::new(self);
            changed.await;
        }
    }

    fn try_acquire(self: &Arc<Self>, avoided: Option<&StreamPermit>) -> Option<Acquired> {
        let mut state = self.lock();
        let now = Instant::now();
        state
            .connections
            .retain(|connection| connection.expires > now && !connection.sender.is_closed());
        let free = state.connections.iter().find(|connection| {
            avoided.is_none_or(|permit| !Arc::ptr_eq(&permit.connection, connection)) && connection.has_free_stream()
        });
        if let Some(connection) = free {
            return Some(Acquired::Stream(self.permit(connection)));
        }
        if state.dialing > state.waiting / WAITING_PER_DIAL {
            return None;
        }
        state.dialing += 1;
        Some(Acquired::Dial(DialPermit(Arc::clone(self))))
    }

    /// Counted under the lock, except on a connection that nobody else knows yet.
    fn permit(self: &Arc<Self>, connection: &Arc<H2Connection>) -> StreamPermit {
        connection.active.fetch_add(1, Ordering::AcqRel);
        connection.idle_sweeps.store(0, Ordering::Relaxed);
        StreamPermit {
            connection: Arc::clone(connection),
            connections: Arc::clone(self),
        }
    }

    /// Wakes everybody who waits, to look again.
    pub(super) fn wake_all(&self) {
        self.changed.notify_waiters();
    }

    /// Removes connections that are closed, too old, or have been idle for long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.lock().connections.retain(|connection| {
            let idle = connection.active.load(Ordering::Acquire) == 0;
            let sweeps = if idle {
                connection.idle_sweeps.load(Ordering::Relaxed) + 1
            } else {
                0
            };
            connection.idle_sweeps.store(sweeps, Ordering::Relaxed);
            sweeps < IDLE_SWEEPS && connection.expires > now && !connection.sender.is_closed()
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.connections.is_empty() && state.dialing == 0 && state.waiting == 0
    }
}

impl H2Connection {
    fn has_free_stream(&self) -> bool {
        self.active.load(Ordering::Acquire) < self.limit.load(Ordering::Acquire).min(MAX_STREAMS)
    }
}

impl StreamPermit {
    pub(super) fn sender(&self) -> http2::SendRequest<Full<Bytes>> {
        self.connection.sender.clone()
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.connection.active.fetch_sub(1, Ordering::AcqRel);
        self.connections.changed.notify_one();
    }
}

/// Counts somebody who waits.
struct Waiting<'a>(&'a H2Connections);

impl<'a> Waiting<'a> {
    fn new(connections: &'a H2Connections) -> Self {
        connections.lock().waiting += 1;
        Self(connections)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}
