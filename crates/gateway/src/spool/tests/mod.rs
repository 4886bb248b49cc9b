//! The spool as a whole: what is written is read, whatever happens in between.

mod damage;
mod full;
mod restart;
mod sync;
mod unfinished;

use super::disk::{Disk, Log, SystemDisk};
use super::{BatchLimits, Position, Spool};
use crate::spool::SpoolOptions;
use crate::testing::record;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::SpoolKey;
use lychgate_types::{Ambient, Holder};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(super) const ALL: BatchLimits = BatchLimits {
    records: usize::MAX,
    bytes: usize::MAX,
};

pub(super) fn key(number: u8) -> SpoolKey {
    SpoolKey::from_bytes([number; 32])
}

pub(super) fn named(model: impl Into<String>) -> InterceptionRecord {
    InterceptionRecord {
        model: model.into(),
        ..record()
    }
}

pub(super) fn open_with(options: &SpoolOptions, disk: Arc<dyn Disk>) -> Arc<Spool> {
    let spool = Spool::open(options, &Ambient::system(), disk).unwrap();
    spool.set_keys(&key(1).into());
    spool
}

pub(super) fn open(directory: &Path) -> Arc<Spool> {
    open_with(&SpoolOptions::new(directory), Arc::new(SystemDisk))
}

pub(super) fn append(spool: &Arc<Spool>, model: impl Into<String>) {
    assert!(
        spool.reserve(Holder::default()).unwrap().fill(named(model)).is_none(),
        "there is nothing to wait for"
    );
}

/// The models of all records after a position, and the position after them.
pub(super) fn read(spool: &Spool, from: Position) -> (Vec<String>, Position) {
    let batch = spool.read(from, ALL).unwrap();
    let models = batch.entries.iter().map(|entry| entry.record.decode().unwrap().model);
    (models.collect(), batch.end)
}

pub(super) fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".segment"))
        .collect();
    names.sort();
    names
}

/// A disk that logs its operations, and fails when told to.
#[derive(Debug, Clone, Default)]
pub(super) struct Scripted(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) operations: Vec<&'static str>,
    /// Bytes that it accepts before it is full.
    pub(super) room: Option<usize>,
    pub(super) fails_to_sync: bool,
}

#[derive(Debug)]
struct ScriptedLog(Arc<dyn Log>, Scripted);

impl Scripted {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    pub(super) fn operations(&self) -> Vec<&'static str> {
        self.with(|script| std::mem::take(&mut script.operations))
    }
}

impl Disk for Scripted {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        self.with(|script| script.operations.push("create"));
        Ok(Arc::new(ScriptedLog(SystemDisk.create(path)?, self.clone())))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        self.with(|script| script.operations.push("open"));
        Ok(Arc::new(ScriptedLog(SystemDisk.open(path)?, self.clone())))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.with(|script| script.operations.push("sync directory"));
        SystemDisk.sync_directory(path)
    }
}

impl Log for ScriptedLog {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let accepted = self.1.with(|script| {
            script.operations.push("write");
            let accepted = script.room.unwrap_or(usize::MAX).min(bytes.len());
            script.room = script.room.map(|room| room - accepted);
            accepted
        });
        match accepted {
            0 => Err(io::ErrorKind::StorageFull.into()),
            accepted => self.0.write_at(&bytes[..accepted], offset),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        let fails = self.1.with(|script| {
            script.operations.push("sync");
            script.fails_to_sync
        });
        if fails {
            Err(io::Error::other("a scripted failure"))
        } else {
            self.0.sync()
        }
    }
}
