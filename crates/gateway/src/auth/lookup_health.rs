//! Whether the control plane answers this replica's calls. It may be reachable while its database is not, and the attachment
//! would not show that.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long an unanswered call counts; while records are waiting, delivery makes calls more often than that.
const WINDOW: Duration = Duration::from_secs(15);

/// When the last call went unanswered, unless one has been answered since.
#[derive(Debug, Default)]
pub(crate) struct LookupHealth(Mutex<Option<Instant>>);

impl LookupHealth {
    /// A call was answered.
    pub(crate) fn success(&self) {
        *self.0.lock() = None;
    }

    /// A call went unanswered.
    pub(crate) fn failure(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether calls currently go unanswered.
    pub(crate) fn is_failing(&self) -> bool {
        let last = *self.0.lock();
        last.is_some_and(|at| at.elapsed() < WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_fails_until_a_call_is_answered_or_the_window_has_passed() {
        let health = LookupHealth::default();
        assert!(!health.is_failing());
        health.failure();
        assert!(health.is_failing());
        health.success();
        assert!(!health.is_failing());
        health.failure();
        tokio::time::advance(WINDOW).await;
        assert!(!health.is_failing());
    }
}
