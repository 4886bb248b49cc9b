//! The public prefixes of all credentials of one kind that exist. Of strangers' well-formed credentials, all but one in a million
//! millions are told apart by them, without a look-up.
//!
//! A prefix that is not known may be that of a credential which another control plane has just made: the prefixes are read anew
//! before it is refused, for all who wait together, and not more often than [`RELOAD_EVERY`]. So a flood of strangers costs the
//! database a few queries a second, whatever its size, and refuses nobody else.
//!
//! Not here: whether a credential is good. That only its hash says.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The prefixes are read at most this often.
pub(crate) const RELOAD_EVERY: Duration = Duration::from_millis(200);
/// So many times as long as a reading took passes until the next.
const PAUSE: u32 = 10;
/// The longest such pause: somebody with a new credential waits for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// So many with an unknown prefix wait for that at most; others have to try again.
pub(crate) const WAITING: usize = 1024;

/// The prefixes of one kind of credential.
#[derive(Default)]
pub(crate) struct Prefixes {
    known: Mutex<Known>,
    /// One task reads at a time.
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Known {
    prefixes: HashSet<Box<str>>,
    /// When the last reading began, and the earliest time for the next.
    read: Option<(Instant, Instant)>,
}

/// What is known of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// There is such a credential, or was.
    Known,
    /// There is none.
    Unknown,
    /// Too many wait for an answer.
    Busy,
}

impl Prefixes {
    /// Whether there is a credential with this prefix; `read` gives the prefixes of all.
    pub(crate) async fn find<E, Reading>(&self, prefix: &str, read: impl FnOnce() -> Reading) -> Result<Prefix, E>
    where
        Reading: Future<Output = Result<Vec<String>, E>>,
    {
        if self.is_known(prefix) {
            return Ok(Prefix::Known);
        }
        let _place = match Place::take(&self.waiting) {
            Some(place) => place,
            None => return Ok(Prefix::Busy),
        };
        let asked = Instant::now();
        let _turn = self.turn.lock().await;
        let last = self.known.lock().read;
        // Whoever was before in the queue may have read after this one asked.
        if last.is_none_or(|(last, _)| last < asked) {
            if let Some((_, next)) = last {
                sleep_until(next).await;
            }
            let begun = Instant::now();
            let prefixes = read().await?.into_iter().map(String::into_boxed_str).collect();
            let next = begun + (begun.elapsed() * PAUSE).clamp(RELOAD_EVERY, LONGEST_PAUSE);
            let read = Some((begun, next));
            *self.known.lock() = Known { prefixes, read };
        }
        Ok(if self.is_known(prefix) {
            Prefix::Known
        } else {
            Prefix::Unknown
        })
    }

    fn is_known(&self, prefix: &str) -> bool {
        self.known.lock().prefixes.contains(prefix)
    }
}

/// One of a bounded number of places.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize) -> Option<Self> {
        let place = Self(taken);
        // The guard exists already: a place too many is given back at once.
        (taken.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::convert::Infallible;
    use std::sync::atomic::AtomicU32;

    /// A database with some credentials, which counts how often it is read.
    #[derive(Default)]
    struct Database {
        prefixes: Mutex<Vec<String>>,
        reads: AtomicU32,
    }

    impl Database {
        async fn find(&self, prefixes: &Prefixes, prefix: &str) -> Prefix {
            let read = || async {
                self.reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(self.prefixes.lock().clone())
            };
            prefixes.find(prefix, read).await.unwrap()
        }

        fn reads(&self) -> u32 {
            self.reads.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_ones_is_read_for_together_and_what_was_just_made_is_found() {
        let (database, prefixes) = (Database::default(), Prefixes::default());
        let begun = Instant::now();
        for round in 0..20 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let flood = (0..WAITING - 1).map(|n| format!("lgw_{round}_{n}"));
            let flood = flood.map(|prefix| {
                let (database, prefixes) = (&database, &prefixes);
                async move { database.find(prefixes, &prefix).await }
            });
            let new = format!("lgw_new_{round}");
            database.prefixes.lock().push(new.clone());
            let (strangers, friend) = tokio::join!(join_all(flood), database.find(&prefixes, &new));
            assert!(strangers.iter().all(|found| *found == Prefix::Unknown));
            assert_eq!(friend, Prefix::Known);
        }
        let most = begun.elapsed().as_millis() / RELOAD_EVERY.as_millis() + 1;
        assert!(u128::from(database.reads()) <= most, "{} of {most}", database.reads());
        let before = database.reads();
        assert_eq!(database.find(&prefixes, "lgw_new_0").await, Prefix::Known);
        assert_eq!(database.reads(), before, "what is known costs nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_bounded() {
        let (database, prefixes) = (Database::default(), Prefixes::default());
        let flood = (0..WAITING + 10).map(|n| {
            let (database, prefixes) = (&database, &prefixes);
            async move { database.find(prefixes, &n.to_string()).await }
        });
        let busy = join_all(flood).await.into_iter().filter(|found| *found == Prefix::Busy);
        assert_eq!(busy.count(), 10);
        assert_eq!(database.find(&prefixes, "again").await, Prefix::Unknown);
    }
}
