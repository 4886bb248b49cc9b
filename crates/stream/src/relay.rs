//! A body that passes another one on untouched while somebody watches.

use crate::{Idle, Waited};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long a failure is held back behind the head and the data before it. A server that gets an error from a body drops the
/// connection together with whatever it had not written yet, and the reader is to have every byte that came.
const SETTLE: Duration = Duration::from_millis(200);
/// After so many pieces that were not waited for it is asked once whether the whole has become too late.
const PIECES_PER_LOOK: u32 = 32;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the end of a body waits for; an error means that the body must not look complete.
pub type Hold = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

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
    /// It came to its end, but what had to be done first could not be done ([`Hold`]).
    #[error("the body's end was held back")]
    Held(#[source] BoxError),
}

/// What still goes to the reader when the end is known.
#[derive(Default)]
pub struct Last {
    /// Bytes still to be sent, or none.
    pub bytes: Bytes,
    /// What the reader waits for before it sees the end, or the last of a body whose length it knows.
    pub hold: Option<Hold>,
}

impl Last {
    /// These bytes, after this.
    pub fn new(bytes: Bytes, hold: Option<Hold>) -> Self {
        Self { bytes, hold }
    }
}

impl From<Bytes> for Last {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes, None)
    }
}

impl std::fmt::Debug for Last {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Last")
            .field("bytes", &self.bytes)
            .field("held", &self.hold.is_some())
            .finish()
    }
}

/// What the reader of a failed body gets.
#[derive(Debug)]
pub enum LastWords {
    /// These bytes (or none), then the failure itself: the reader sees a cut body as a cut body.
    Failure(Last),
    /// These bytes (or none), then a proper end.
    End(Last),
}

/// Watches a body go by. Exactly one of [`complete`](Self::complete), [`failed`](Self::failed) and [`left`](Self::left) is
/// called, and always before the reader can see the end.
pub trait Watch<B>: Unpin {
    /// Sees a piece of data and says what goes on in its place: as a rule the very same bytes. What is withheld (empty) is
    /// not passed on at all.
    fn data(&mut self, bytes: Bytes) -> Bytes;

    /// Nothing has come for a while ([`Idle::telling_every`]): what is put in, if anything can be at this place.
    fn filler(&mut self) -> Option<Bytes> {
        None
    }

    /// Whether as many bytes go on as come; if not, no length is announced.
    fn keeps_length(&self) -> bool {
        true
    }

    /// The body came to its proper end.
    fn complete(self) -> Last;

    /// The body failed.
    fn failed(self, failure: &Failure) -> LastWords;

    /// The reader went away before the end; here is the rest.
    fn left(self, rest: B);
}

/// The relay. Frames go on as they come; nothing is buffered. A reader that does not keep up is never given a filler, since it is
/// not the sender that is silent then.
#[derive(Debug)]
pub struct RelayBody<B: Body, W: Watch<B>> {
    /// `None` once the end was told to the watcher.
    live: Option<(B, W)>,
    idle: Idle,
    /// Pieces since the last look at the clock.
    pieces: u32,
    tail: Tail,
}

/// What the reader still gets after the end was told: once nothing holds it back any more, the frame that showed the end, the
/// bytes, then the failure.
#[derive(Debug, Default)]
struct Tail {
    frame: Option<Frame<Bytes>>,
    last: Last,
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
            tail: Tail::default(),
        };
        if ended {
            relay.complete();
        }
        relay
    }

    /// Waits for what holds back the end of a body that has ended already: the head of such a body already shows its end.
    ///
    /// # Errors
    /// The body must not look complete.
    pub async fn settled(&mut self) -> Result<(), Failure> {
        if self.live.is_some() {
            return Ok(());
        }
        std::future::poll_fn(|cx| self.poll_hold(cx)).await;
        self.tail.failure.take().map_or(Ok(()), Err)
    }

    fn complete(&mut self) {
        if let Some((_, watch)) = self.live.take() {
            self.tail.last = watch.complete();
        }
    }

    fn fail(&mut self, failure: Failure) {
        if let Some((_, watch)) = self.live.take() {
            let (last, failure) = match watch.failed(&failure) {
                LastWords::Failure(last) => (last, Some(failure)),
                LastWords::End(last) => (last, None),
            };
            self.tail = Tail {
                frame: None,
                last,
                failure,
            };
            self.idle = Idle::new(SETTLE);
        }
    }

    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(hold) = &mut self.tail.last.hold {
            if let Err(why) = ready!(hold.as_mut().poll(cx)) {
                self.tail = Tail {
                    failure: Some(Failure::Held(why)),
                    ..Tail::default()
                };
            }
            self.tail.last.hold = None;
            self.idle = Idle::new(SETTLE);
        }
        Poll::Ready(())
    }

    fn poll_tail(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        ready!(self.poll_hold(cx));
        if let Some(frame) = self.tail.frame.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let bytes = std::mem::take(&mut self.tail.last.bytes);
        if !bytes.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if self.tail.failure.is_some() {
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
            // A slow reader always finds the next frame ready, so that no timer is polled.
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
                    if this.tail.last.hold.is_some() {
                        // It would show the end, by the length or by being the trailers.
                        this.tail.frame = Some(frame).filter(says_something);
                    } else if says_something(&frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => this.fail(Failure::Cut(error.into())),
                Poll::Ready(None) => this.complete(),
                Poll::Pending => {
                    this.pieces = 0;
                    if ready!(this.idle.poll_expired(cx)) == Waited::Silent {
                        match watch.filler() {
                            Some(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                            // Who waits has to be known to the timer again.
                            None => continue,
                        }
                    }
                    let late = this.idle.is_past_end();
                    this.fail(if late { Failure::Late } else { Failure::Idle });
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let Tail { frame, last, failure } = &self.tail;
        self.live.is_none() && frame.is_none() && last.hold.is_none() && last.bytes.is_empty() && failure.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.live {
            Some((body, watch)) if watch.keeps_length() => body.size_hint(),
            None if self.tail.failure.is_none() && self.tail.last.hold.is_none() => {
                let frame = self.tail.frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
                SizeHint::with_exact((frame + self.tail.last.bytes.len()) as u64)
            }
            _ => SizeHint::default(),
        }
    }
}

fn says_something(frame: &Frame<Bytes>) -> bool {
    frame.data_ref().is_none_or(|bytes| !bytes.is_empty())
}

impl<B: Body, W: Watch<B>> Drop for RelayBody<B, W> {
    fn drop(&mut self) {
        if let Some((body, watch)) = self.live.take() {
            watch.left(body);
        }
    }
}
