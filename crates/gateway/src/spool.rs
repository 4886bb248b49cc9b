//! The queue of records for the control plane, on disk until it has acknowledged them. Room is reserved before a request is
//! accepted, so that no exchange ends without room for its record.
//!
//! Each record is sealed and written with one system call before the client can see the end of its answer, so it survives
//! the end of this process, however that comes about; a sync every 100 ms, or before the end of the answer is sent, lets it
//! survive a loss of power. The files are segments of frames ([`segment`], [`frame`]), deleted once all their records are
//! acknowledged.
//!
//! | file | what |
//! |---|---|
//! | `lock` | locked by the one process that uses the directory |
//! | `0000000000000001.segment`, … | sealed records |
//! | `cursor` | how far the control plane has acknowledged |
//! | `0000000000000000.unfinished` | what is in flight, as it is to be recorded if the process ends |
//! | `set-aside/` | what can't be read or is not accepted, for an operator to look at |
//!
//! Why not a crate: logs and queues on crates.io treat the first damage either as the end of the log (wal-db, walogs, okaywal)
//! or as a reason not to open it (open-wal), while a spool must lose what is damaged and nothing else; wal-db, the best of
//! them, also lets an incomplete write hide complete ones after it. Stores with an index (fjall, redb, SQLite) cost two to four
//! times as much, for a queue that needs no index. What is left to write ourselves is small.
//!
//! Not here: delivery (`link::deliver`), and what a record says (`exchange::recorder`).

mod aside;
mod cursor;
mod directory;
pub(crate) mod disk;
mod flush;
mod frame;
mod intake;
mod journal;
mod options;
mod outlet;
mod reader;
mod reserved;
mod seal;
mod segment;
mod shares;
mod stats;
#[cfg(test)]
mod tests;
mod unfinished;

pub(crate) use cursor::Position;
pub use directory::SpoolError;
pub(crate) use flush::{flush, run_flusher};
pub(crate) use intake::{Full, Slot};
pub use options::{SpoolFull, SpoolOptions, SpoolSync};
pub(crate) use reader::{Batch, BatchLimits, Entry};
pub(crate) use unfinished::{Unfinished, run_unfinished};

use arc_swap::ArcSwapOption;
use aside::Aside;
use cursor::Cursor;
use disk::Disk;
use flush::DurableUpTo;
use journal::Journal;
use lychgate_telemetry::metrics::Counter;
use lychgate_types::secret::{SpoolKey, SpoolKeys};
use lychgate_types::{Ambient, InterceptionId, KeyTag};
use parking_lot::Mutex;
use reader::Reader;
use reserved::Reserved;
use seal::{KeyId, RunSalt, Sealer};
use shares::Shares;
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use unfinished::Exchanges;

/// Size at which a segment is closed, in a spool that is large enough for many.
const SEGMENT_BYTES: usize = 8 << 20;

/// The spool of one process.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    /// Bytes from which on it is full. This leaves room for the requests in flight and for partly acknowledged segments, so
    /// that the operator's limit is not exceeded.
    limit: u64,
    /// Bytes from which on there is no more room for one user: half of that.
    share: u64,
    sync: SpoolSync,
    when_full: SpoolFull,
    salt: RunSalt,
    /// The number of the next frame.
    number: AtomicU64,
    /// Seals new records; `None` before the first configuration.
    sealer: ArcSwapOption<Sealer>,
    /// What the ids of new records end in.
    id_tag: AtomicU32,
    /// All keys that this process has received, to open what was sealed before a change.
    keys: Mutex<Vec<(KeyId, SpoolKey)>>,
    writer: Mutex<Writer>,
    /// Held by who flushes.
    flushing: Mutex<()>,
    exchanges: Exchanges,
    reader: Mutex<Reader>,
    cursor: Cursor,
    aside: Aside,
    /// Where reading begins in this run.
    begin: Position,
    /// For slots not filled yet.
    reserved: Reserved,
    /// Unacknowledged bytes on disk.
    bytes: AtomicU64,
    /// Records appended before this process started, since the spool was created.
    inherited: u64,
    /// Records appended and acknowledged, since the spool was created.
    appended: AtomicU64,
    acknowledged: AtomicU64,
    /// Whether [`Writer::failure`] is set.
    failing: AtomicBool,
    /// Number of disk failures.
    errors: Counter,
    /// Requests that an earlier process did not end.
    interrupted: Counter,
    /// Requests that were not recorded for lack of room.
    unrecorded: AtomicU64,
    /// Signalled when there may be more to read.
    filled: Notify,
    /// Signalled when everything is acknowledged.
    emptied: Notify,
    /// Signalled when there is something to write or sync.
    dirty: Notify,
    durable: watch::Sender<DurableUpTo>,
    lock: File,
}

#[derive(Debug)]
struct Writer {
    journal: Journal,
    shares: Shares,
    /// Frames that the disk did not accept, in order; while there are any, new ones are queued behind them.
    unwritten: VecDeque<(KeyId, Vec<u8>)>,
    /// Why the disk fails.
    failure: Option<Arc<str>>,
}

impl Spool {
    /// Opens the directory, with what an earlier run has left in it.
    pub(crate) fn open(
        options: &SpoolOptions,
        ambient: &Ambient,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Self>, SpoolError> {
        let lock = directory::lock(&options.directory)?;
        let failed = |source| SpoolError::Directory {
            path: options.directory.clone(),
            source,
        };
        let segment_bytes = (options.max_bytes / 16).clamp(64 << 10, SEGMENT_BYTES as u64);
        let mut salt = RunSalt::default();
        ambient.fill(&mut salt);
        let (cursor, stored) = Cursor::open(&options.directory).map_err(failed)?;
        let (journal, begin) =
            Journal::open(&options.directory, Arc::clone(&disk), salt, segment_bytes, stored).map_err(failed)?;
        cursor.store(begin).map_err(failed)?;
        let shares = Shares::new(&options.directory, journal.segments(), begin);
        let limit = options.max_bytes.saturating_sub(2 * segment_bytes).max(1);
        let end = journal.end();
        let bytes = journal.bytes_after(begin);
        if bytes > 0 {
            let records = end.ordinal.saturating_sub(begin.ordinal);
            tracing::info!(records, bytes, "records of an earlier run are waiting in the spool");
        }
        let dirty = Notify::new();
        if bytes > 0 {
            dirty.notify_one();
        }
        Ok(Arc::new(Self {
            disk,
            limit,
            share: limit.div_ceil(2),
            sync: options.sync,
            when_full: options.when_full,
            salt,
            number: AtomicU64::new(0),
            sealer: ArcSwapOption::empty(),
            id_tag: AtomicU32::new(KeyTag::of(None).number()),
            keys: Mutex::default(),
            writer: Mutex::new(Writer {
                journal,
                shares,
                unwritten: VecDeque::new(),
                failure: None,
            }),
            flushing: Mutex::default(),
            exchanges: Exchanges::new(unfinished::leftovers(&options.directory).map_err(failed)?),
            reader: Mutex::new(Reader::new(&options.directory)),
            cursor,
            aside: Aside::open(&options.directory).map_err(failed)?,
            begin,
            reserved: Reserved::default(),
            bytes: AtomicU64::new(bytes),
            inherited: end.ordinal,
            appended: AtomicU64::new(end.ordinal),
            acknowledged: AtomicU64::new(begin.ordinal),
            failing: AtomicBool::new(false),
            errors: Counter::default(),
            interrupted: Counter::default(),
            unrecorded: AtomicU64::new(0),
            filled: Notify::new(),
            emptied: Notify::new(),
            dirty,
            durable: watch::Sender::new(DurableUpTo::default()),
            directory: options.directory.clone(),
            lock,
        }))
    }

    /// Seals with these keys' own from now on, and opens with all of them. Before the first keys, nothing can be written or read.
    pub(crate) fn set_keys(&self, spool_keys: &SpoolKeys) {
        let Ok(sealer) = Sealer::new(&spool_keys.own, &self.salt) else {
            tracing::error!("the spool key can't be used");
            return;
        };
        self.id_tag
            .store(KeyTag::of(spool_keys.gateway_key).number(), Ordering::Relaxed);
        let mut keys = self.keys.lock();
        for key in std::iter::once(&spool_keys.own).chain(&spool_keys.replaced) {
            let Ok(id) = Sealer::new(key, &self.salt).map(|sealer| sealer.id()) else {
                continue;
            };
            if keys.iter().all(|(known, _)| *known != id) {
                keys.push((id, key.clone()));
            }
        }
        drop(keys);
        if self.sealer.load().as_ref().is_some_and(|now| now.id() == sealer.id()) {
            return;
        }
        self.sealer.store(Some(Arc::new(sealer)));
        self.filled.notify_one();
    }

    /// The id of a new record: one of the gateway key whose replica this is.
    pub(crate) fn new_id(&self, ambient: &Ambient) -> InterceptionId {
        KeyTag::from_number(self.id_tag.load(Ordering::Relaxed)).new_id(ambient)
    }

    /// Number of unacknowledged records.
    pub(crate) fn depth(&self) -> u64 {
        let appended = self.appended.load(Ordering::Acquire);
        appended.saturating_sub(self.acknowledged.load(Ordering::Acquire))
    }

    /// Number of files set aside: records, and pieces of segments that can't be read.
    pub(crate) fn set_aside_count(&self) -> u64 {
        self.aside.count()
    }

    /// Returns once there is something to read after this position, and a key to read it with.
    pub(crate) async fn until_more(&self, position: Position) {
        // The permit is stored while nobody waits, so a record that comes in between is not missed.
        while self.sealer.load().is_none() || self.end() <= position {
            self.filled.notified().await;
        }
    }

    /// Returns once everything is acknowledged.
    pub(crate) async fn until_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.depth() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Lets another process, or another gateway in this one, use the directory.
    pub(crate) fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the spool directory can't be unlocked");
        }
    }

    /// Does work that may have to wait for the disk, away from the runtime's threads; `None` only when the process ends.
    pub(crate) async fn run_blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        if !self.disk.is_slow() {
            return Some(work(self));
        }
        let spool = Arc::clone(self);
        spawn_blocking(move || work(&spool)).await.ok()
    }

    fn end(&self) -> Position {
        self.writer.lock().journal.end()
    }
}
