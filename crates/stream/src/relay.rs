//! A body that passes another one on untouched while somebody watches.

use crate::Idle;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long a failure is held back behind the data before it. A server that gets an error from a body drops the connection
/// together with whatever of the body it had not written yet, and the reader is to have every byte that came.
const SETTLE: Duration = Duration::from_millis(200);
/// After so many pieces that were not waited for it is asked once whether the whole has become too late.
const PIECES_PER_LOOK: u32 = 32;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a body ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection to its sender broke, or its framing did.
    #[error("the body was cut")]
    Cut(#[source] BoxError),
    /// Nothing came for too long.
    #[error("the body stalled")]
    Idle,
    /// It went on for longer than it may in all.
    #[error("the body took too long")]
    Late,
}

/// What the reader of a failed body gets.
#[derive(Debug)]
pub enum LastWords {
    /// These bytes (or none), then the failure itself: the reader sees a cut body as a cut body.
    Failure(Bytes),
    /// These bytes (or none), then a proper end.
    End(Bytes),
}

/// Watches a body go by. Exactly one of [`complete`](Self::complete), [`failed`](Self::failed) and [`left`](Self::left) is
/// called, and always before the reader can see the end.
pub trait Watch<B>: Unpin {
    /// Sees a piece of data and says what goes on in its place: as a rule the very same bytes. What is withheld (empty) is
    /// not passed on at all.
    fn data(&mut self, bytes: Bytes) -> Bytes;

    /// Whether as many bytes go on as come; if not, no length is announced.
    fn keeps_length(&self) -> bool {
        true
    }

    /// The body came to its proper end. Bytes still to be sent, or none.
    fn complete(self) -> Bytes;

    /// The body failed.
    fn failed(self, failure: &Failure) -> LastWords;

    /// The reader went away before the end; here is the rest.
    fn left(self, rest: B);
}

/// The relay. Frames go on as they come; nothing is buffered.
#[derive(Debug)]
pub struct RelayBody<B: Body, W: Watch<B>> {
    /// `None` once the end was told to the watcher.
    live: Option<(B, W)>,
    idle: Idle,
    /// Pieces since the last look at the clock.
    pieces: u32,
    /// Data has gone on, so that a failure has to wait for it to be written.
    begun: bool,
    tail: Tail,
}

/// What the reader still gets after the end was told: the bytes, then the failure.
#[derive(Debug, Default)]
struct Tail {
    bytes: Bytes,
    failure: Option<Failure>,
}

impl<B, W> RelayBody<B, W>
where
    B: Body<Data = Bytes> + Unpin,
    W: Watch<B>,
{
    /// Relays `body`; `idle` says how long it may be silent, and how long it may take in all. One that has already ended is told to the watcher here, since nobody may ever poll it.
    pub fn new(body: B, watch: W, idle: Idle) -> Self {
        let ended = body.is_end_stream();
        let mut relay = Self {
            live: Some((body, watch)),
            idle,
            pieces: 0,
            begun: false,
            tail: Tail::default(),
        };
        if ended {
            relay.complete();
        }
        relay
    }

    fn complete(&mut self) {
        if let Some((_, watch)) = self.live.take() {
            self.tail.bytes = watch.complete();
        }
    }

    fn fail(&mut self, failure: Failure) {
        if let Some((_, watch)) = self.live.take() {
            self.tail = match watch.failed(&failure) {
                LastWords::Failure(bytes) => Tail {
                    bytes,
                    failure: Some(failure),
                },
                LastWords::End(bytes) => Tail { bytes, failure: None },
            };
            self.idle = Idle::new(SETTLE);
        }
    }

    fn poll_tail(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if !self.tail.bytes.is_empty() {
            self.begun = true;
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.tail.bytes)))));
        }
        if self.tail.failure.is_some() && self.begun {
            ready!(self.idle.poll_expired(cx));
        }
        Poll::Ready(self.tail.failure.take().map(Err))
    }
}

impl<B, W> Body for RelayBody<B, W>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
    W: Watch<B>,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        loop {
            let Some((body, watch)) = &mut this.live else {
                return this.poll_tail(cx);
            };
            // Whoever reads slowly finds the next piece always there: nothing is waited for, and no timer asked.
            if this.pieces >= PIECES_PER_LOOK {
                this.pieces = 0;
                if this.idle.is_past_end() {
                    this.fail(Failure::Late);
                    continue;
                }
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.idle.moved();
                    this.pieces += 1;
                    let frame = match frame.into_data() {
                        Ok(bytes) => Frame::data(watch.data(bytes)),
                        Err(trailers) => trailers,
                    };
                    // A body of known length is over with its last frame: nobody asks again after it.
                    if body.is_end_stream() {
                        this.complete();
                    }
                    if frame.data_ref().is_none_or(|bytes| !bytes.is_empty()) {
                        this.begun = true;
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => this.fail(Failure::Cut(error.into())),
                Poll::Ready(None) => this.complete(),
                Poll::Pending => {
                    this.pieces = 0;
                    ready!(this.idle.poll_expired(cx));
                    let late = this.idle.is_past_end();
                    this.fail(if late { Failure::Late } else { Failure::Idle });
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.live.is_none() && self.tail.bytes.is_empty() && self.tail.failure.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.live {
            Some((body, watch)) if watch.keeps_length() => body.size_hint(),
            None if self.tail.failure.is_none() => SizeHint::with_exact(self.tail.bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

impl<B: Body, W: Watch<B>> Drop for RelayBody<B, W> {
    fn drop(&mut self) {
        if let Some((body, watch)) = self.live.take() {
            watch.left(body);
        }
    }
}
