//! Looks through the segments that an earlier run has left: deletes what is acknowledged, cuts off what was not completely
//! written, and counts the records.

use super::super::SEGMENT_BYTES;
use super::super::cursor::Position;
use super::super::frame::{self, Parsed};
use super::super::segment::{self, HEADER, Header};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What an earlier run has left.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The numbers and lengths of the segments, oldest first.
    pub(super) segments: Vec<(u64, u64)>,
    /// Records appended before the first segment.
    pub(super) first: u64,
    /// Records appended up to the end of the last one.
    pub(super) ordinal: u64,
    /// The highest number of a segment so far.
    pub(super) newest: u64,
}

/// Recovers a directory that has been acknowledged up to `begin`.
pub(super) fn recover(directory: &Path, begin: Position) -> io::Result<Recovered> {
    let mut segments = segment::list(directory)?;
    segments.retain(|(sequence, _)| *sequence >= begin.sequence || !remove(directory, *sequence));
    if let Some((sequence, length)) = segments.last_mut() {
        *length = cut_torn_tail(&segment::path(directory, *sequence), *length)?;
        // All of it is acknowledged.
        if segments.len() == 1 && segments[0].0 == begin.sequence && begin.offset >= segments[0].1 {
            remove(directory, begin.sequence);
            segments.clear();
        }
    }
    let (first, ordinal) = count(directory, &segments, begin.ordinal)?;
    let newest = segments
        .last()
        .map_or(begin.sequence, |(sequence, _)| begin.sequence.max(*sequence));
    Ok(Recovered {
        segments,
        first,
        ordinal,
        newest,
    })
}

/// Deletes an acknowledged segment; false if it remains, to be read again.
fn remove(directory: &Path, sequence: u64) -> bool {
    let path = segment::path(directory, sequence);
    match std::fs::remove_file(&path) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "an acknowledged segment of the spool can't be deleted");
            false
        }
    }
}

/// Cuts off a frame that was incomplete when its process ended. Other damage is left to the reader.
fn cut_torn_tail(path: &Path, length: u64) -> io::Result<u64> {
    let bytes = read(path)?;
    let good = frames(&bytes).last().map_or(HEADER, |(_, end)| end);
    let Some(tail) = bytes.get(good..).filter(|tail| !tail.is_empty()) else {
        return Ok(length);
    };
    // A loss of power may leave zeros where something was to be written.
    let torn = matches!(frame::parse(tail), Parsed::Incomplete(_)) || tail.iter().all(|byte| *byte == 0);
    if torn {
        File::options().write(true).open(path)?.set_len(good as u64)?;
        tracing::info!(path = %path.display(), bytes = tail.len(), "cut off a record that was not completely written");
        return Ok(good as u64);
    }
    Ok(length)
}

/// The ordinals before the first segment and after the last. Where a header is damaged, the frames are counted.
fn count(directory: &Path, segments: &[(u64, u64)], known: u64) -> io::Result<(u64, u64)> {
    let mut after = 0u64;
    for (sequence, _) in segments.iter().rev() {
        let bytes = read(&segment::path(directory, *sequence))?;
        after = after.saturating_add(frames(&bytes).count() as u64);
        if let Some(header) = Header::decode(&bytes) {
            let first = match segments.first() {
                Some((oldest, _)) if oldest != sequence => first_ordinal(&segment::path(directory, *oldest))?,
                _ => Some(header.ordinal),
            };
            let end = header.ordinal.saturating_add(after);
            return Ok((first.unwrap_or(known).min(end), end.max(known)));
        }
    }
    Ok((known, known.saturating_add(after)))
}

fn first_ordinal(path: &Path) -> io::Result<Option<u64>> {
    let mut bytes = Vec::with_capacity(HEADER);
    File::open(path)?.take(HEADER as u64).read_to_end(&mut bytes)?;
    Ok(Header::decode(&bytes).map(|header| header.ordinal))
}

/// Reads one segment; it is bounded as segments and frames are.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = (frame::HEAD + frame::MAX_SEALED + SEGMENT_BYTES) as u64;
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the whole frames of a segment begin and end.
fn frames(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let begin = match frame::parse(rest) {
            Parsed::Whole(_) => at,
            Parsed::Incomplete(_) | Parsed::Invalid => at + frame::next(rest)?,
        };
        let Parsed::Whole(length) = frame::parse(&bytes[begin..]) else {
            return None;
        };
        at = begin + length;
        Some((begin, at))
    })
}
