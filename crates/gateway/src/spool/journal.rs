//! The writing end: frames behind frames, in segments of a bounded length.
//!
//! A frame is one write. What a failed write left behind is cut, or else overlooked by the reader: the segment is closed, and
//! the next frame opens another. Each run begins with a segment of its own, so no nonce is used twice.
//!
//! Not here: sealing (`seal`), reading (`reader`), and when to sync.

use super::cursor::Position;
use super::disk::{Disk, Log, write_all_at};
use super::frame::{self, Read};
use super::seal::{KeyId, Run};
use super::segment::{self, HEADER, Header};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The segments of one directory, the last of which grows.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    run: Run,
    /// Length from which on a segment is closed.
    segment_bytes: u64,
    /// The next segment's number.
    next: u64,
    /// Records put in so far, since there was a spool.
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

/// What a loss of power would take.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// Segments with frames that are not synced.
    pub(super) logs: Vec<Arc<dyn Log>>,
    /// Whether there are segments whose names are not synced.
    pub(super) names: bool,
}

impl Journal {
    /// Takes a directory over. `from` is where reading goes on, if that is known; what it has left behind is deleted. Gives
    /// where reading begins.
    pub(super) fn open(
        directory: &Path,
        disk: Arc<dyn Disk>,
        run: Run,
        segment_bytes: u64,
        from: Option<Position>,
    ) -> io::Result<(Self, Position)> {
        let mut found = segment::list(directory)?;
        let begin = from.unwrap_or_default();
        found.retain(|(sequence, _)| *sequence >= begin.sequence || !remove(directory, *sequence));
        if let Some((sequence, length)) = found.last_mut() {
            *length = cut_torn_tail(&segment::path(directory, *sequence), *length)?;
            // All of it is acknowledged.
            if found.len() == 1 && found[0].0 == begin.sequence && begin.offset >= found[0].1 {
                remove(directory, begin.sequence);
                found.clear();
            }
        }
        let (first, ordinal) = count(directory, &found, begin.ordinal)?;
        let newest = found
            .last()
            .map_or(begin.sequence, |(sequence, _)| begin.sequence.max(*sequence));
        // The run before may have ended before it synced them.
        let logs = found
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
            run,
            segment_bytes,
            next: newest.saturating_add(1),
            ordinal,
            closed: found
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
                ordinal: first,
            },
        };
        Ok((journal, begin))
    }

    /// Puts a frame behind all others.
    pub(super) fn append(&mut self, key: KeyId, frame: &[u8]) -> io::Result<()> {
        let fits = |active: &Active| {
            let full = active.length.saturating_add(frame.len() as u64) > self.segment_bytes;
            active.key == key && !(full && active.length > HEADER as u64)
        };
        if !self.active.as_ref().is_some_and(fits) {
            self.close();
            self.active = Some(self.begin(key)?);
        }
        let Some(active) = &mut self.active else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = write_all_at(&*active.log, frame, active.length) {
            // Another file may have room where this one has none; where nothing has, the cut fails as well.
            let _ = active.log.cut(active.length);
            self.close();
            return Err(error);
        }
        active.length += frame.len() as u64;
        active.dirty = true;
        self.ordinal += 1;
        Ok(())
    }

    /// Opens the next segment.
    fn begin(&mut self, key: KeyId) -> io::Result<Active> {
        let (path, log) = loop {
            let path = segment::path(&self.directory, self.next);
            match self.disk.create(&path) {
                Ok(log) => break (path, log),
                // Nothing is ever written over.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.next < u64::MAX => self.next += 1,
                Err(error) => return Err(error),
            }
        };
        let header = Header {
            run: self.run,
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

    /// Nothing more comes into the segment that grows now.
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

    /// The place behind the last frame.
    pub(super) fn end(&self) -> Position {
        Position {
            sequence: self.active.as_ref().map_or(self.next, |active| active.sequence),
            offset: self.active.as_ref().map_or(0, |active| active.length),
            ordinal: self.ordinal,
        }
    }

    /// Bytes behind a place.
    pub(super) fn bytes_behind(&self, place: Position) -> u64 {
        let closed = self.closed.iter().map(|closed| (closed.sequence, closed.length));
        let active = self.active.iter().map(|active| (active.sequence, active.length));
        let all: u64 = closed
            .chain(active)
            .filter(|(sequence, _)| *sequence >= place.sequence)
            .map(|(sequence, length)| {
                let passed = if sequence == place.sequence { place.offset } else { 0 };
                length.saturating_sub(passed)
            })
            .sum();
        all
    }

    /// Takes the segments before this one off the books; gives their files.
    pub(super) fn forget_before(&mut self, sequence: u64) -> Vec<PathBuf> {
        let gone = self.closed.partition_point(|closed| closed.sequence < sequence);
        self.closed
            .drain(..gone)
            .map(|closed| segment::path(&self.directory, closed.sequence))
            .collect()
    }

    /// What there is to sync; from now on the caller's task.
    pub(super) fn take_unsynced(&mut self) -> Unsynced {
        let mut unsynced = std::mem::take(&mut self.unsynced);
        if let Some(active) = self.active.as_mut().filter(|active| active.dirty) {
            active.dirty = false;
            unsynced.logs.push(Arc::clone(&active.log));
        }
        unsynced
    }
}

/// Deletes a segment that is done with; one that stays is read once more.
fn remove(directory: &Path, sequence: u64) -> bool {
    let path = segment::path(directory, sequence);
    match std::fs::remove_file(&path) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a segment of the spool that is done with can't be deleted");
            false
        }
    }
}

/// Cuts off a frame that the end of its process cut short. What looks otherwise is left for the reader to judge.
fn cut_torn_tail(path: &Path, length: u64) -> io::Result<u64> {
    let bytes = read(path)?;
    let good = frames(&bytes).last().map_or(HEADER, |(_, end)| end);
    let Some(tail) = bytes.get(good..).filter(|tail| !tail.is_empty()) else {
        return Ok(length);
    };
    // A loss of power may leave zeros where something was about to be written.
    let torn = matches!(frame::read(tail), Read::Short(_)) || tail.iter().all(|byte| *byte == 0);
    if torn {
        File::options().write(true).open(path)?.set_len(good as u64)?;
        tracing::info!(path = %path.display(), bytes = tail.len(), "cut off a record that was not wholly written");
        return Ok(good as u64);
    }
    Ok(length)
}

/// The ordinals before the first segment and behind the last. A segment whose header is damaged is counted through.
fn count(directory: &Path, found: &[(u64, u64)], known: u64) -> io::Result<(u64, u64)> {
    let mut behind = 0u64;
    for (sequence, _) in found.iter().rev() {
        let bytes = read(&segment::path(directory, *sequence))?;
        behind = behind.saturating_add(frames(&bytes).count() as u64);
        if let Some(header) = Header::decode(&bytes) {
            let first = match found.first() {
                Some((oldest, _)) if oldest != sequence => head(&segment::path(directory, *oldest))?,
                _ => Some(header.ordinal),
            };
            let end = header.ordinal.saturating_add(behind);
            return Ok((first.unwrap_or(known).min(end), end.max(known)));
        }
    }
    Ok((known, known.saturating_add(behind)))
}

fn head(path: &Path) -> io::Result<Option<u64>> {
    let mut bytes = Vec::with_capacity(HEADER);
    File::open(path)?.take(HEADER as u64).read_to_end(&mut bytes)?;
    Ok(Header::decode(&bytes).map(|header| header.ordinal))
}

/// One segment; the limits of segments and frames are the limit of this.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = (frame::HEAD + frame::MOST + super::SEGMENT_BYTES) as u64;
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the whole frames of a segment begin and end.
fn frames(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let begin = match frame::read(rest) {
            Read::Whole(_) => at,
            Read::Short(_) | Read::Bad => at + frame::next(rest)?,
        };
        let Read::Whole(length) = frame::read(&bytes[begin..]) else {
            return None;
        };
        at = begin + length;
        Some((begin, at))
    })
}
