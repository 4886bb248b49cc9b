//! A deadline that starts anew whenever something moves.

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
    waiting: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Expires after `limit` of waiting in one piece.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            waiting: false,
            timer: None,
        }
    }

    /// Something came: the next wait starts from zero.
    pub fn moved(&mut self) {
        self.waiting = false;
    }

    /// To be asked while nothing comes; ready once the limit has passed since the wait began.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = std::mem::replace(&mut self.waiting, true);
        match &mut self.timer {
            Some(timer) => {
                if !waiting {
                    timer.as_mut().reset(Instant::now() + self.limit);
                }
                timer.as_mut().poll(cx)
            }
            none => none.insert(Box::pin(tokio::time::sleep(self.limit))).as_mut().poll(cx),
        }
    }
}
