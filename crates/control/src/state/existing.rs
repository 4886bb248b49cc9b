//! Which credentials of one kind exist, by a mark of each: the beginning of the hash. Of strangers' well-formed credentials, practically
//! all are told apart by it without a look-up, also of those who know a credential's public prefix.
//!
//! A mark that is not known may be that of a credential which another control plane has just made: what is new is read before it is
//! refused, for all who wait together, and not more often than [`RELOAD_EVERY`], whether or not that succeeds. So a flood of strangers
//! costs the database a few queries a second, whatever its size, and refuses nobody else. All are read before anybody is answered, so
//! that a restart makes no difference.
//!
//! Not here: whether a credential is good. That only its hash says.

use lychgate_link::places::{PlaceLimits, Places};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The marks are read at most this often.
pub(crate) const RELOAD_EVERY: Duration = Duration::from_millis(200);
/// So many times as long as a reading took passes until the next.
const PAUSE: u32 = 10;
/// The longest such pause: somebody with a new credential waits for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// So many with the mark of no gateway key wait for that at most, and so many of them from one source; others have to try again.
pub(crate) const UNKNOWN_KEYS: PlaceLimits = PlaceLimits { all: 1024, one: 512 };
/// The same of user tokens, and from the replicas of one gateway key. Of a further one is said that it does not exist as yet.
pub(crate) const UNKNOWN_TOKENS: PlaceLimits = PlaceLimits { all: 8192, one: 64 };
/// All are read at most this often, in between those that are new.
const ALL_EVERY: Duration = Duration::from_secs(600);
/// New ones are read back to so long before: their times are those of other clocks, and of transactions that took their time.
const OVERLAP: Duration = Duration::from_secs(3600);

/// The marks of one kind of credential. `By` tells apart those who ask.
pub(crate) struct Existing<By: Copy + Eq + Hash> {
    known: Mutex<Known>,
    /// One task reads at a time.
    turn: tokio::sync::Mutex<()>,
    waiting: Arc<Places<By>>,
}

struct Known {
    /// Never forgotten: an old one costs a look-up.
    marks: HashSet<u64>,
    last: Option<Reading>,
    all_read: Option<Instant>,
}

/// The last reading.
#[derive(Clone, Copy)]
struct Reading {
    begun: Instant,
    failed: bool,
    /// The earliest time for the next.
    next: Instant,
}

/// Whether there is such a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existence {
    /// There is one with this mark, or was.
    Known,
    /// There is none.
    Unknown,
    /// Too many wait for the next reading, which is after this time. At the last one, there was none.
    NotYet(Duration),
    /// It could not be read.
    Unread,
}

impl<By: Copy + Eq + Hash> Existing<By> {
    /// None yet; so many may wait.
    pub(crate) fn new(waiting: PlaceLimits) -> Self {
        let known = Known {
            marks: HashSet::new(),
            last: None,
            all_read: None,
        };
        Self {
            known: Mutex::new(known),
            turn: tokio::sync::Mutex::default(),
            waiting: Places::new(waiting),
        }
    }

    /// Whether there is a credential with this mark; `read` gives the marks of all, or at least of those made within this time.
    pub(crate) async fn find<E, Marks>(
        &self,
        mark: u64,
        by: By,
        read: impl FnOnce(Option<Duration>) -> Marks,
    ) -> Result<Existence, E>
    where
        Marks: Future<Output = Result<Vec<u64>, E>>,
    {
        if self.is_known(mark) {
            return Ok(Existence::Known);
        }
        let last = || self.known.lock().last;
        let Some(_place) = self.waiting.take(by) else {
            let read = last().filter(|last| !last.failed);
            return Ok(read.map_or(Existence::Unread, |last| {
                let left = last.next.saturating_duration_since(Instant::now());
                Existence::NotYet(left.max(RELOAD_EVERY))
            }));
        };
        let asked = Instant::now();
        let _turn = self.turn.lock().await;
        match last() {
            // Whoever was before in the queue has read after this one asked.
            Some(last) if last.begun >= asked => {
                if last.failed {
                    return Ok(Existence::Unread);
                }
            }
            last => {
                if let Some(last) = last {
                    sleep_until(last.next).await;
                }
                self.read(read).await?;
            }
        }
        Ok(if self.is_known(mark) {
            Existence::Known
        } else {
            Existence::Unknown
        })
    }

    /// Reads the marks of those that are new, or of all if that was long ago.
    pub(crate) async fn read<E, Marks>(&self, read: impl FnOnce(Option<Duration>) -> Marks) -> Result<(), E>
    where
        Marks: Future<Output = Result<Vec<u64>, E>>,
    {
        let begun = Instant::now();
        let within = {
            let mut known = self.known.lock();
            // Should whoever waits for it leave.
            if let Some(last) = &mut known.last {
                last.next = begun + RELOAD_EVERY;
            }
            let since_all = known.all_read.map(|all| begun.duration_since(all));
            since_all
                .filter(|since| *since < ALL_EVERY)
                .map(|since| since + OVERLAP)
        };
        let marks = read(within).await;
        let mut known = self.known.lock();
        known.last = Some(Reading {
            begun,
            failed: marks.is_err(),
            next: begun + (begun.elapsed() * PAUSE).clamp(RELOAD_EVERY, LONGEST_PAUSE),
        });
        known.marks.extend(marks?);
        if within.is_none() {
            known.all_read = Some(begun);
        }
        Ok(())
    }

    /// This one was made just now, here.
    pub(crate) fn add(&self, mark: u64) {
        self.known.lock().marks.insert(mark);
    }

    /// Whether it is known without a reading.
    pub(crate) fn is_known(&self, mark: u64) -> bool {
        self.known.lock().marks.contains(&mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    /// A database with some credentials, which counts how often it is read.
    #[derive(Default)]
    struct Database {
        marks: Mutex<Vec<u64>>,
        reads: AtomicU32,
        is_down: AtomicBool,
    }

    impl Database {
        /// `None`: it failed.
        async fn find(&self, existing: &Existing<u8>, mark: u64, by: u8) -> Option<Existence> {
            let read = |_| async {
                self.reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                match self.is_down.load(Ordering::Relaxed) {
                    true => Err(()),
                    false => Ok(self.marks.lock().clone()),
                }
            };
            existing.find(mark, by, read).await.ok()
        }

        fn reads(&self) -> u32 {
            self.reads.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_ones_is_read_for_together_and_what_was_just_made_is_found() {
        let (database, existing) = (Database::default(), Existing::new(UNKNOWN_KEYS));
        let begun = Instant::now();
        for round in 0..20_u64 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let flood = (0..UNKNOWN_KEYS.all - 1)
                .map(|n| (round * 10_000 + n as u64, if n < UNKNOWN_KEYS.one { 1 } else { 2 }));
            let flood = flood.map(|(mark, by)| {
                let (database, existing) = (&database, &existing);
                async move { database.find(existing, mark, by).await }
            });
            let new = u64::MAX - round;
            database.marks.lock().push(new);
            let (strangers, friend) = tokio::join!(join_all(flood), database.find(&existing, new, 3));
            assert!(strangers.iter().all(|found| *found == Some(Existence::Unknown)));
            assert_eq!(friend, Some(Existence::Known));
        }
        let most = begun.elapsed().as_millis() / RELOAD_EVERY.as_millis() + 1;
        assert!(u128::from(database.reads()) <= most, "{} of {most}", database.reads());
        let before = database.reads();
        assert_eq!(database.find(&existing, u64::MAX, 1).await, Some(Existence::Known));
        existing.add(5);
        assert_eq!(database.find(&existing, 5, 1).await, Some(Existence::Known));
        assert_eq!(database.reads(), before, "what is known costs nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_bounded_and_those_of_one_leave_room_for_others() {
        let (database, existing) = (Database::default(), Existing::new(UNKNOWN_KEYS));
        let flood = |count: usize, by: u8| {
            let (database, existing) = (&database, &existing);
            (0..count as u64).map(move |n| async move { database.find(existing, n, by).await })
        };
        let (flood, others) = tokio::join!(
            join_all(flood(UNKNOWN_KEYS.one + 10, 1)),
            join_all(flood(UNKNOWN_KEYS.one, 2))
        );
        let not_yet = |found: &[Option<Existence>]| {
            let found = found.iter();
            found
                .filter(|found| matches!(found, Some(Existence::NotYet(_) | Existence::Unread)))
                .count()
        };
        assert_eq!((not_yet(&flood), not_yet(&others)), (10, 0));
        assert_eq!(database.find(&existing, 77, 1).await, Some(Existence::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_fails_is_not_tried_again_by_each_who_waits_for_it() {
        let (database, existing) = (Database::default(), Existing::new(UNKNOWN_KEYS));
        assert_eq!(database.find(&existing, 76, 1).await, Some(Existence::Unknown));
        let moment = Duration::from_millis(1);
        tokio::time::advance(moment).await;
        database.is_down.store(true, Ordering::Relaxed);
        let flood = (0..100_u64).map(|n| {
            let (database, existing) = (&database, &existing);
            async move { database.find(existing, n, 1).await }
        });
        let found = join_all(flood).await;
        let count = |wanted| found.iter().filter(|found| **found == wanted).count();
        assert_eq!(
            (count(None), count(Some(Existence::Unread)), database.reads()),
            (1, 99, 2)
        );
        database.is_down.store(false, Ordering::Relaxed);
        let failed = Instant::now();
        tokio::time::advance(moment).await;
        assert_eq!(database.find(&existing, 77, 1).await, Some(Existence::Unknown));
        assert_eq!(failed.elapsed(), RELOAD_EVERY, "and not at once");
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_read_now_and_then_and_in_between_what_is_new() {
        let existing = Existing::<u8>::new(UNKNOWN_KEYS);
        let mut asked = Vec::new();
        for _ in 0..4 {
            let read = async |within| {
                asked.push(within);
                Ok::<_, ()>(vec![1])
            };
            assert_eq!(existing.find(2, 1, read).await, Ok(Existence::Unknown));
            tokio::time::advance(ALL_EVERY / 3).await;
        }
        let third = ALL_EVERY / 3;
        assert_eq!(asked, [None, Some(third + OVERLAP), Some(third * 2 + OVERLAP), None]);
        assert!(existing.is_known(1));
    }
}
