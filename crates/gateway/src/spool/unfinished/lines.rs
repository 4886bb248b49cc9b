//! The file of lines: a segment's header, padded to the length of a line, and then lines of [`LINE`] bytes, which are written in
//! place. A line is a frame, as in segments, or nothing: its first bytes are zero then.
//!
//! A line is one page, so that the end of the process leaves either the old one or the new one; should a loss of power leave
//! something between, its checksum shows it.

use super::super::Spool;
use super::super::disk::{Log, write_all_at};
use super::super::frame::{self, Parsed};
use super::super::seal::{KeyId, Sealer};
use super::super::segment::{HEADER, Header};
use bytes::Bytes;
use lychgate_link::EncodedRecord;
use lychgate_types::Holder;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::SpoolKey;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a line; as many are reserved for each record that is to come. The names in a record are limited to fewer.
const LINE: usize = 4096;
const SUFFIX: &str = ".unfinished";
/// Most files tried for a name that is free.
const MOST_NAMES: u64 = 1 << 16;

/// The lines of this process.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Option<Open>,
    /// Lines that nobody has.
    free: Vec<u32>,
    /// Lines that have been given to somebody.
    given: u32,
    frame: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    log: Arc<dyn Log>,
    /// The lines of a process are sealed with its first key.
    key: KeyId,
}

impl Lines {
    /// Writes the record to its line, or to a free one. Returns which.
    pub(super) fn write(
        &mut self,
        spool: &Spool,
        sealer: &Sealer,
        number: u64,
        mut record: InterceptionRecord,
        line: Option<u32>,
    ) -> io::Result<u32> {
        self.open(spool, sealer)?;
        let mut sealed = seal(&mut self.frame, sealer, number, record.clone());
        if sealed.is_err() && !record.prompts.is_empty() {
            // What does not fit is the prompt.
            record.prompts.clear();
            sealed = seal(&mut self.frame, sealer, number, record);
        }
        sealed?;
        let Some(open) = &self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let given = line.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.given += 1;
            self.given - 1
        });
        let written = write_all_at(&*open.log, &self.frame, offset(given));
        if written.is_err() && line.is_none() {
            self.free.push(given);
        }
        written.map(|()| given)
    }

    /// Takes a line out.
    pub(super) fn clear(&mut self, line: u32) {
        let Some(open) = &self.open else { return };
        match write_all_at(&*open.log, &[0; frame::HEAD], offset(line)) {
            Ok(()) => self.free.push(line),
            // It is in a record, too, so it does no harm; but it is not used again.
            Err(error) => tracing::debug!(%error, "a line of the spool can't be taken out"),
        }
    }

    /// Removes the file.
    pub(super) fn remove(&mut self) {
        if let Some(open) = self.open.take()
            && let Err(error) = std::fs::remove_file(&open.path)
        {
            tracing::warn!(path = %open.path.display(), %error, "a file of the spool can't be deleted");
        }
    }

    fn open(&mut self, spool: &Spool, sealer: &Sealer) -> io::Result<()> {
        if let Some(open) = &self.open {
            return match open.key == sealer.id() {
                true => Ok(()),
                false => Err(io::Error::other("the spool key has changed since this process started")),
            };
        }
        let header = Header {
            salt: spool.salt,
            key: sealer.id(),
            ordinal: 0,
        };
        for number in 0..MOST_NAMES {
            let path = spool.directory.join(format!("{number:016x}{SUFFIX}"));
            match spool.disk.create(&path) {
                Ok(log) => {
                    if let Err(error) = write_all_at(&*log, &header.encode(), 0) {
                        let _ = std::fs::remove_file(&path);
                        return Err(error);
                    }
                    let key = sealer.id();
                    self.open = Some(Open { path, log, key });
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn seal(frame: &mut Vec<u8>, sealer: &Sealer, number: u64, record: InterceptionRecord) -> io::Result<()> {
    frame::begin(frame, Holder::default());
    EncodedRecord::encode_to(record, frame);
    if frame.len() + frame::TAG > LINE {
        return Err(io::Error::other("it is too long for a line"));
    }
    sealer.seal(number, frame).map_err(io::Error::other)
}

fn offset(line: u32) -> u64 {
    (u64::from(line) + 1) * LINE as u64
}

/// The files that earlier processes have left.
pub(crate) fn leftovers(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|path| path.ends_with(SUFFIX)) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads the records that such a file has; `None` where it was sealed with none of these keys.
pub(super) fn read(path: &Path, keys: &[(KeyId, SpoolKey)]) -> io::Result<Option<Vec<EncodedRecord>>> {
    let mut file = io::BufReader::with_capacity(16 * LINE, File::open(path)?);
    let mut records = Vec::new();
    let Some(header) = Header::decode(&page(&mut file)?[..]) else {
        // The process ended before there was a line.
        return Ok(Some(records));
    };
    let key = keys.iter().find(|(id, _)| *id == header.key);
    let Some(sealer) = key.and_then(|(_, key)| Sealer::new(key, &header.salt).ok()) else {
        return Ok(None);
    };
    loop {
        let mut line = page(&mut file)?;
        if line.is_empty() {
            return Ok(Some(records));
        }
        let Parsed::Whole(length) = frame::parse(&line) else {
            continue;
        };
        line.truncate(length);
        let record = sealer.open(&mut line).map(|range| Bytes::from(line).slice(range));
        match record.map(EncodedRecord::from_bytes) {
            Some(Ok(record)) => records.push(record),
            _ => tracing::error!(path = %path.display(), "a line of an earlier process has been altered"),
        }
    }
}

/// The next line, or what there is of it.
fn page(file: &mut impl Read) -> io::Result<Vec<u8>> {
    const { assert!(LINE > HEADER) };
    let mut bytes = Vec::with_capacity(LINE);
    file.take(LINE as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
