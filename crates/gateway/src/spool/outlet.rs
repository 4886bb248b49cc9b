//! The way out: records are read from disk, and removed once they are acknowledged. All of it blocks, and all of it is for one
//! caller, delivery.

use super::cursor::Position;
use super::reader::{Batch, BatchLimits, Lost, Place};
use super::{Spool, segment, shares};
use std::io;
use std::sync::atomic::Ordering;

impl Spool {
    /// Where reading begins: after everything acknowledged in an earlier run.
    pub(crate) const fn begin(&self) -> Position {
        self.begin
    }

    /// Reads on from a position. What can't be read is set aside, and logged.
    pub(crate) fn read(&self, from: Position, limits: BatchLimits) -> io::Result<Batch> {
        let keys = self.keys.lock().clone();
        let end = self.end();
        let batch = self.reader.lock().read(&keys, from, end, limits)?;
        for lost in &batch.lost {
            match *lost {
                Lost::Piece(place, why) => self.set_aside(place, why),
                Lost::Segment(sequence, why) => self.set_segment_aside(sequence, end, why),
            }
        }
        Ok(batch)
    }

    /// Copies a record, or a piece of a segment that should be one, to where nothing reads it again. The caller skips it.
    pub(crate) fn set_aside(&self, place: Place, why: &str) {
        let (segment, offset) = (place.begin.sequence, place.begin.offset);
        match self.aside.keep_piece(&self.directory, place) {
            Ok(true) => {
                tracing::error!(
                    reason = why,
                    segment,
                    offset,
                    bytes = place.length,
                    "a record is set aside"
                );
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(reason = why, segment, offset, %error, "a record is lost: it can't even be set aside");
            }
        }
    }

    /// Gives up a segment that the disk fails to read. Returns where reading goes on.
    pub(crate) fn skip_segment(&self, from: Position) -> Position {
        self.set_segment_aside(from.sequence, self.end(), "the disk fails to read it");
        Position {
            sequence: from.sequence.saturating_add(1),
            offset: 0,
            ordinal: from.ordinal,
        }
    }

    fn set_segment_aside(&self, sequence: u64, end: Position, why: &str) {
        if sequence == end.sequence {
            // It is still being written: further records must not go into a file that nobody reads.
            self.writer.lock().journal.close();
        }
        match self.aside.keep_segment(&self.directory, sequence) {
            Ok(()) => tracing::error!(reason = why, sequence, "a segment of the spool is set aside"),
            Err(error) => {
                tracing::error!(reason = why, sequence, %error, "a segment of the spool can't be read or set aside");
            }
        }
    }

    /// Everything before this position is settled, and may be deleted.
    pub(crate) fn acknowledge(&self, to: Position) {
        if let Err(error) = self.cursor.store(to) {
            tracing::warn!(%error, "the spool's cursor can't be written; records may be delivered again after a restart");
        }
        let removed = {
            let mut writer = self.writer.lock();
            let removed = writer.journal.remove_before(to.sequence);
            self.bytes.store(writer.journal.bytes_after(to), Ordering::Release);
            self.acknowledged.store(to.ordinal, Ordering::Release);
            removed
        };
        for sequence in removed {
            let counted_from = self.writer.lock().shares.from;
            let gone = shares::tally(&self.directory, sequence, counted_from);
            self.writer.lock().shares.take_off(gone);
            let path = segment::path(&self.directory, sequence);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a delivered segment can't be deleted");
                }
                _ => {}
            }
        }
        let mut writer = self.writer.lock();
        if writer.journal.end() == to {
            writer.shares.begin(to);
        }
        drop(writer);
        if self.depth() == 0 {
            self.emptied.notify_waiters();
        }
    }
}
