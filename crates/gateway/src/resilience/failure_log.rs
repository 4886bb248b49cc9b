//! Tells the log of a provider's failures: the first of a kind at once, those of each minute after it together.
//!
//! Not here: what counts as a failure (`decision`), and the metrics (`counts`).

use crate::resilience::decision::AttemptEnd;
use lychgate_types::Name;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const TOGETHER: Duration = Duration::from_secs(60);

/// One provider's failures that were counted and not logged, by kind. There are about as many kinds as statuses.
#[derive(Debug, Default)]
pub(crate) struct FailureLog(Mutex<HashMap<String, u64>>);

impl FailureLog {
    pub(crate) fn count(self: &Arc<Self>, provider: &Name, end: AttemptEnd) {
        let kind = end.to_string();
        {
            let mut counted = self.0.lock();
            if let Some(times) = counted.get_mut(&kind) {
                *times += 1;
                return;
            }
            counted.insert(kind.clone(), 0);
        }
        tracing::warn!(%provider, failure = kind, "an attempt at this provider failed; further ones are counted for a minute");
        let (log, provider) = (Arc::clone(self), provider.clone());
        tokio::spawn(async move {
            while let Some(times) = log.after_a_while(&kind).await {
                tracing::warn!(%provider, failure = kind, times, "attempts at this provider failed in the last minute");
            }
        });
    }

    /// How often it happened since; `None`, and it is forgotten, where it did not.
    async fn after_a_while(&self, kind: &str) -> Option<u64> {
        sleep(TOGETHER).await;
        let mut counted = self.0.lock();
        let times = std::mem::take(counted.get_mut(kind)?);
        if times == 0 {
            counted.remove(kind);
        }
        (times > 0).then_some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn failures_of_a_minute_are_counted_together_and_forgotten_after_a_quiet_one() {
        let log = Arc::new(FailureLog::default());
        let provider = Name::parse("claude").unwrap();
        let counted = || {
            let mut counted: Vec<_> = log.0.lock().clone().into_iter().collect();
            counted.sort();
            counted
        };
        for _ in 0..3 {
            log.count(&provider, AttemptEnd::error_in_body(500));
        }
        log.count(&provider, AttemptEnd::ConnectionFailed);
        let connection = ("the connection failed".to_owned(), 0);
        assert_eq!(counted(), [("it answered 500".to_owned(), 2), connection.clone()]);
        // The tasks begin to wait, and are woken.
        tokio::task::yield_now().await;
        advance(TOGETHER).await;
        tokio::task::yield_now().await;
        assert_eq!(counted(), [("it answered 500".to_owned(), 0)]);
        log.count(&provider, AttemptEnd::error_in_body(500));
        assert_eq!(counted(), [("it answered 500".to_owned(), 1)]);
        for _ in 0..2 {
            tokio::task::yield_now().await;
            advance(TOGETHER).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(counted(), []);
    }
}
