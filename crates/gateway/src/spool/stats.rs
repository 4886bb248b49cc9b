//! The spool's numbers, for the metrics.

use super::{Full, Spool};
use lychgate_telemetry::metrics::labels::NoRoom;
use std::sync::atomic::Ordering;

/// A spool in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Records not acknowledged yet.
    pub(crate) records: u64,
    /// The bytes that they take on disk.
    pub(crate) bytes: u64,
    /// The number of bytes from which on there is no room.
    pub(crate) limit: u64,
    /// Records appended by this process.
    pub(crate) appended: u64,
    /// Requests recorded by this process that an earlier one did not end.
    pub(crate) interrupted: u64,
    /// Disk failures.
    pub(crate) errors: u64,
    pub(crate) no_room: Option<NoRoom>,
}

impl Spool {
    pub(crate) fn stats(&self) -> Stats {
        let appended = self.appended.load(Ordering::Acquire);
        Stats {
            records: self.depth(),
            bytes: self.bytes.load(Ordering::Acquire),
            limit: self.limit,
            appended: appended.saturating_sub(self.inherited),
            interrupted: self.interrupted.get(),
            errors: self.errors.get(),
            no_room: match self.room() {
                Ok(()) => None,
                Err(Full::Disk(_)) => Some(NoRoom::Disk),
                Err(Full::Records | Full::Share) => Some(NoRoom::Full),
            },
        }
    }
}
