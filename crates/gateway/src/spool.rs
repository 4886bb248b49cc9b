//! Records on their way to the control plane, on disk until it has acknowledged them. A place is reserved before a request is
//! taken, so that no exchange ends without room for its record.
//!
//! Each record is sealed and written by one call to the system before its client can see the end of its answer, so it
//! survives the end of this process, however that comes; a sync every 100 ms, or before the end goes out, lets it survive a
//! loss of power. The files are segments of frames ([`segment`], [`frame`]), deleted once all in them is acknowledged.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held by the one process that uses the directory |
//! | `0000000000000001.segment`, … | sealed records |
//! | `cursor` | how far the control plane has acknowledged |
//! | `set-aside/` | what nobody can read or take, for an operator to look at |
//!
//! Why not a crate: logs and queues on crates.io either take the first damage for the end of the log (wal-db, walogs, okaywal)
//! or for a reason not to open it (open-wal), where a spool must lose what is damaged and nothing more; wal-db, the best of them,
//! also lets a write that was cut short hide whole ones behind it. Stores with an index (fjall, redb, SQLite) cost two to four
//! times as much for a queue that needs none. What is left to write ourselves is small.
//!
//! Not here: delivering (`deliver`), and what a record is (`meter`).

mod aside;
mod cursor;
mod directory;
pub(crate) mod disk;
mod figures;
mod frame;
mod intake;
mod journal;
mod keeper;
mod options;
mod outlet;
mod reader;
mod seal;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use cursor::Position;
pub use directory::SpoolError;
pub(crate) use intake::{Full, Slot};
pub(crate) use keeper::{keep, settle};
pub use options::{SpoolFull, SpoolOptions, SpoolSync};
pub(crate) use reader::{Batch, Entry, Most};

use arc_swap::ArcSwapOption;
use aside::Aside;
use cursor::Cursor;
use disk::Disk;
use journal::Journal;
use keeper::Kept;
use lychgate_telemetry::metrics::Counter;
use lychgate_types::Ambient;
use lychgate_types::secret::SpoolKey;
use parking_lot::{Mutex, MutexGuard};
use reader::Reader;
use seal::{KeyId, Run, Sealer};
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;

/// Length from which on a segment is closed, in a spool that is large enough for many.
const SEGMENT_BYTES: usize = 8 << 20;

/// The spool of one process.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    /// Bytes from which on it is full: with what comes from requests already taken, and segments of which a part is
    /// acknowledged, it stays under what the operator set.
    limit: u64,
    sync: SpoolSync,
    when_full: SpoolFull,
    run: Run,
    /// The next frame's number.
    number: AtomicU64,
    /// Seals what comes in; none before the first configuration.
    sealer: ArcSwapOption<Sealer>,
    /// All keys that this process was given, to open what was sealed before a change.
    keys: Mutex<Vec<(KeyId, SpoolKey)>>,
    writer: Mutex<Writer>,
    reader: Mutex<Reader>,
    cursor: Cursor,
    aside: Aside,
    /// Where reading begins in this run.
    begin: Position,
    /// Places given out and not yet filled.
    reserved: AtomicU64,
    /// Bytes on disk that are not acknowledged.
    bytes: AtomicU64,
    /// Records that were ever put in before this process.
    inherited: u64,
    /// Records ever put in, and ever acknowledged.
    put_in: AtomicU64,
    acknowledged: AtomicU64,
    /// Whether [`Writer::trouble`] is set.
    troubled: AtomicBool,
    /// Times that the disk did not take what it should.
    errors: Counter,
    /// Requests whose record was given up because there was no room.
    unrecorded: AtomicU64,
    /// There is more to read.
    filled: Notify,
    /// All is acknowledged.
    emptied: Notify,
    /// There is something to write or to sync.
    dirty: Notify,
    kept: watch::Sender<Kept>,
    held: File,
}

#[derive(Debug)]
struct Writer {
    journal: Journal,
    /// Frames that the disk did not take, in order; while there are any, all others queue behind them.
    unwritten: VecDeque<(KeyId, Vec<u8>)>,
    /// Why the disk does not take what it should.
    trouble: Option<Arc<str>>,
}

impl Spool {
    /// Takes the directory over, with what an earlier run has left in it.
    pub(crate) fn open(
        options: &SpoolOptions,
        ambient: &Ambient,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Self>, SpoolError> {
        let held = directory::take(&options.directory)?;
        let failed = |source| SpoolError::Directory {
            path: options.directory.clone(),
            source,
        };
        let segment_bytes = (options.max_bytes / 16).clamp(64 << 10, SEGMENT_BYTES as u64);
        let mut run = Run::default();
        ambient.fill(&mut run);
        let (cursor, stored) = Cursor::open(&options.directory).map_err(failed)?;
        let (journal, begin) =
            Journal::open(&options.directory, Arc::clone(&disk), run, segment_bytes, stored).map_err(failed)?;
        cursor.store(begin).map_err(failed)?;
        let end = journal.end();
        let bytes = journal.bytes_behind(begin);
        if bytes > 0 {
            let records = end.ordinal.saturating_sub(begin.ordinal);
            tracing::info!(records, bytes, "records of an earlier run wait in the spool");
        }
        let dirty = Notify::new();
        if bytes > 0 {
            dirty.notify_one();
        }
        Ok(Arc::new(Self {
            disk,
            limit: options.max_bytes.saturating_sub(2 * segment_bytes).max(1),
            sync: options.sync,
            when_full: options.when_full,
            run,
            number: AtomicU64::new(0),
            sealer: ArcSwapOption::empty(),
            keys: Mutex::default(),
            writer: Mutex::new(Writer {
                journal,
                unwritten: VecDeque::new(),
                trouble: None,
            }),
            reader: Mutex::new(Reader::new(&options.directory)),
            cursor,
            aside: Aside::open(&options.directory).map_err(failed)?,
            begin,
            reserved: AtomicU64::new(0),
            bytes: AtomicU64::new(bytes),
            inherited: end.ordinal,
            put_in: AtomicU64::new(end.ordinal),
            acknowledged: AtomicU64::new(begin.ordinal),
            troubled: AtomicBool::new(false),
            errors: Counter::default(),
            unrecorded: AtomicU64::new(0),
            filled: Notify::new(),
            emptied: Notify::new(),
            dirty,
            kept: watch::Sender::new(Kept::default()),
            directory: options.directory.clone(),
            held,
        }))
    }

    /// From now on seals with this key. Before the first one nothing can be put in or read.
    pub(crate) fn set_key(&self, key: &SpoolKey) {
        let Ok(sealer) = Sealer::new(key, &self.run) else {
            tracing::error!("the spool's key can't be used");
            return;
        };
        if self.sealer.load().as_ref().is_some_and(|now| now.id() == sealer.id()) {
            return;
        }
        let mut keys = self.keys.lock();
        if keys.iter().all(|(id, _)| *id != sealer.id()) {
            keys.push((sealer.id(), key.clone()));
        }
        drop(keys);
        self.sealer.store(Some(Arc::new(sealer)));
        self.filled.notify_one();
    }

    /// Records not yet acknowledged.
    pub(crate) fn depth(&self) -> u64 {
        let put_in = self.put_in.load(Ordering::Acquire);
        put_in.saturating_sub(self.acknowledged.load(Ordering::Acquire))
    }

    /// What lies aside: records, and pieces of segments that can't be read.
    pub(crate) fn set_aside_count(&self) -> u64 {
        self.aside.count()
    }

    /// Returns once there is something to read behind this place, and a key to read it with.
    pub(crate) async fn until_more(&self, place: Position) {
        // A permit is kept when nobody waits, so a record that comes in between is not missed.
        while self.sealer.load().is_none() || self.end() <= place {
            self.filled.notified().await;
        }
    }

    /// Returns once all is acknowledged.
    pub(crate) async fn until_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.depth() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Lets another process, or another gateway of this one, take the directory over.
    pub(crate) fn release(&self) {
        if let Err(error) = self.held.unlock() {
            tracing::warn!(%error, "the spool directory can't be given back");
        }
    }

    /// Does something that may have to wait for the disk, where that holds up nobody else; `None` only when the process ends.
    pub(crate) async fn off_the_runtime<T: Send + 'static>(
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
        self.writer().journal.end()
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }
}
