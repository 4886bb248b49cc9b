//! What the metrics tell of a spool.

use super::{Full, Spool};
use lychgate_telemetry::metrics::labels::NoRoom;
use std::sync::atomic::Ordering;

/// A spool in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Not acknowledged yet.
    pub(crate) records: u64,
    /// What they take on disk.
    pub(crate) bytes: u64,
    /// From which on there is no room.
    pub(crate) limit: u64,
    /// Put in by this process.
    pub(crate) appended: u64,
    /// Times that the disk failed.
    pub(crate) errors: u64,
    pub(crate) no_room: Option<NoRoom>,
}

impl Spool {
    pub(crate) fn figures(&self) -> Figures {
        let put_in = self.put_in.load(Ordering::Acquire);
        Figures {
            records: self.depth(),
            bytes: self.bytes.load(Ordering::Acquire),
            limit: self.limit,
            appended: put_in.saturating_sub(self.inherited),
            errors: self.errors.get(),
            no_room: match self.room() {
                Ok(()) => None,
                Err(Full::Disk(_)) => Some(NoRoom::Disk),
                Err(Full::Records | Full::Unconfigured) => Some(NoRoom::Full),
            },
        }
    }
}
