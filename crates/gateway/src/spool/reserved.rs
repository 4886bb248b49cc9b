//! Room that is promised to records which have not come yet: in sum, and of it that of one user.
//!
//! Not here: what the records take that have come (`shares`).

use lychgate_types::Holder;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct Reserved {
    all: AtomicU64,
    of: Mutex<HashMap<Holder, u64>>,
}

impl Reserved {
    /// Bytes for all records.
    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Acquire)
    }

    /// Bytes for the records of this user.
    pub(super) fn of(&self, holder: Holder) -> u64 {
        self.of.lock().get(&holder).copied().unwrap_or_default()
    }

    /// Whether there is any for somebody else.
    pub(super) fn has_others(&self, holder: Holder) -> bool {
        self.of.lock().keys().any(|other| *other != holder)
    }

    pub(super) fn add(&self, holder: Holder, bytes: u64) {
        self.all.fetch_add(bytes, Ordering::AcqRel);
        // Nobody has no share.
        if holder != Holder::default() {
            *self.of.lock().entry(holder).or_default() += bytes;
        }
    }

    pub(super) fn take_off(&self, holder: Holder, bytes: u64) {
        self.all.fetch_sub(bytes, Ordering::AcqRel);
        let mut of = self.of.lock();
        if let Some(left) = of.get_mut(&holder) {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                of.remove(&holder);
            }
        }
    }
}
