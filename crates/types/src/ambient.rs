//! Time and chance, handed in.

use crate::Timestamp;
use crate::clock::{Clock, SystemClock};
use crate::id::Id;
use crate::random::{Random, SystemRandom};
use std::sync::Arc;

/// The two things a pure function can't have by itself: what time it is, and randomness.
#[derive(Debug, Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Ambient {
    /// The machine's own clock and random source.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemRandom))
    }

    /// Sources of the caller's choice.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new UUIDv7 of this clock's time.
    pub fn new_id<T: Id>(&self) -> T {
        let mut tail = [0; 10];
        self.random.fill(&mut tail);
        let millis = u64::try_from(self.now().as_micros() / 1000).unwrap_or(0);
        T::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// Fills the slice with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }
}
