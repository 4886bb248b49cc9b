//! The spool by itself, for the bench to measure. No role of the product uses it.

use crate::spool::SpoolOptions;
use crate::spool::disk::SystemDisk;
use crate::spool::{Most, Position, Spool, SpoolError};
use lychgate_types::Ambient;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::SpoolKey;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// A spool with a key of its own, that nobody keeps or delivers.
#[derive(Debug, Clone)]
pub struct Appender {
    spool: Arc<Spool>,
    /// Behind what is acknowledged.
    place: Arc<Mutex<Position>>,
}

impl Appender {
    /// Takes the directory over.
    ///
    /// # Errors
    /// Those of any spool.
    pub fn open(options: &SpoolOptions) -> Result<Self, SpoolError> {
        Self::sealing_with(options, &SpoolKey::from_bytes([7; 32]))
    }

    /// Takes the directory over, for replicas that are given this key.
    ///
    /// # Errors
    /// Those of any spool.
    pub fn sealing_with(options: &SpoolOptions, key: &SpoolKey) -> Result<Self, SpoolError> {
        let spool = Spool::open(options, &Ambient::system(), Arc::new(SystemDisk))?;
        spool.set_key(key);
        Ok(Self {
            place: Arc::new(Mutex::new(spool.begin())),
            spool,
        })
    }

    /// What the end of an exchange costs: a place taken and filled. False when there was no room.
    pub fn append(&self, record: InterceptionRecord) -> bool {
        match self.spool.reserve() {
            Ok(slot) => slot.fill(record).is_none(),
            Err(_) => false,
        }
    }

    /// Records not acknowledged.
    pub fn depth(&self) -> u64 {
        self.spool.depth()
    }

    /// Reads all records back in batches of so many, and acknowledges each batch. Gives how many bytes they were.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn empty(&self, batch: usize) -> io::Result<usize> {
        let most = Most {
            records: batch,
            bytes: usize::MAX,
        };
        let mut place = self.place.lock();
        let mut bytes = 0;
        while self.spool.depth() > 0 {
            let batch = self.spool.read(*place, most)?;
            bytes += batch
                .entries
                .iter()
                .map(|entry| entry.record.bytes().len())
                .sum::<usize>();
            *place = batch.end;
            self.spool.acknowledge(*place);
        }
        Ok(bytes)
    }
}
