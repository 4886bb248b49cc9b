//! What counts. All of it by relaxed atomics: a scrape may see one of two numbers that change together before the other.

use lychgate_types::Texts;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Counts so many.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One [`Counter`] for each variant of an enum.
#[derive(Debug)]
pub struct Tally<L> {
    counters: Box<[Counter]>,
    of: PhantomData<fn(L)>,
}

impl<L: Texts> Default for Tally<L> {
    fn default() -> Self {
        Self {
            counters: L::ALL.iter().map(|_| Counter::default()).collect(),
            of: PhantomData,
        }
    }
}

impl<L: Texts> Tally<L> {
    /// Counts one of this kind.
    pub fn count(&self, which: L) {
        self.add(which, 1);
    }

    /// Counts so many of this kind.
    pub fn add(&self, which: L, more: u64) {
        let place = L::ALL.iter().position(|variant| *variant == which);
        if let Some(counter) = place.and_then(|place| self.counters.get(place)) {
            counter.add(more);
        }
    }

    /// Every kind, and how many of it so far.
    pub fn all(&self) -> impl Iterator<Item = (L, u64)> {
        L::ALL.iter().copied().zip(self.counters.iter().map(Counter::get))
    }
}

/// How many times took how long.
#[derive(Debug)]
pub struct Histogram {
    /// Upper ends, the lowest first.
    bounds: &'static [Duration],
    /// Times within each bound and above the one before it; the last: above all.
    counts: Box<[AtomicU64]>,
    sum_micros: AtomicU64,
}

impl Histogram {
    /// One with these upper ends, the lowest first.
    pub fn new(bounds: &'static [Duration]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_micros: AtomicU64::new(0),
        }
    }

    /// Counts a time in.
    pub fn observe(&self, time: Duration) {
        let place = self.bounds.partition_point(|bound| *bound < time);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Each bound with how many times were within it; the last, without a bound: all.
    pub(super) fn within(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        bounds.zip(counts).scan(0u64, |sum, (bound, count)| {
            *sum = sum.saturating_add(count);
            Some((bound, *sum))
        })
    }

    /// All times together.
    pub(super) fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_micros.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::interception::Outcome;

    #[test]
    fn a_tally_keeps_its_kinds_apart() {
        let tally = Tally::default();
        tally.count(Outcome::Failed);
        tally.add(Outcome::ClientAborted, 2);
        let all: Vec<_> = tally.all().collect();
        assert_eq!(
            all,
            [
                (Outcome::Completed, 0),
                (Outcome::Failed, 1),
                (Outcome::ClientAborted, 2),
                (Outcome::Interrupted, 0),
                (Outcome::GatewayStopped, 0),
                (Outcome::Unfinished, 0),
            ]
        );
    }

    #[test]
    fn a_histogram_counts_within_its_bounds() {
        const BOUNDS: &[Duration] = &[Duration::from_millis(1), Duration::from_millis(10)];
        let histogram = Histogram::new(BOUNDS);
        for micros in [0, 1_000, 1_001, 10_000, 10_001, u64::MAX / 4] {
            histogram.observe(Duration::from_micros(micros));
        }
        let within: Vec<_> = histogram.within().collect();
        assert_eq!(within, [(Some(BOUNDS[0]), 2), (Some(BOUNDS[1]), 4), (None, 6)]);
        assert_eq!(histogram.sum(), Duration::from_micros(22_002 + u64::MAX / 4));
    }
}
