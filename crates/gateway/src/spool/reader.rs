//! The reading end: records in the order in which they were appended, from any position on, without changing the files.
//!
//! What can't be read is skipped and reported: a damaged frame costs itself and nothing else, since the next one is found by its
//! first bytes. Only a segment whose header is damaged, or whose key is missing, is lost as a whole.

use super::cursor::Position;
use super::frame::{self, Parsed};
use super::seal::{KeyId, Sealer};
use super::segment::{self, HEADER, Header};
use bytes::{Bytes, BytesMut};
use lychgate_link::EncodedRecord;
use lychgate_types::secret::SpoolKey;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read at once, unless one record is larger.
const CHUNK: usize = 256 << 10;

/// A record and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) record: EncodedRecord,
    pub(crate) place: Place,
}

/// A piece of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it begins.
    pub(crate) begin: Position,
    /// Its length in bytes.
    pub(crate) length: u64,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    /// Where reading goes on.
    pub(crate) end: Position,
    /// What was skipped.
    pub(super) lost: Vec<Lost>,
}

/// What can't be read, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Piece(Place, &'static str),
    Segment(u64, &'static str),
}

/// Limits of one batch; one record may exceed both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// Reads the segments of one directory.
#[derive(Debug)]
pub(super) struct Reader {
    directory: PathBuf,
    open: Option<Open>,
    /// Bytes to read next: more than a chunk if a record needs them.
    wanted: usize,
}

#[derive(Debug)]
struct Open {
    sequence: u64,
    file: File,
    header: Header,
    sealer: Sealer,
}

impl Reader {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            open: None,
            wanted: CHUNK,
        }
    }

    /// Reads on from a position, at most to `end`, the end of the journal.
    pub(super) fn read(
        &mut self,
        keys: &[(KeyId, SpoolKey)],
        from: Position,
        end: Position,
        limits: BatchLimits,
    ) -> io::Result<Batch> {
        let mut batch = Batch {
            entries: Vec::new(),
            end: from,
            lost: Vec::new(),
        };
        let mut bytes = 0;
        while batch.entries.len() < limits.records && bytes < limits.bytes {
            let remaining = BatchLimits {
                records: limits.records - batch.entries.len(),
                bytes: limits.bytes - bytes,
            };
            match self.step(keys, &mut batch, end, remaining)? {
                Some(count) => bytes += count,
                None => break,
            }
        }
        Ok(batch)
    }

    /// Reads one chunk, or moves on to the next segment. Returns the number of record bytes; `None` at the very end.
    fn step(
        &mut self,
        keys: &[(KeyId, SpoolKey)],
        batch: &mut Batch,
        end: Position,
        limits: BatchLimits,
    ) -> io::Result<Option<usize>> {
        let at = batch.end;
        if (at.sequence, at.offset) >= (end.sequence, end.offset) {
            batch.end = end;
            return Ok(None);
        }
        let next = |ordinal| Position {
            sequence: at.sequence.saturating_add(1),
            offset: 0,
            ordinal,
        };
        match self.open(keys, at.sequence)? {
            Opened::Ready => {}
            Opened::Missing(Some(sequence)) if sequence <= end.sequence => {
                batch.end = Position {
                    sequence,
                    offset: 0,
                    ..at
                };
                return Ok(Some(0));
            }
            Opened::Missing(_) => {
                batch.end = end;
                return Ok(None);
            }
            Opened::Empty => {
                batch.end = next(at.ordinal);
                return Ok(Some(0));
            }
            Opened::Lost(why) => {
                batch.lost.push(Lost::Segment(at.sequence, why));
                batch.end = next(at.ordinal);
                return Ok(Some(0));
            }
        }
        let Some(open) = &self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let limit = if at.sequence == end.sequence {
            end.offset
        } else {
            open.file.metadata()?.len()
        };
        if at.offset < HEADER as u64 {
            batch.end.offset = HEADER as u64;
            batch.end.ordinal = open.header.ordinal.min(end.ordinal);
        }
        if batch.end.offset >= limit {
            batch.end = if at.sequence == end.sequence {
                end
            } else {
                next(batch.end.ordinal)
            };
            return Ok(Some(0));
        }
        let (count, wanted) = chunk(open, batch, limit, self.wanted, limits)?;
        self.wanted = wanted.max(CHUNK);
        Ok(Some(count))
    }

    /// Opens this segment, unless it is open.
    fn open(&mut self, keys: &[(KeyId, SpoolKey)], sequence: u64) -> io::Result<Opened> {
        if self.open.as_ref().is_some_and(|open| open.sequence == sequence) {
            return Ok(Opened::Ready);
        }
        self.wanted = CHUNK;
        let file = match File::open(segment::path(&self.directory, sequence)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let after = segment::list(&self.directory)?.into_iter().map(|(other, _)| other);
                return Ok(Opened::Missing(after.filter(|other| *other > sequence).min()));
            }
            Err(error) => return Err(error),
        };
        // No frame was written to it: its process may have ended, or its disk failed, within the header.
        if file.metadata()?.len() <= HEADER as u64 {
            return Ok(Opened::Empty);
        }
        let Some(header) = Header::decode(&read_at(&file, 0, HEADER)?) else {
            return Ok(Opened::Lost("its header is damaged"));
        };
        let key = keys.iter().find(|(id, _)| *id == header.key);
        let Some(sealer) = key.and_then(|(_, key)| Sealer::new(key, &header.salt).ok()) else {
            return Ok(Opened::Lost(
                "it was sealed for another gateway key, which this replica's does not replace; docs/operating.md says what to do",
            ));
        };
        self.open = Some(Open {
            sequence,
            file,
            header,
            sealer,
        });
        Ok(Opened::Ready)
    }
}

enum Opened {
    Ready,
    /// There is none with that number; the number of the next one.
    Missing(Option<u64>),
    /// There is nothing in it.
    Empty,
    Lost(&'static str),
}

/// Reads one chunk of the open segment. Returns the number of record bytes, and how many bytes are wanted next.
fn chunk(open: &Open, batch: &mut Batch, limit: u64, wanted: usize, limits: BatchLimits) -> io::Result<(usize, usize)> {
    let wanted = clamp(limit - batch.end.offset).min(wanted);
    let mut bytes = read_at(&open.file, batch.end.offset, wanted)?;
    // Shorter than expected: somebody else has truncated the file.
    let limit = if bytes.len() < wanted {
        batch.end.offset + bytes.len() as u64
    } else {
        limit
    };
    if bytes.is_empty() {
        batch.end.offset = u64::MAX;
    }
    let (mut count, mut records) = (0, 0);
    while records < limits.records && count < limits.bytes && batch.end.offset < limit {
        let at = batch.end;
        match frame::parse(&bytes) {
            Parsed::Whole(length) => {
                let place = Place {
                    begin: at,
                    length: length as u64,
                };
                batch.advance(place.length);
                count += length;
                match unseal(&open.sealer, bytes.split_to(length)) {
                    Ok(record) => {
                        records += 1;
                        batch.entries.push(Entry { record, place });
                    }
                    Err(why) => batch.lost.push(Lost::Piece(place, why)),
                }
            }
            Parsed::Incomplete(need) if need as u64 <= limit - at.offset => return Ok((count, need)),
            Parsed::Incomplete(_) | Parsed::Invalid => {
                let rest = read_at(&open.file, at.offset, clamp(limit - at.offset))?;
                let length = frame::next(&rest).map_or(limit - at.offset, |next| next as u64);
                let place = Place { begin: at, length };
                batch.lost.push(Lost::Piece(place, "it is damaged"));
                batch.advance(length);
                break;
            }
        }
    }
    Ok((count, CHUNK))
}

impl Batch {
    /// Moves on by one record of this length.
    fn advance(&mut self, length: u64) {
        self.end.offset += length;
        self.end.ordinal = self.end.ordinal.saturating_add(1);
    }
}

fn unseal(sealer: &Sealer, mut frame: BytesMut) -> Result<EncodedRecord, &'static str> {
    let range = sealer.open(&mut frame).ok_or("it has been altered")?;
    EncodedRecord::from_bytes(Bytes::from(frame).slice(range)).map_err(|_| "it does not contain a record")
}

/// Reads this many bytes, or fewer at the end of the file.
fn read_at(file: &File, offset: u64, length: usize) -> io::Result<BytesMut> {
    let mut bytes = BytesMut::zeroed(length);
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn clamp(length: u64) -> usize {
    usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(frame::HEAD + frame::MAX_SEALED + super::SEGMENT_BYTES)
}
