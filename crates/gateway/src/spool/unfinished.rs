//! Exchanges that have begun and not ended, and what the next process is to know of them if this one ends first.
//!
//! Whatever lasts longer than [`LASTING`] gets a line on disk: the record that is to be booked if the process ends now. It is
//! written anew when a good part more has passed, so a long stream is written seldom, and it is taken out once the record itself
//! is in the spool. All of it is done by one task; an exchange pays for being listed, nothing else.
//!
//! The lines of a process that ended first are records for the next one, which appends them behind all others: where the end
//! came between a record and the removal of its line, the record is delivered first, and the line changes nothing.
//!
//! Not here: what a line says (`exchange::recorder`), and the file (`lines`).

mod lines;

use super::Spool;
use lines::Lines;
pub(super) use lines::leftovers;
use lychgate_types::Holder;
use lychgate_types::interception::InterceptionRecord;
use parking_lot::Mutex;
use slab::Slab;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// From this age on, an exchange has a line; and how often lines are looked after.
const LASTING: Duration = Duration::from_millis(200);

/// An exchange that has begun.
pub(crate) trait Unfinished: Send + Sync + Debug {
    /// When it began.
    fn began(&self) -> Instant;

    /// What is to be booked if the process ends now; `None` where that is about what it was when this was last asked.
    fn draft(&self) -> Option<InterceptionRecord>;

    /// The last draft could not be written: there is to be another.
    fn was_not_written(&self);

    /// Books it as it is now: the gateway stops.
    fn stop(&self);
}

/// Those of one process.
#[derive(Debug)]
pub(super) struct Exchanges {
    listed: Mutex<Listed>,
    lines: Mutex<Lines>,
    /// Files with lines of earlier processes.
    leftovers: Mutex<Vec<Leftover>>,
}

/// A file with lines of an earlier process.
#[derive(Debug)]
struct Leftover {
    path: PathBuf,
    /// Its records are appended, and not flushed yet.
    is_appended: bool,
}

#[derive(Debug, Default)]
struct Listed {
    all: Slab<Listing>,
    /// Lines of exchanges that have ended.
    over: Vec<u32>,
}

#[derive(Debug)]
struct Listing {
    exchange: Arc<dyn Unfinished>,
    line: Option<u32>,
}

/// An exchange whose line is due to be looked at.
pub(super) type Due = (usize, Arc<dyn Unfinished>, Option<u32>);

/// Looks after the lines, until its task is aborted.
pub(crate) async fn run_unfinished(spool: Arc<Spool>) {
    loop {
        sleep(LASTING).await;
        if spool.has_leftovers() {
            spool.run_blocking(Spool::book_leftovers).await;
        }
        let (due, over) = spool.exchanges.due();
        if !(due.is_empty() && over.is_empty()) {
            spool.run_blocking(move |spool| spool.write_lines(due, over)).await;
        }
    }
}

impl Exchanges {
    pub(super) fn new(leftovers: Vec<PathBuf>) -> Self {
        Self {
            listed: Mutex::default(),
            lines: Mutex::default(),
            leftovers: Mutex::new(
                leftovers
                    .into_iter()
                    .map(|path| Leftover {
                        path,
                        is_appended: false,
                    })
                    .collect(),
            ),
        }
    }

    pub(super) fn due(&self) -> (Vec<Due>, Vec<u32>) {
        let mut listed = self.listed.lock();
        let now = Instant::now();
        let lasts = |listing: &Listing| now.saturating_duration_since(listing.exchange.began()) >= LASTING;
        let all = listed.all.iter().filter(|(_, listing)| lasts(listing));
        let due = all.map(|(key, listing)| (key, Arc::clone(&listing.exchange), listing.line));
        let due = due.collect();
        (due, std::mem::take(&mut listed.over))
    }

    /// Notes which line an exchange was given; one that has ended meanwhile needs none.
    fn was_given(&self, key: usize, exchange: &Arc<dyn Unfinished>, line: u32) {
        let mut listed = self.listed.lock();
        match listed.all.get_mut(key) {
            Some(listing) if Arc::ptr_eq(&listing.exchange, exchange) => listing.line = Some(line),
            _ => listed.over.push(line),
        }
    }
}

impl Spool {
    /// Lists an exchange that begins; it is to be taken off the list when its record is in the spool.
    pub(crate) fn list(&self, exchange: Arc<dyn Unfinished>) -> usize {
        let listing = Listing { exchange, line: None };
        self.exchanges.listed.lock().all.insert(listing)
    }

    /// Takes an exchange off the list.
    pub(crate) fn unlist(&self, key: usize) {
        let mut listed = self.exchanges.listed.lock();
        if let Some(Listing { line: Some(line), .. }) = listed.all.try_remove(key) {
            listed.over.push(line);
        }
    }

    /// Books everything that has not ended, since the gateway stops. Returns how many there were.
    pub(crate) fn stop_unfinished(&self) -> usize {
        let listed = self.exchanges.listed.lock();
        let all: Vec<_> = listed
            .all
            .iter()
            .map(|(_, listing)| Arc::clone(&listing.exchange))
            .collect();
        drop(listed);
        all.iter().for_each(|exchange| exchange.stop());
        all.len()
    }

    /// Removes the file of lines at a proper end. Blocks.
    pub(crate) fn close_lines(&self) {
        let (_, over) = self.exchanges.due();
        self.write_lines(Vec::new(), over);
        if self.exchanges.listed.lock().all.is_empty() {
            self.exchanges.lines.lock().remove();
        }
    }

    pub(super) fn has_leftovers(&self) -> bool {
        self.sealer.load().is_some() && !self.exchanges.leftovers.lock().is_empty()
    }

    /// Takes out the lines of what has ended, and writes those of what lasts. Blocks.
    pub(super) fn write_lines(&self, due: Vec<Due>, over: Vec<u32>) {
        let sealer = self.sealer.load();
        let Some(sealer) = sealer.as_deref() else { return };
        let mut lines = self.exchanges.lines.lock();
        over.into_iter().for_each(|line| lines.clear(line));
        for (key, exchange, line) in due {
            let Some(draft) = exchange.draft() else { continue };
            let number = || self.number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match lines.write(self, sealer, number(), draft, line) {
                // One that it had before is given back when it is taken off the list, and not twice.
                Ok(written) if line.is_none() => self.exchanges.was_given(key, &exchange, written),
                Ok(_) => {}
                Err(error) => {
                    // Its record is another matter, and may find room.
                    exchange.was_not_written();
                    self.errors.count();
                    tracing::debug!(%error, "what is in flight can't be noted in the spool");
                }
            }
        }
    }

    /// Appends what earlier processes had not ended to the records. Blocks.
    pub(super) fn book_leftovers(&self) {
        let leftovers = std::mem::take(&mut *self.exchanges.leftovers.lock());
        for mut leftover in leftovers {
            match self.book(&mut leftover) {
                Ok(true) => {}
                Ok(false) => self.exchanges.leftovers.lock().push(leftover),
                Err(error) => {
                    let path = leftover.path.display();
                    tracing::error!(%path, %error, "what an earlier process left unfinished can't be read");
                }
            }
        }
    }

    /// Returns whether it is done; if not, it is to be tried again.
    fn book(&self, leftover: &mut Leftover) -> std::io::Result<bool> {
        let path = &leftover.path;
        if !leftover.is_appended {
            if self.would_skip() {
                return Ok(false);
            }
            let keys = self.keys.lock().clone();
            let Some(records) = lines::read(path, &keys)? else {
                tracing::error!(path = %path.display(), "requests that an earlier process did not end were sealed for another gateway key, which this replica's does not replace; docs/operating.md says what to do");
                self.aside.keep_file(path)?;
                return Ok(true);
            };
            let count = records.len() as u64;
            for record in records {
                // Nobody waits for it, and it is flushed below.
                let _ = self.put_encoded(Holder::default(), |frame| frame.extend_from_slice(record.bytes()));
            }
            leftover.is_appended = true;
            self.interrupted.add(count);
            if count > 0 {
                tracing::warn!(
                    records = count,
                    "requests were cut off when an earlier process ended; they are recorded as interrupted"
                );
            }
        }
        // Until they are as safe as records are, the lines are kept.
        if !self.flush() {
            return Ok(false);
        }
        std::fs::remove_file(&leftover.path)?;
        Ok(true)
    }
}
