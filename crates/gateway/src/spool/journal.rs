//! The writing end: frame after frame, in segments of bounded length.
//!
//! A frame is one write. If a write fails, what it left is cut off, or else skipped by the reader: the segment is closed, and
//! the next frame opens another. Each run begins with a segment of its own, so no nonce is used twice.
//!
//! Not here: sealing (`seal`), reading (`reader`), and when to sync (`flush`).

mod recover;

use super::cursor::Position;
use super::disk::{Disk, Log, write_all_at};
use super::seal::{KeyId, RunSalt};
use super::segment::{self, HEADER, Header};
use recover::recover;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The segments of one directory; the last one is being written.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    salt: RunSalt,
    /// Size at which a segment is closed.
    segment_bytes: u64,
    /// The next segment's number.
    next: u64,
    /// Records appended since the spool was created.
    ordinal: u64,
    closed: VecDeque<Closed>,
    active: Option<Active>,
    unsynced: Unsynced,
}

#[derive(Debug)]
struct Closed {
    sequence: u64,
    length: u64,
}

#[derive(Debug)]
struct Active {
    sequence: u64,
    length: u64,
    key: KeyId,
    log: Arc<dyn Log>,
    dirty: bool,
}

/// What a loss of power would destroy.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// Segments with frames that are not synced.
    pub(super) logs: Vec<Arc<dyn Log>>,
    /// Whether there are segments whose names are not synced.
    pub(super) names: bool,
}

impl Journal {
    /// Opens a directory. `from` is where reading goes on, if that is known; what is before it is deleted. Returns where reading
    /// begins.
    pub(super) fn open(
        directory: &Path,
        disk: Arc<dyn Disk>,
        salt: RunSalt,
        segment_bytes: u64,
        from: Option<Position>,
    ) -> io::Result<(Self, Position)> {
        let recovered = recover(directory, from.unwrap_or_default())?;
        // The previous run may have ended before it synced them.
        let logs = recovered
            .segments
            .iter()
            .map(|(sequence, _)| disk.open(&segment::path(directory, *sequence)))
            .collect::<io::Result<Vec<_>>>()?;
        let unsynced = Unsynced {
            names: !logs.is_empty(),
            logs,
        };
        let journal = Self {
            directory: directory.to_owned(),
            disk,
            salt,
            segment_bytes,
            next: recovered.newest.saturating_add(1),
            ordinal: recovered.ordinal,
            closed: recovered
                .segments
                .into_iter()
                .map(|(sequence, length)| Closed { sequence, length })
                .collect(),
            active: None,
            unsynced,
        };
        let begin = match (from, journal.closed.front()) {
            (_, None) => journal.end(),
            (Some(begin), Some(oldest)) if begin.sequence == oldest.sequence => Position {
                offset: begin.offset.min(oldest.length),
                ..begin
            },
            (_, Some(oldest)) => Position {
                sequence: oldest.sequence,
                offset: 0,
                ordinal: recovered.first,
            },
        };
        Ok((journal, begin))
    }

    /// Appends a frame.
    pub(super) fn append(&mut self, key: KeyId, frame: &[u8]) -> io::Result<()> {
        let fits = |active: &Active| {
            let full = active.length.saturating_add(frame.len() as u64) > self.segment_bytes;
            active.key == key && !(full && active.length > HEADER as u64)
        };
        if !self.active.as_ref().is_some_and(fits) {
            self.close();
            self.active = Some(self.open_segment(key)?);
        }
        let Some(active) = &mut self.active else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = write_all_at(&*active.log, frame, active.length) {
            // The next segment may be writable where this one is not; if nothing is, truncating fails as well.
            let _ = active.log.truncate(active.length);
            self.close();
            return Err(error);
        }
        active.length += frame.len() as u64;
        active.dirty = true;
        self.ordinal += 1;
        Ok(())
    }

    /// Opens the next segment.
    fn open_segment(&mut self, key: KeyId) -> io::Result<Active> {
        let (path, log) = loop {
            let path = segment::path(&self.directory, self.next);
            match self.disk.create(&path) {
                Ok(log) => break (path, log),
                // Nothing is ever overwritten.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.next < u64::MAX => self.next += 1,
                Err(error) => return Err(error),
            }
        };
        let header = Header {
            salt: self.salt,
            key,
            ordinal: self.ordinal,
        };
        if let Err(error) = write_all_at(&*log, &header.encode(), 0) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let sequence = self.next;
        self.next = self.next.saturating_add(1);
        self.unsynced.names = true;
        Ok(Active {
            sequence,
            length: HEADER as u64,
            key,
            log,
            dirty: true,
        })
    }

    /// Closes the segment that is being written.
    pub(super) fn close(&mut self) {
        if let Some(active) = self.active.take() {
            if active.dirty {
                self.unsynced.logs.push(active.log);
            }
            self.closed.push_back(Closed {
                sequence: active.sequence,
                length: active.length,
            });
        }
    }

    /// The position after the last frame.
    pub(super) fn end(&self) -> Position {
        Position {
            sequence: self.active.as_ref().map_or(self.next, |active| active.sequence),
            offset: self.active.as_ref().map_or(0, |active| active.length),
            ordinal: self.ordinal,
        }
    }

    /// Bytes after a position.
    pub(super) fn bytes_after(&self, position: Position) -> u64 {
        let closed = self.closed.iter().map(|closed| (closed.sequence, closed.length));
        let active = self.active.iter().map(|active| (active.sequence, active.length));
        let all: u64 = closed
            .chain(active)
            .filter(|(sequence, _)| *sequence >= position.sequence)
            .map(|(sequence, length)| {
                let passed = if sequence == position.sequence {
                    position.offset
                } else {
                    0
                };
                length.saturating_sub(passed)
            })
            .sum();
        all
    }

    /// Forgets the segments before this one; returns their numbers, for the caller to delete them.
    pub(super) fn remove_before(&mut self, sequence: u64) -> Vec<u64> {
        let gone = self.closed.partition_point(|closed| closed.sequence < sequence);
        self.closed.drain(..gone).map(|closed| closed.sequence).collect()
    }

    /// The numbers of the closed segments.
    pub(super) fn segments(&self) -> impl Iterator<Item = u64> {
        self.closed.iter().map(|closed| closed.sequence)
    }

    /// Hands over what has to be synced.
    pub(super) fn take_unsynced(&mut self) -> Unsynced {
        let mut unsynced = std::mem::take(&mut self.unsynced);
        if let Some(active) = self.active.as_mut().filter(|active| active.dirty) {
            active.dirty = false;
            unsynced.logs.push(Arc::clone(&active.log));
        }
        unsynced
    }
}
