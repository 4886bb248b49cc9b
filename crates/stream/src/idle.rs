//! An idle deadline that restarts whenever data arrives, and an overall deadline that does not; on the way to the first it may
//! tell of silence now and then.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What a wait has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It has been silent for a while ([`Idle::telling_every`]); the wait goes on.
    Silent,
    /// It was silent for too long, or the whole has lasted too long.
    TooLong,
}

/// Measures how long nothing has come. The timer is made at the first wait, so a body that never waits costs none, and
/// time in which nobody asks (a slow reader downstream) does not count.
#[derive(Debug)]
pub struct Idle {
    limit: Duration,
    end: Option<Instant>,
    /// While it waits: when that has lasted too long.
    over: Option<Instant>,
    tell: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Expires after `limit` of waiting in one piece.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            end: None,
            over: None,
            tell: None,
            timer: None,
        }
    }

    /// Expires at this time at the latest, however much comes.
    #[must_use]
    pub const fn until(mut self, end: Instant) -> Self {
        self.end = Some(end);
        self
    }

    /// Tells of silence each time that it has lasted for so long again, which does not restart the limit.
    #[must_use]
    pub const fn telling_every(mut self, silence: Duration) -> Self {
        self.tell = Some(silence);
        self
    }

    /// Whether it is all over, and not only silent.
    pub fn is_past_end(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Something came: the next wait starts from zero.
    pub fn moved(&mut self) {
        self.over = None;
    }

    /// To be asked while nothing comes; ready once the limit has passed since the wait began, or as often as it tells of silence
    /// before that.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        let over = match self.over {
            Some(over) => over,
            None => self.begin(),
        };
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        ready!(timer.as_mut().poll(cx));
        if timer.deadline() >= over {
            return Poll::Ready(Waited::TooLong);
        }
        self.set_timer(over);
        Poll::Ready(Waited::Silent)
    }

    fn begin(&mut self) -> Instant {
        let silent = Instant::now() + self.limit;
        let over = self.end.map_or(silent, |end| end.min(silent));
        self.over = Some(over);
        self.set_timer(over);
        over
    }

    fn set_timer(&mut self, over: Instant) {
        let at = self.tell.map_or(over, |tell| over.min(Instant::now() + tell));
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            timer => *timer = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }
}
