//! The reading end: records in the order in which they were put in, from any place on, without touching what is written.
//!
//! What can't be read is passed over and told: a damaged frame costs itself and nothing else, since the next one is found by
//! its beginning. Only a segment whose header is gone, or whose key is not there, is lost as a whole.

use super::cursor::Position;
use super::frame::{self, Read};
use super::seal::{KeyId, Sealer};
use super::segment::{self, HEADER, Header};
use bytes::{Bytes, BytesMut};
use lychgate_link::EncodedRecord;
use lychgate_types::secret::SpoolKey;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is read at once, unless one record is larger.
const CHUNK: usize = 256 << 10;

/// A record and where it stands.
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
    /// What was passed over.
    pub(super) lost: Vec<Lost>,
}

/// What can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Piece(Place, &'static str),
    Segment(u64, &'static str),
}

/// Bounds of one reading; both may be passed by one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// Reads the segments of one directory.
#[derive(Debug)]
pub(super) struct Reader {
    directory: PathBuf,
    open: Option<Open>,
    /// Bytes to read next: more than a chunk where a record needs them.
    want: usize,
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
            want: CHUNK,
        }
    }

    /// Reads on from a place, at most to `end`, which is where the journal stands.
    pub(super) fn read(
        &mut self,
        keys: &[(KeyId, SpoolKey)],
        from: Position,
        end: Position,
        most: Most,
    ) -> io::Result<Batch> {
        let mut batch = Batch {
            entries: Vec::new(),
            end: from,
            lost: Vec::new(),
        };
        let mut bytes = 0;
        while batch.entries.len() < most.records && bytes < most.bytes {
            let left = Most {
                records: most.records - batch.entries.len(),
                bytes: most.bytes - bytes,
            };
            match self.step(keys, &mut batch, end, left)? {
                Some(count) => bytes += count,
                None => break,
            }
        }
        Ok(batch)
    }

    /// One chunk, or one segment's end. Gives how many bytes of records came; `None` at the very end.
    fn step(
        &mut self,
        keys: &[(KeyId, SpoolKey)],
        batch: &mut Batch,
        end: Position,
        most: Most,
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
        match self.enter(keys, at.sequence)? {
            Entered::Open => {}
            Entered::Missing(Some(sequence)) if sequence <= end.sequence => {
                batch.end = Position {
                    sequence,
                    offset: 0,
                    ..at
                };
                return Ok(Some(0));
            }
            Entered::Missing(_) => {
                batch.end = end;
                return Ok(None);
            }
            Entered::Lost(why) => {
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
        let (count, want) = chunk(open, batch, limit, self.want, most)?;
        self.want = want.max(CHUNK);
        Ok(Some(count))
    }

    /// Makes sure that this segment is the open one.
    fn enter(&mut self, keys: &[(KeyId, SpoolKey)], sequence: u64) -> io::Result<Entered> {
        if self.open.as_ref().is_some_and(|open| open.sequence == sequence) {
            return Ok(Entered::Open);
        }
        self.want = CHUNK;
        let file = match File::open(segment::path(&self.directory, sequence)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let after = segment::list(&self.directory)?.into_iter().map(|(other, _)| other);
                return Ok(Entered::Missing(after.filter(|other| *other > sequence).min()));
            }
            Err(error) => return Err(error),
        };
        let Some(header) = Header::decode(&read_at(&file, 0, HEADER)?) else {
            return Ok(Entered::Lost("its header is damaged"));
        };
        let key = keys.iter().find(|(id, _)| *id == header.key);
        let Some(sealer) = key.and_then(|(_, key)| Sealer::new(key, &header.run).ok()) else {
            return Ok(Entered::Lost(
                "it was sealed for another gateway key; it can be read by a replica that has that key",
            ));
        };
        self.open = Some(Open {
            sequence,
            file,
            header,
            sealer,
        });
        Ok(Entered::Open)
    }
}

enum Entered {
    Open,
    /// There is none of that number; the next one there is.
    Missing(Option<u64>),
    Lost(&'static str),
}

/// Reads one chunk of the open segment. Gives how many bytes of records came, and how many are wanted next.
fn chunk(open: &Open, batch: &mut Batch, limit: u64, want: usize, most: Most) -> io::Result<(usize, usize)> {
    let want = clamp(limit - batch.end.offset).min(want);
    let mut bytes = read_at(&open.file, batch.end.offset, want)?;
    // Shorter than it was: somebody else has cut the file.
    let limit = if bytes.len() < want {
        batch.end.offset + bytes.len() as u64
    } else {
        limit
    };
    if bytes.is_empty() {
        batch.end.offset = u64::MAX;
    }
    let (mut count, mut records) = (0, 0);
    while records < most.records && count < most.bytes && batch.end.offset < limit {
        let at = batch.end;
        match frame::read(&bytes) {
            Read::Whole(length) => {
                let place = Place {
                    begin: at,
                    length: length as u64,
                };
                batch.pass(place.length);
                count += length;
                match opened(&open.sealer, bytes.split_to(length)) {
                    Ok(record) => {
                        records += 1;
                        batch.entries.push(Entry { record, place });
                    }
                    Err(why) => batch.lost.push(Lost::Piece(place, why)),
                }
            }
            Read::Short(need) if need as u64 <= limit - at.offset => return Ok((count, need)),
            Read::Short(_) | Read::Bad => {
                let rest = read_at(&open.file, at.offset, clamp(limit - at.offset))?;
                let length = frame::next(&rest).map_or(limit - at.offset, |next| next as u64);
                let place = Place { begin: at, length };
                batch.lost.push(Lost::Piece(place, "it is damaged"));
                batch.pass(length);
                break;
            }
        }
    }
    Ok((count, CHUNK))
}

impl Batch {
    /// Goes past one record of this length.
    fn pass(&mut self, length: u64) {
        self.end.offset += length;
        self.end.ordinal = self.end.ordinal.saturating_add(1);
    }
}

fn opened(sealer: &Sealer, mut frame: BytesMut) -> Result<EncodedRecord, &'static str> {
    let place = sealer.open(&mut frame).ok_or("it was altered")?;
    EncodedRecord::from_bytes(Bytes::from(frame).slice(place)).map_err(|_| "it holds no record")
}

/// Reads so many bytes, or fewer where the file ends.
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
        .min(frame::HEAD + frame::MOST + super::SEGMENT_BYTES)
}
