//! The spool as a whole: what goes in comes out, whatever happens in between.

mod damage;
mod full;
mod restart;
mod sync;

use super::disk::{Disk, Log, SystemDisk};
use super::{Most, Position, Spool};
use crate::exchange::recorder::tests::a_record;
use crate::spool::SpoolOptions;
use lychgate_types::Ambient;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::SpoolKey;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(super) const ALL: Most = Most {
    records: usize::MAX,
    bytes: usize::MAX,
};

pub(super) fn key(number: u8) -> SpoolKey {
    SpoolKey::from_bytes([number; 32])
}

pub(super) fn named(model: impl Into<String>) -> InterceptionRecord {
    InterceptionRecord {
        model: model.into(),
        ..a_record()
    }
}

pub(super) fn open_with(options: &SpoolOptions, disk: Arc<dyn Disk>) -> Arc<Spool> {
    let spool = Spool::open(options, &Ambient::system(), disk).unwrap();
    spool.set_key(&key(1));
    spool
}

pub(super) fn open(directory: &Path) -> Arc<Spool> {
    open_with(&SpoolOptions::new(directory), Arc::new(SystemDisk))
}

pub(super) fn put(spool: &Arc<Spool>, model: impl Into<String>) {
    assert!(
        spool.reserve().unwrap().fill(named(model)).is_none(),
        "nothing is to wait for"
    );
}

/// The models of all records behind a place, and the place behind them.
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

/// A disk that writes down what it is asked, and fails when it is told to.
#[derive(Debug, Clone, Default)]
pub(super) struct Scripted(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) asked: Vec<&'static str>,
    /// Bytes that it still takes, before it says that it is full.
    pub(super) room: Option<usize>,
    pub(super) fails_to_sync: bool,
}

#[derive(Debug)]
struct ScriptedLog(Arc<dyn Log>, Scripted);

impl Scripted {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    pub(super) fn asked(&self) -> Vec<&'static str> {
        self.with(|script| std::mem::take(&mut script.asked))
    }
}

impl Disk for Scripted {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        self.with(|script| script.asked.push("create"));
        Ok(Arc::new(ScriptedLog(SystemDisk.create(path)?, self.clone())))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        self.with(|script| script.asked.push("open"));
        Ok(Arc::new(ScriptedLog(SystemDisk.open(path)?, self.clone())))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.with(|script| script.asked.push("sync directory"));
        SystemDisk.sync_directory(path)
    }
}

impl Log for ScriptedLog {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let most = self.1.with(|script| {
            script.asked.push("write");
            let most = script.room.unwrap_or(usize::MAX).min(bytes.len());
            script.room = script.room.map(|room| room - most);
            most
        });
        match most {
            0 => Err(io::ErrorKind::StorageFull.into()),
            most => self.0.write_at(&bytes[..most], offset),
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.0.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        let fails = self.1.with(|script| {
            script.asked.push("sync");
            script.fails_to_sync
        });
        if fails {
            Err(io::Error::other("the test says so"))
        } else {
            self.0.sync()
        }
    }
}
