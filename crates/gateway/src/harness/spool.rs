//! The spool by itself, for `bench/` to measure. Not used by the product.

use crate::spool::disk::SystemDisk;
use crate::spool::{BatchLimits, Position, Spool, SpoolError, SpoolOptions};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::SpoolKey;
use lychgate_types::{Ambient, Holder};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// A spool that nobody flushes or delivers.
#[derive(Debug, Clone)]
pub struct Appender {
    spool: Arc<Spool>,
    /// After what is acknowledged.
    position: Arc<Mutex<Position>>,
}

impl Appender {
    /// Opens the directory, with a key of its own.
    ///
    /// # Errors
    /// Those of any spool.
    pub fn open(options: &SpoolOptions) -> Result<Self, SpoolError> {
        Self::sealing_with(options, &SpoolKey::from_bytes([7; 32]))
    }

    /// Opens the directory, with the key of the replicas that read it later.
    ///
    /// # Errors
    /// Those of any spool.
    pub fn sealing_with(options: &SpoolOptions, key: &SpoolKey) -> Result<Self, SpoolError> {
        let spool = Spool::open(options, &Ambient::system(), Arc::new(SystemDisk))?;
        spool.set_keys(&key.clone().into());
        Ok(Self {
            position: Arc::new(Mutex::new(spool.begin())),
            spool,
        })
    }

    /// What the end of an exchange costs: room reserved and filled. False if there was none.
    pub fn append(&self, record: InterceptionRecord) -> bool {
        match self.spool.reserve(Holder::default()) {
            Ok(slot) => slot.fill(record).is_none(),
            Err(_) => false,
        }
    }

    /// Number of unacknowledged records.
    pub fn depth(&self) -> u64 {
        self.spool.depth()
    }

    /// Reads all records in batches of this many, and acknowledges each batch. Returns their size in bytes.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn empty(&self, batch: usize) -> io::Result<usize> {
        let limits = BatchLimits {
            records: batch,
            bytes: usize::MAX,
        };
        let mut position = self.position.lock();
        let mut bytes = 0;
        while self.spool.depth() > 0 {
            let batch = self.spool.read(*position, limits)?;
            bytes += batch
                .entries
                .iter()
                .map(|entry| entry.record.bytes().len())
                .sum::<usize>();
            *position = batch.end;
            self.spool.acknowledge(*position);
        }
        Ok(bytes)
    }
}
