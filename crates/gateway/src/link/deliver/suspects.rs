//! Records at which the control plane fails, and when each is tried again.
//!
//! A suspect is only to blame if it keeps failing while other records are delivered; otherwise it is the control plane.

use crate::spool::{Entry, Position};
use lychgate_types::backoff::Backoff;
use lychgate_types::{Ambient, InterceptionId};
use std::time::Duration;
use tokio::time::Instant;

/// How often a record is tried while others are delivered.
pub(super) const MAX_TRIES: u32 = 4;
/// The delay between the first two of these; each further one is twice as long.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// Upper limits of the first delay, and of any, while no others are delivered.
const STALLED_DELAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// More suspects than this at once mean that the control plane itself is failing.
const MAX_SUSPECTS: usize = 8;

/// The suspects. The spool keeps them, and everything behind them, until they are settled.
#[derive(Debug, Default)]
pub(super) struct Suspects(Vec<Suspect>);

/// A record at which the control plane has failed.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) entry: Entry,
    tries: u32,
    /// Whether other records have been delivered since it was last tried.
    others_delivered: bool,
    not_before: Instant,
    /// For tries that don't count, because no others are delivered.
    backoff: Backoff,
}

impl Suspects {
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_SUSPECTS
    }

    /// Whether a record with this id is among them.
    pub(super) fn has(&self, id: InterceptionId) -> bool {
        self.entries().any(|entry| entry.record.id() == id)
    }

    /// Adds a record that has failed for the first time.
    pub(super) fn add(&mut self, entry: Entry) {
        self.0.push(Suspect {
            entry,
            tries: 1,
            others_delivered: false,
            not_before: Instant::now() + RETRY_DELAY,
            backoff: Backoff::new(STALLED_DELAY.0, STALLED_DELAY.1),
        });
    }

    /// Takes one out, to try it.
    pub(super) fn take(&mut self, index: usize) -> Suspect {
        self.0.swap_remove(index)
    }

    pub(super) fn put_back(&mut self, suspect: Suspect) {
        self.0.push(suspect);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The control plane has accepted other records.
    pub(super) fn others_delivered(&mut self) {
        for suspect in &mut self.0 {
            suspect.others_delivered = true;
        }
    }

    /// The next one to try, and when, of those that others have overtaken.
    pub(super) fn next_overtaken(&self) -> Option<(usize, Instant)> {
        self.next(|suspect| suspect.others_delivered)
    }

    /// The same of the rest.
    pub(super) fn next_stalled(&self) -> Option<(usize, Instant)> {
        self.next(|suspect| !suspect.others_delivered)
    }

    fn next(&self, wanted: impl Fn(&Suspect) -> bool) -> Option<(usize, Instant)> {
        let suspects = self.0.iter().enumerate().filter(|(_, suspect)| wanted(suspect));
        suspects
            .map(|(index, suspect)| (index, suspect.not_before))
            .min_by_key(|(_, at)| *at)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().map(|suspect| &suspect.entry)
    }

    /// Where the first of them begins.
    pub(super) fn first(&self) -> Option<Position> {
        self.entries().map(|entry| entry.place.begin).min()
    }
}

impl Suspect {
    /// Schedules another try. False: it has failed often enough.
    pub(super) fn reschedule(&mut self, ambient: &Ambient) -> bool {
        if !self.others_delivered {
            self.not_before = Instant::now() + self.backoff.next(ambient);
            return true;
        }
        self.not_before = Instant::now() + RETRY_DELAY * (1 << self.tries);
        self.tries += 1;
        self.others_delivered = false;
        self.tries < MAX_TRIES
    }
}
