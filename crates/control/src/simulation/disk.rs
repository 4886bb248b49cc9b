//! The disk of one replica: real files, of which it is known what would survive a power failure, and which can be full or fail
//! to sync.

use super::rng::Rng;
use lychgate_gateway::harness::simulated::{Disk, Log};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// The bytes before a segment's first record, and those of the shortest record.
const HEADER: usize = 128;
const FRAME: usize = 100;

/// Remains when the replica's process ends.
#[derive(Debug, Clone)]
pub(super) struct SimulatedDisk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rng: Arc<Rng>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Known>,
    trouble: Trouble,
    last: Option<Spot>,
    /// The file that is being appended to.
    newest: Option<PathBuf>,
    /// Whether a fragment of a record may be in an unexpected place.
    is_damaged: bool,
}

/// The failure at present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Trouble {
    #[default]
    None,
    /// Nothing can be written, and perhaps nothing truncated.
    Full,
    /// Nothing can be synced.
    Unsynced,
}

#[derive(Debug, Default)]
struct Known {
    length: u64,
    synced: u64,
    /// Whether its directory entry would survive.
    named: bool,
}

/// The end of the last write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    path: PathBuf,
    end: u64,
}

impl SimulatedDisk {
    pub(super) fn new(rng: Arc<Rng>) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Shared { rng, state }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub(super) fn trouble(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    pub(super) fn is_well(&self) -> bool {
        self.state().trouble == Trouble::None
    }

    /// What was written completely since the last call, if anything was.
    pub(super) fn take_last(&self) -> Option<Spot> {
        self.state().last.take()
    }

    /// Whether everything before this would survive a power failure.
    pub(super) fn is_safe(&self, spot: &Spot) -> bool {
        let state = self.state();
        // A file that no longer exists was acknowledged.
        let gone = !spot.path.exists();
        gone || state
            .files
            .get(&spot.path)
            .is_some_and(|known| known.named && known.synced >= spot.end)
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.state().is_damaged
    }

    /// Appends the beginning of another record, as a process does that ends in the middle of a write.
    pub(super) fn tear(&self) {
        let mut state = self.state();
        let Some(path) = state.newest.clone().filter(|path| path.exists()) else {
            return;
        };
        let bytes = std::fs::read(&path).unwrap();
        // Less than the shortest record looks like any other truncated record.
        if let Some(first) = bytes.get(HEADER..HEADER + FRAME) {
            let most = self.0.rng.index(FRAME);
            let file = OpenOptions::new().append(true).open(&path).unwrap();
            (&file).write_all(&first[..most]).unwrap();
            if let Some(known) = state.files.get_mut(&path) {
                known.length += most as u64;
            }
        }
    }

    /// Does what a power failure does: some or all of what was not synced is lost.
    pub(super) fn lose_power(&self) {
        let rng = &self.0.rng;
        let mut state = self.state();
        state.last = None;
        for (path, known) in std::mem::take(&mut state.files) {
            let Ok(length) = std::fs::metadata(&path).map(|data| data.len()) else {
                continue;
            };
            if !known.named && rng.percent(50) {
                std::fs::remove_file(&path).unwrap();
                continue;
            }
            let loose = length.saturating_sub(known.synced);
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            if loose > 0 {
                let at = known.synced + rng.below(loose + 1);
                match rng.below(4) {
                    // Blocks reach the disk in any order, so zeros may come before what was written.
                    0 if at < length => {
                        let zeros = rng.between(1, length - at);
                        let zeros = vec![0; usize::try_from(zeros).unwrap()];
                        file.write_all_at(&zeros, at).unwrap();
                        state.is_damaged = true;
                    }
                    1 => {}
                    _ => {
                        file.set_len(at).unwrap();
                        state.is_damaged = true;
                    }
                }
            }
            // What is there now stays.
            let length = file.metadata().unwrap().len();
            let known = Known {
                length,
                synced: length,
                named: true,
            };
            state.files.insert(path, known);
        }
    }
}

impl Disk for SimulatedDisk {
    fn is_slow(&self) -> bool {
        // Everything is done by the caller, so that nothing happens concurrently.
        false
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        if self.state().trouble == Trouble::Full && self.0.rng.percent(80) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut state = self.state();
        state.files.insert(path.to_owned(), Known::default());
        state.newest = Some(path.to_owned());
        drop(state);
        Ok(Arc::new(SimulatedLog {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        Ok(Arc::new(SimulatedLog {
            disk: self.clone(),
            path: path.to_owned(),
            file: OpenOptions::new().write(true).open(path)?,
        }))
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.trouble != Trouble::None {
            return Err(io::Error::other("not synced"));
        }
        state.files.values_mut().for_each(|known| known.named = true);
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedLog {
    disk: SimulatedDisk,
    path: PathBuf,
    file: File,
}

impl Log for SimulatedLog {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let rng = &self.disk.0.rng;
        let mut state = self.disk.state();
        let full = state.trouble == Trouble::Full;
        let most = match (full, rng.percent(5)) {
            // Some of it may fit.
            (true, _) => rng.index(bytes.len().min(200)),
            (false, true) => 1 + rng.index(bytes.len()),
            (false, false) => bytes.len(),
        };
        self.file.write_all_at(&bytes[..most], offset)?;
        let end = offset + most as u64;
        if let Some(known) = state.files.get_mut(&self.path) {
            known.length = known.length.max(end);
        }
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if most == bytes.len() {
            let path = self.path.clone();
            state.last = Some(Spot { path, end });
        }
        Ok(most)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        if !self.disk.is_well() && self.disk.0.rng.percent(30) {
            self.disk.state().is_damaged = true;
            return Err(io::Error::other("not cut"));
        }
        self.file.set_len(length)?;
        if let Some(known) = self.disk.state().files.get_mut(&self.path) {
            known.length = length;
            known.synced = known.synced.min(length);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.trouble != Trouble::None {
            return Err(io::Error::other("not synced"));
        }
        if let Some(known) = state.files.get_mut(&self.path) {
            // It may have been truncated in the meantime.
            known.length = self.file.metadata()?.len();
            known.synced = known.length;
        }
        Ok(())
    }
}
