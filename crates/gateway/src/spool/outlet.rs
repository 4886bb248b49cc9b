//! The way out: records are read from disk, and leave it when they are acknowledged. All of it blocks, and all of it is for one
//! caller, delivery.

use super::Spool;
use super::cursor::Position;
use super::reader::{Batch, Lost, Most, Place};
use std::io;
use std::sync::atomic::Ordering;

impl Spool {
    /// Where reading begins: behind all that an earlier run saw acknowledged.
    pub(crate) const fn begin(&self) -> Position {
        self.begin
    }

    /// Reads on from a place. What can't be read is set aside, and told.
    pub(crate) fn read(&self, from: Position, most: Most) -> io::Result<Batch> {
        let keys = self.keys.lock().clone();
        let end = self.end();
        let batch = {
            let mut reader = self.reader.lock();
            reader.read(&keys, from, end, most)?
        };
        for lost in &batch.lost {
            match *lost {
                Lost::Piece(place, why) => self.set_aside(place, why),
                Lost::Segment(sequence, why) => self.set_segment_aside(sequence, end, why),
            }
        }
        Ok(batch)
    }

    /// Keeps a record, or a piece that should be one, out of the way. The caller goes on behind it.
    pub(crate) fn set_aside(&self, place: Place, why: &str) {
        let (segment, offset) = (place.begin.sequence, place.begin.offset);
        match self.aside.keep_piece(&self.directory, place) {
            Ok(true) => tracing::error!(why, segment, offset, bytes = place.length, "a record is set aside"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(why, segment, offset, %error, "a record is lost: it can't even be set aside");
            }
        }
    }

    /// Gives a segment up that the disk does not give back. Gives where reading goes on.
    pub(crate) fn pass_over(&self, from: Position) -> Position {
        self.set_segment_aside(from.sequence, self.end(), "the disk does not give it back");
        Position {
            sequence: from.sequence.saturating_add(1),
            offset: 0,
            ordinal: from.ordinal,
        }
    }

    fn set_segment_aside(&self, sequence: u64, end: Position, why: &str) {
        if sequence == end.sequence {
            // It grows still: what comes now must not go into a file that nobody reads.
            self.writer().journal.close();
        }
        match self.aside.keep_segment(&self.directory, sequence) {
            Ok(()) => tracing::error!(why, sequence, "a segment of the spool is set aside"),
            Err(error) => tracing::error!(why, sequence, %error, "a segment of the spool can't be read or set aside"),
        }
    }

    /// Everything before this place is done with, for ever.
    pub(crate) fn acknowledge(&self, to: Position) {
        if let Err(error) = self.cursor.store(to) {
            tracing::warn!(%error, "the spool's cursor can't be written; records may be delivered once more after a restart");
        }
        let done = {
            let mut writer = self.writer();
            let done = writer.journal.forget_before(to.sequence);
            self.bytes.store(writer.journal.bytes_behind(to), Ordering::Release);
            self.acknowledged.store(to.ordinal, Ordering::Release);
            done
        };
        for path in done {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a segment that is done with can't be deleted");
                }
                _ => {}
            }
        }
        if self.depth() == 0 {
            self.emptied.notify_waiters();
        }
    }
}
