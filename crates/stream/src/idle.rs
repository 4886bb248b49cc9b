//! An idle deadline that restarts whenever data arrives, and an overall deadline that does not.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Measures how long nothing has come. The timer is made at the first wait, so a body that never waits costs none, and
/// time in which nobody asks (a slow reader downstream) does not count.
#[derive(Debug)]
pub struct Idle {
    limit: Duration,
    end: Option<Instant>,
    waiting: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Expires after `limit` of waiting in one piece.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            end: None,
            waiting: false,
            timer: None,
        }
    }

    /// Expires at this time at the latest, however much comes.
    #[must_use]
    pub const fn until(mut self, end: Instant) -> Self {
        self.end = Some(end);
        self
    }

    /// Whether it is all over, and not only silent.
    pub fn is_past_end(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Something came: the next wait starts from zero.
    pub fn moved(&mut self) {
        self.waiting = false;
    }

    /// To be asked while nothing comes; ready once the limit has passed since the wait began.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = std::mem::replace(&mut self.waiting, true);
        match &mut self.timer {
            Some(timer) if waiting => timer.as_mut().poll(cx),
            timer => {
                let silent = Instant::now() + self.limit;
                let at = self.end.map_or(silent, |end| end.min(silent));
                match timer {
                    Some(timer) => timer.as_mut().reset(at),
                    None => *timer = Some(Box::pin(tokio::time::sleep_until(at))),
                }
                timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
            }
        }
    }
}
