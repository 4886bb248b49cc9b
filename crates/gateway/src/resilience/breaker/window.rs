//! How many failures there were within a sliding window.

use std::time::Duration;
use tokio::time::Instant;

/// The window is counted in slices, so that its size does not depend on the traffic.
const SLICES: usize = 8;

#[derive(Debug)]
pub(super) struct Window {
    begun: Instant,
    /// Index of the newest slice, counted from `begun`.
    newest: u64,
    slices: [u32; SLICES],
}

impl Window {
    pub(super) fn new(begun: Instant) -> Self {
        Self {
            begun,
            newest: 0,
            slices: [0; SLICES],
        }
    }

    /// Counts one failure in and says how many there are within the window.
    pub(super) fn count(&mut self, now: Instant, window: Duration) -> u32 {
        let slice = (window / SLICES as u32).as_nanos().max(1);
        let index = u64::try_from((now - self.begun).as_nanos() / slice).unwrap_or(u64::MAX);
        if index < self.newest || index - self.newest >= SLICES as u64 {
            // Nothing of the past is within the window, or the policy changed and the slices with it.
            *self = Self::new(now);
        } else {
            for passed in self.newest + 1..=index {
                self.slices[(passed % SLICES as u64) as usize] = 0;
            }
            self.newest = index;
        }
        self.slices[(self.newest % SLICES as u64) as usize] += 1;
        self.slices.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}
