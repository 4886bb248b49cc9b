//! HTTP/2 connections of one target: several, each with as many requests as the other side allows.
//!
//! One connection would bound the number of concurrent streams, on which long answers queue. So requests are counted; where
//! no connection has room another one is made. What the other side allows is known once its settings have come: until then
//! a connection takes one request.

use super::error::SendError;
use super::stream::Stream;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A peer that is gone without a word is found out by pings while requests wait for it.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// What may be under way to us, of one answer and of all on a connection: a client that reads slowly holds up its own answer
/// and not its neighbours'.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Most requests on one connection, whatever the other side allows: it all goes through one TCP stream.
const MOST_STREAMS: usize = 256;
/// One more connection is made at a time for so many requests that wait for room.
const WAITING_PER_DIAL: usize = 32;
/// Longest wait for the other side's settings before a further connection may be made.
const GREETING: Duration = Duration::from_secs(2);
/// A connection that was found without a request at so many sweeps in turn is closed.
const IDLE_SWEEPS: usize = 3;

/// The connections.
#[derive(Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    /// Room may have come up, or a connection is there.
    room: Notify,
}

#[derive(Default)]
struct State {
    lanes: Vec<Arc<Shared>>,
    dialing: usize,
    waiting: usize,
}

/// One connection.
struct Shared {
    sender: http2::SendRequest<Full<Bytes>>,
    active: AtomicUsize,
    limit: Arc<AtomicUsize>,
    expires: Instant,
    idle_sweeps: AtomicUsize,
}

/// Room for one request on a connection; given back when dropped.
pub(super) struct Stay {
    shared: Arc<Shared>,
    lanes: Arc<Lanes>,
}

/// What a request gets that asks for room.
pub(super) enum Room {
    /// A place.
    Stay(Stay),
    /// The task to make one more connection.
    Dial(Dialing),
}

/// Counts somebody who makes a connection, until it is there or has failed.
pub(super) struct Dialing(Arc<Lanes>);

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits for room on a connection other than `avoided`, or for leave to make one. Waits without end; `given_up` ends it.
    pub(super) async fn room(self: &Arc<Self>, avoided: Option<&Stay>, given_up: impl Fn() -> bool) -> Option<Room> {
        loop {
            let mut changed = std::pin::pin!(self.room.notified());
            // From here on nothing is missed.
            changed.as_mut().enable();
            if given_up() {
                return None;
            }
            if let Some(room) = self.take(avoided) {
                return Some(room);
            }
            let _waiting = Waiting::new(self);
            changed.await;
        }
    }

    fn take(self: &Arc<Self>, avoided: Option<&Stay>) -> Option<Room> {
        let mut state = self.lock();
        let now = Instant::now();
        state
            .lanes
            .retain(|lane| lane.expires > now && !lane.sender.is_closed());
        let free = state
            .lanes
            .iter()
            .find(|lane| avoided.is_none_or(|stay| !Arc::ptr_eq(&stay.shared, lane)) && lane.has_room());
        if let Some(lane) = free {
            return Some(Room::Stay(self.enter(lane)));
        }
        if state.dialing > state.waiting / WAITING_PER_DIAL {
            return None;
        }
        state.dialing += 1;
        Some(Room::Dial(Dialing(Arc::clone(self))))
    }

    /// Counted under the lock.
    fn enter(self: &Arc<Self>, lane: &Arc<Shared>) -> Stay {
        lane.active.fetch_add(1, Ordering::AcqRel);
        lane.idle_sweeps.store(0, Ordering::Relaxed);
        Stay {
            shared: Arc::clone(lane),
            lanes: Arc::clone(self),
        }
    }

    /// Wakes all who wait, to look again.
    pub(super) fn changed(&self) {
        self.room.notify_waiters();
    }

    /// Takes out what is over: closed, too old, or long without a request.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.lock().lanes.retain(|lane| {
            let idle = lane.active.load(Ordering::Acquire) == 0;
            let sweeps = if idle {
                lane.idle_sweeps.load(Ordering::Relaxed) + 1
            } else {
                0
            };
            lane.idle_sweeps.store(sweeps, Ordering::Relaxed);
            sweeps < IDLE_SWEEPS && lane.expires > now && !lane.sender.is_closed()
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.lanes.is_empty() && state.dialing == 0 && state.waiting == 0
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        self.active.load(Ordering::Acquire) < self.limit.load(Ordering::Acquire).min(MOST_STREAMS)
    }
}

impl Stay {
    pub(super) fn sender(&self) -> http2::SendRequest<Full<Bytes>> {
        self.shared.sender.clone()
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.shared.active.fetch_sub(1, Ordering::AcqRel);
        self.lanes.room.notify_one();
    }
}

impl Dialing {
    /// Speaks HTTP/2 on a new connection; its first place is the caller's.
    pub(super) async fn open(self, stream: Stream, expires: Instant) -> Result<Stay, SendError> {
        let lanes = Arc::clone(&self.0);
        let greeted = Arc::new(Notify::new());
        let io = TokioIo::new(Greeted::new(stream, Arc::clone(&greeted)));
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(1)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            .handshake(io)
            .await
            .map_err(SendError::Broken)?;
        let limit = Arc::new(AtomicUsize::new(1));
        tokio::spawn(watch(connection, greeted, Arc::clone(&limit), self));
        let lane = Arc::new(Shared {
            sender,
            active: AtomicUsize::new(0),
            limit,
            expires,
            idle_sweeps: AtomicUsize::new(0),
        });
        let stay = lanes.enter(&lane);
        lanes.lock().lanes.push(lane);
        Ok(stay)
    }
}

/// Sees a connection to its end and tells how many requests it takes. It counts as being made until that is known.
async fn watch<T>(
    connection: http2::Connection<T, Full<Bytes>, TokioExecutor>,
    greeted: Arc<Notify>,
    limit: Arc<AtomicUsize>,
    dialing: Dialing,
) where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let lanes = Arc::downgrade(&dialing.0);
    let mut dialing = Some(dialing);
    let mut connection = std::pin::pin!(connection);
    let mut greeting = std::pin::pin!(tokio::time::timeout(GREETING, greeted.notified()));
    let watching = std::future::poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx);
        limit.store(connection.current_max_send_streams(), Ordering::Release);
        if dialing.is_some() && greeting.as_mut().poll(cx).is_ready() {
            // Once more, for what came with the greeting.
            limit.store(connection.current_max_send_streams(), Ordering::Release);
            dialing = None;
        }
        ended
    });
    if let Err(error) = watching.await {
        tracing::debug!(%error, "an HTTP/2 connection to a provider broke");
    }
    if let Some(lanes) = lanes.upgrade() {
        lanes.changed();
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        self.0.lock().dialing -= 1;
        self.0.changed();
    }
}

/// Counts somebody who waits.
struct Waiting<'a>(&'a Lanes);

impl<'a> Waiting<'a> {
    fn new(lanes: &'a Lanes) -> Self {
        lanes.lock().waiting += 1;
        Self(lanes)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// Tells when the other side's first words have been read and acted upon: when more is asked for. They are its settings.
struct Greeted {
    stream: Stream,
    read: usize,
    tell: Option<Arc<Notify>>,
}

impl Greeted {
    /// The head of a frame; nobody sends less of the first one and then waits.
    const WORDS: usize = 9;

    fn new(stream: Stream, tell: Arc<Notify>) -> Self {
        Self {
            stream,
            read: 0,
            tell: Some(tell),
        }
    }
}

impl AsyncRead for Greeted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read >= Self::WORDS
            && let Some(tell) = this.tell.take()
        {
            tell.notify_one();
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.tell.is_some() {
            this.read += buffer.filled().len() - before;
        }
        polled
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
