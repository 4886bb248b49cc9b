//! The randomness and time of a run: everything follows from the seed and from the runtime's paused clock.

use lychgate_types::Timestamp;
use lychgate_types::clock::Clock;
use lychgate_types::random::{Random, SeededRandom};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The one random generator of a run.
#[derive(Debug)]
pub(super) struct Rng(SeededRandom);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// Drawn evenly from 0 up to, not including, `bound`; 0 where that is 0.
    pub(super) fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }

    pub(super) fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub(super) fn between(&self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(super) fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// True with this probability.
    pub(super) fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// Waits for a random time of at most this many milliseconds.
    pub(super) async fn takes(&self, most: u64) {
        sleep(self.millis(1, most.max(1))).await;
    }
}

/// A wall clock that follows the paused clock, apart from its jumps.
#[derive(Debug)]
pub(super) struct Wall {
    begun: Instant,
    /// The microseconds by which it is wrong.
    off: AtomicI64,
}

/// Where wall clocks start: 2026-01-01, in microseconds.
const START: i64 = 1_767_225_600_000_000;

impl Wall {
    pub(super) fn new(begun: Instant) -> Self {
        let off = AtomicI64::new(0);
        Self { begun, off }
    }

    pub(super) fn jump(&self, micros: i64) {
        self.off.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.begun.elapsed().as_micros()).unwrap();
        Timestamp::from_micros(START + passed + self.off.load(Ordering::Relaxed))
    }
}
