//! The HTTP body that carries out a script.

use crate::script::Step;
use crate::seen::Sent;
use crate::socket::Breaker;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What is left of an answer's body.
pub(crate) struct ScriptBody {
    source: Source,
    sleep: Option<Pin<Box<Sleep>>>,
    gate: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    breaker: Breaker,
    sent: Sent,
}

enum Source {
    Steps(std::vec::IntoIter<Step>),
    Repeat(Repeat),
}

/// The bench's stream: a head, one event many times over at a steady pace, a tail; nothing is built per event.
pub(crate) struct Repeat {
    /// Sent first.
    pub(crate) head: Option<Bytes>,
    /// Sent `left` times.
    pub(crate) event: Bytes,
    /// How many events are still to come.
    pub(crate) left: u64,
    /// Pause before each event; none when zero.
    pub(crate) interval: Duration,
    /// Sent last.
    pub(crate) tail: Option<Bytes>,
    /// When the next event is due, so that pauses do not add up to more than their sum.
    pub(crate) due: Option<Instant>,
}

impl ScriptBody {
    /// Carries out these steps, and counts what it sends.
    pub(crate) fn steps(steps: Vec<Step>, breaker: Breaker, sent: Sent) -> Self {
        Self {
            source: Source::Steps(steps.into_iter()),
            sleep: None,
            gate: None,
            breaker,
            sent,
        }
    }

    /// Sends one event many times.
    pub(crate) fn repeat(repeat: Repeat, breaker: Breaker) -> Self {
        Self {
            source: Source::Repeat(repeat),
            sleep: None,
            gate: None,
            breaker,
            sent: Sent::default(),
        }
    }
}

impl Repeat {
    /// The next frame, or the moment to wait for.
    fn next(&mut self) -> Option<Result<Bytes, Instant>> {
        if let Some(head) = self.head.take() {
            return Some(Ok(head));
        }
        if self.left == 0 {
            return self.tail.take().map(Ok);
        }
        if !self.interval.is_zero() {
            match self.due.take() {
                Some(due) if due <= Instant::now() => self.due = Some(due + self.interval),
                due => {
                    let due = due.unwrap_or_else(|| Instant::now() + self.interval);
                    self.due = Some(due);
                    return Some(Err(due));
                }
            }
        }
        self.left -= 1;
        Some(Ok(self.event.clone()))
    }
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            if let Some(gate) = &mut self.gate {
                std::task::ready!(gate.as_mut().poll(cx));
                self.gate = None;
            }
            let step = match &mut self.source {
                Source::Steps(steps) => steps.next(),
                Source::Repeat(repeat) => match repeat.next() {
                    Some(Ok(bytes)) => Some(Step::Send(bytes)),
                    Some(Err(due)) => {
                        self.sleep = Some(Box::pin(tokio::time::sleep_until(due)));
                        continue;
                    }
                    None => None,
                },
            };
            match step {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => {
                    self.sent.add(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Pause(pause)) => self.sleep = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Wait(gate)) => self.gate = Some(Box::pin(gate.opened())),
                // The server flushes after a body that has nothing to give; the socket then breaks.
                Some(Step::Close) => {
                    self.breaker.close();
                    return Poll::Pending;
                }
                Some(Step::Reset) => {
                    self.breaker.reset();
                    return Poll::Pending;
                }
            }
        }
    }
}
