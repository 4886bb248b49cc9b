//! How many retries one provider may get: a share of its requests in the last ten seconds, so that retries can't multiply an
//! outage.
//!
//! Requests are counted without a lock; only retries take one.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// The window, cut into slots of one second.
const SLOTS: usize = 10;
/// Retries that are always allowed within the window, for providers with little traffic.
const LEAST: u64 = 10;

/// The counts of one provider.
#[derive(Debug)]
pub(crate) struct Budget {
    start: Instant,
    /// In the upper half the number of a second, in the lower how many requests began in it.
    requests: [AtomicU64; SLOTS],
    /// The number of a second, and how many retries began in it.
    retries: Mutex<[(u64, u64); SLOTS]>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            // No second has this number.
            requests: std::array::from_fn(|_| AtomicU64::new(u64::MAX << 32)),
            retries: Mutex::new([(u64::MAX, 0); SLOTS]),
        }
    }
}

impl Budget {
    /// A request goes to the provider for the first time.
    pub(crate) fn request(&self) {
        let second = self.second();
        let slot = &self.requests[slot(second)];
        let mut seen = slot.load(Ordering::Relaxed);
        while seen >> 32 != second {
            match slot.compare_exchange_weak(seen, (second << 32) | 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
        // A slot that passes to the next second right now counts one too many: no harm in a budget.
        slot.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a retry is within the budget, which then counts it.
    pub(crate) fn withdraw(&self, percent: u32) -> bool {
        let second = self.second();
        let recent = |then: u64| second.wrapping_sub(then) < SLOTS as u64;
        let requests: u64 = self
            .requests
            .iter()
            .map(|slot| slot.load(Ordering::Relaxed))
            .filter(|seen| recent(seen >> 32))
            .map(|seen| seen & u64::from(u32::MAX))
            .sum();
        let mut retries = self.retries.lock();
        let made: u64 = retries
            .iter()
            .filter(|(then, _)| recent(*then))
            .map(|(_, count)| count)
            .sum();
        if made >= LEAST.max(requests * u64::from(percent) / 100) {
            return false;
        }
        let slot = &mut retries[slot(second)];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += 1;
        true
    }

    /// Seconds since the start, for 136 years.
    fn second(&self) -> u64 {
        self.start.elapsed().as_secs() & u64::from(u32::MAX)
    }
}

fn slot(second: u64) -> usize {
    (second % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::advance;

    fn withdrawn(budget: &Budget, percent: u32) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(percent)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_are_always_allowed_and_come_back_with_time() {
        let budget = Budget::default();
        assert_eq!(withdrawn(&budget, 0), 10);
        advance(Duration::from_secs(9)).await;
        assert_eq!(withdrawn(&budget, 0), 0);
        advance(Duration::from_secs(1)).await;
        assert_eq!(withdrawn(&budget, 0), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_share_is_of_the_last_ten_seconds() {
        let budget = Budget::default();
        for second in 0..20 {
            if second > 0 {
                advance(Duration::from_secs(1)).await;
            }
            (0..50).for_each(|_| budget.request());
        }
        // 500 of the 1000 requests are recent.
        assert_eq!(withdrawn(&budget, 20), 100);
        (0..100).for_each(|_| budget.request());
        assert_eq!(withdrawn(&budget, 20), 20, "what was withdrawn before counts");
        advance(Duration::from_secs(30)).await;
        assert_eq!(withdrawn(&budget, 20), 10, "old requests do not count");
    }

    #[test]
    fn threads_at_once_get_no_more_together() {
        let budget = Budget::default();
        let given = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        budget.request();
                    }
                });
            }
        });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| given.fetch_add(withdrawn(&budget, 20) as u64, Ordering::Relaxed));
            }
        });
        assert_eq!(given.into_inner(), 800);
    }
}
