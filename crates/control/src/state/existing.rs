//! Which credentials of one kind exist, by a mark of each: the public prefix, or the beginning of the hash. Of strangers' well-formed
//! credentials, practically all are told apart by it without a look-up.
//!
//! A mark that is not known may be that of a credential which another control plane has just made: the marks are read anew before
//! it is refused, for all who wait together, and not more often than [`RELOAD_EVERY`]. So a flood of strangers costs the database a
//! few queries a second, whatever its size, and refuses nobody else. All are read before anybody is answered, so that a restart
//! makes no difference.
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
/// So many with the prefix of no gateway key wait for that at most, and so many of them from one source; others have to try again.
pub(crate) const UNKNOWN_KEYS: PlaceLimits = PlaceLimits { all: 1024, one: 512 };
/// The same of user tokens, and from the replicas of one gateway key, which hold back most themselves.
pub(crate) const UNKNOWN_TOKENS: PlaceLimits = PlaceLimits { all: 8192, one: 2048 };

/// The marks of one kind of credential. `By` tells apart those who ask.
pub(crate) struct Existing<Mark, By: Copy + Eq + Hash> {
    known: Mutex<Known<Mark>>,
    /// One task reads at a time.
    turn: tokio::sync::Mutex<()>,
    waiting: Arc<Places<By>>,
}

struct Known<Mark> {
    marks: HashSet<Mark>,
    /// When the last reading began, and the earliest time for the next.
    read: Option<(Instant, Instant)>,
}

/// Whether there is such a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existence {
    /// There is one with this mark, or was.
    Known,
    /// There is none.
    Unknown,
    /// Too many wait for an answer.
    Busy,
}

impl<Mark: Eq + Hash, By: Copy + Eq + Hash> Existing<Mark, By> {
    /// None yet; so many may wait.
    pub(crate) fn new(waiting: PlaceLimits) -> Self {
        let known = Known {
            marks: HashSet::new(),
            read: None,
        };
        Self {
            known: Mutex::new(known),
            turn: tokio::sync::Mutex::default(),
            waiting: Places::new(waiting),
        }
    }

    /// Whether there is a credential with this mark; `read` gives the marks of all.
    pub(crate) async fn find<E, Reading>(
        &self,
        mark: &Mark,
        by: By,
        read: impl FnOnce() -> Reading,
    ) -> Result<Existence, E>
    where
        Reading: Future<Output = Result<Vec<Mark>, E>>,
    {
        if self.is_known(mark) {
            return Ok(Existence::Known);
        }
        let Some(_place) = self.waiting.take(by) else {
            return Ok(Existence::Busy);
        };
        let asked = Instant::now();
        let _turn = self.turn.lock().await;
        let last = self.known.lock().read;
        // Whoever was before in the queue may have read after this one asked.
        if last.is_none_or(|(last, _)| last < asked) {
            if let Some((_, next)) = last {
                sleep_until(next).await;
            }
            self.read(read).await?;
        }
        Ok(if self.is_known(mark) {
            Existence::Known
        } else {
            Existence::Unknown
        })
    }

    /// Reads the marks of all.
    pub(crate) async fn read<E, Reading>(&self, read: impl FnOnce() -> Reading) -> Result<(), E>
    where
        Reading: Future<Output = Result<Vec<Mark>, E>>,
    {
        let begun = Instant::now();
        let marks = read().await?.into_iter().collect();
        let next = begun + (begun.elapsed() * PAUSE).clamp(RELOAD_EVERY, LONGEST_PAUSE);
        let read = Some((begun, next));
        *self.known.lock() = Known { marks, read };
        Ok(())
    }

    /// This one was made just now, here.
    pub(crate) fn add(&self, mark: Mark) {
        self.known.lock().marks.insert(mark);
    }

    /// Whether there is one with this mark, as far as was read.
    pub(crate) fn is_known(&self, mark: &Mark) -> bool {
        self.known.lock().marks.contains(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A database with some credentials, which counts how often it is read.
    #[derive(Default)]
    struct Database {
        marks: Mutex<Vec<String>>,
        reads: AtomicU32,
    }

    impl Database {
        async fn find(&self, existing: &Existing<String, u8>, mark: &str, by: u8) -> Existence {
            let read = || async {
                self.reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(self.marks.lock().clone())
            };
            existing.find(&mark.to_owned(), by, read).await.unwrap()
        }

        fn reads(&self) -> u32 {
            self.reads.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_ones_is_read_for_together_and_what_was_just_made_is_found() {
        let (database, existing) = (Database::default(), Existing::new(UNKNOWN_KEYS));
        let begun = Instant::now();
        for round in 0..20 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let flood = (0..UNKNOWN_KEYS.all - 1)
                .map(|n| (format!("lgw_{round}_{n}"), if n < UNKNOWN_KEYS.one { 1 } else { 2 }));
            let flood = flood.map(|(mark, by)| {
                let (database, existing) = (&database, &existing);
                async move { database.find(existing, &mark, by).await }
            });
            let new = format!("lgw_new_{round}");
            database.marks.lock().push(new.clone());
            let (strangers, friend) = tokio::join!(join_all(flood), database.find(&existing, &new, 3));
            assert!(strangers.iter().all(|found| *found == Existence::Unknown));
            assert_eq!(friend, Existence::Known);
        }
        let most = begun.elapsed().as_millis() / RELOAD_EVERY.as_millis() + 1;
        assert!(u128::from(database.reads()) <= most, "{} of {most}", database.reads());
        let before = database.reads();
        assert_eq!(database.find(&existing, "lgw_new_0", 1).await, Existence::Known);
        existing.add("lgw_here".to_owned());
        assert_eq!(database.find(&existing, "lgw_here", 1).await, Existence::Known);
        assert_eq!(database.reads(), before, "what is known costs nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_bounded_and_those_of_one_leave_room_for_others() {
        let (database, existing) = (Database::default(), Existing::new(UNKNOWN_KEYS));
        let flood = |count: usize, by: u8| {
            let (database, existing) = (&database, &existing);
            (0..count).map(move |n| async move { database.find(existing, &format!("{by} {n}"), by).await })
        };
        let (flood, others) = tokio::join!(
            join_all(flood(UNKNOWN_KEYS.one + 10, 1)),
            join_all(flood(UNKNOWN_KEYS.one, 2))
        );
        let busy = |found: &[Existence]| found.iter().filter(|found| **found == Existence::Busy).count();
        assert_eq!((busy(&flood), busy(&others)), (10, 0));
        assert_eq!(database.find(&existing, "again", 1).await, Existence::Unknown);
    }
}
