//! How long to wait before trying again: exponential, with full jitter, so that replicas do not come back in step.

use crate::Ambient;
use std::time::Duration;

/// Even the luckiest draw waits this long: a control plane that closes at once must not be hammered.
const FLOOR: Duration = Duration::from_millis(10);

/// Counts failures in a row.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// The ceiling of the first wait is `base`; no later one is above `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed once more: a wait drawn evenly from nothing up to the ceiling, which doubles each time.
    pub fn next(&mut self, ambient: &Ambient) -> Duration {
        let ceiling = self.base.saturating_mul(1 << self.failures.min(16)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        jitter(ceiling, ambient).max(FLOOR)
    }
}

/// Drawn evenly from nothing up to `ceiling`.
pub fn jitter(ceiling: Duration, ambient: &Ambient) -> Duration {
    let mut draw = [0; 4];
    ambient.fill(&mut draw);
    ceiling.mul_f64(f64::from(u32::from_ne_bytes(draw)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::random::SeededRandom;
    use std::sync::Arc;

    #[test]
    fn waits_grow_to_the_cap_and_spread() {
        let ambient = Ambient::new(Arc::new(SystemClock), Arc::new(SeededRandom::new(7)));
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let waits: Vec<Duration> = (0..64).map(|_| backoff.next(&ambient)).collect();
        assert!(waits[0] <= Duration::from_millis(100));
        assert!(waits.iter().all(|wait| (FLOOR..=Duration::from_secs(5)).contains(wait)));
        let late = &waits[8..];
        assert!(late.iter().any(|wait| *wait > Duration::from_secs(4)), "{late:?}");
        assert!(late.iter().any(|wait| *wait < Duration::from_secs(1)), "{late:?}");
        backoff.reset();
        assert!(backoff.next(&ambient) <= Duration::from_millis(100));
    }
}
