//! The way in: a place before the request, the record into it when the exchange is over.

use super::keeper;
use super::seal::KeyId;
use super::{Spool, Writer};
use crate::spool::{SpoolFull, SpoolSync};
use lychgate_link::EncodedRecord;
use lychgate_stream::Hold;
use lychgate_types::interception::InterceptionRecord;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a place that is not filled yet counts for: about a record with its prompt.
const PLACE: u64 = 4096;
/// Frames that the disk did not take and that are held in memory, where requests go on unrecorded. Where they are refused, the
/// number of requests being served is the limit.
const UNWRITTEN: usize = 4096;
/// Largest buffer that is kept for the next record.
const BUFFER: usize = 256 << 10;

thread_local! {
    static FRAME: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A reserved place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    spool: Arc<Spool>,
}

/// Why there is no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many records wait for the control plane.
    Records,
    /// The disk does not take them.
    Disk(Arc<str>),
    /// There is no configuration, and so no key to seal with.
    Unconfigured,
}

impl Spool {
    /// A place for one record.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Slot, Full> {
        if self.sealer.load().is_none() {
            return Err(Full::Unconfigured);
        }
        if self.when_full == SpoolFull::Refuse {
            self.room()?;
        }
        self.reserved.fetch_add(1, Ordering::AcqRel);
        Ok(Slot {
            spool: Arc::clone(self),
        })
    }

    /// Whether the next record would find room.
    pub(crate) fn room(&self) -> Result<(), Full> {
        if self.troubled.load(Ordering::Acquire)
            && let Some(why) = &self.writer().trouble
        {
            return Err(Full::Disk(Arc::clone(why)));
        }
        let reserved = self.reserved.load(Ordering::Acquire).saturating_mul(PLACE);
        if self.bytes.load(Ordering::Acquire).saturating_add(reserved) >= self.limit {
            return Err(Full::Records);
        }
        Ok(())
    }

    /// Whether requests go on when there is no room.
    pub(crate) fn goes_on_unrecorded(&self) -> bool {
        self.when_full == SpoolFull::Unrecorded
    }

    /// Requests that went unrecorded for want of room.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded.load(Ordering::Relaxed)
    }

    /// Seals the record and writes it.
    fn put(&self, record: InterceptionRecord) -> Option<Hold> {
        let sealer = self.sealer.load();
        let Some(sealer) = sealer.as_deref() else {
            self.give_up("there is no key to seal it with");
            return None;
        };
        let mut frame = FRAME.try_with(Cell::take).unwrap_or_default();
        super::frame::begin(&mut frame);
        EncodedRecord::encode_to(record, &mut frame);
        // Wraps around after five hundred thousand years of a million a second.
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let hold = match sealer.seal(number, &mut frame) {
            Ok(()) => self.append(sealer.id(), &frame),
            Err(error) => {
                self.give_up(&error.to_string());
                None
            }
        };
        if frame.capacity() <= BUFFER {
            let _ = FRAME.try_with(|kept| kept.set(frame));
        }
        hold
    }

    /// The only part that is done by one at a time.
    fn append(&self, key: KeyId, frame: &[u8]) -> Option<Hold> {
        let mut writer = self.writer();
        let unrecorded = self.when_full == SpoolFull::Unrecorded;
        let full = self.bytes.load(Ordering::Acquire) >= self.limit || writer.unwritten.len() >= UNWRITTEN;
        if unrecorded && full {
            drop(writer);
            self.give_up("the spool is full");
            return None;
        }
        let written = self.write(&mut writer, key, frame);
        let ordinal = writer.journal.end().ordinal + writer.unwritten.len() as u64;
        self.put_in.store(ordinal, Ordering::Release);
        drop(writer);
        self.filled.notify_one();
        self.dirty.notify_one();
        match (written, self.sync) {
            (true, SpoolSync::Interval) => None,
            (false, _) if unrecorded => None,
            _ => Some(keeper::until_kept(self.kept.subscribe(), ordinal)),
        }
    }

    fn write(&self, writer: &mut Writer, key: KeyId, frame: &[u8]) -> bool {
        if writer.unwritten.is_empty() {
            match writer.journal.append(key, frame) {
                Ok(()) => {
                    self.bytes.fetch_add(frame.len() as u64, Ordering::AcqRel);
                    return true;
                }
                Err(error) => self.trouble(writer, "written", &error),
            }
        }
        writer.unwritten.push_back((key, frame.to_owned()));
        false
    }

    /// Writes what the disk did not take before; stops at the first that it does not take again.
    pub(super) fn write_on(&self, writer: &mut Writer) -> bool {
        while let Some((key, frame)) = writer.unwritten.front() {
            if let Err(error) = writer.journal.append(*key, frame) {
                self.trouble(writer, "written", &error);
                return false;
            }
            self.bytes.fetch_add(frame.len() as u64, Ordering::AcqRel);
            writer.unwritten.pop_front();
            // Delivery was told when the record came, and found nothing.
            self.filled.notify_one();
        }
        true
    }

    /// The disk fails: from now on there is no room.
    pub(super) fn trouble(&self, writer: &mut Writer, what: &str, error: &io::Error) {
        self.errors.count();
        let why: Arc<str> = format!("the spool can't be {what}: {error}").into();
        if writer.trouble.as_ref() != Some(&why) {
            tracing::error!(%why, path = %self.directory.display(), "records can't be kept");
        }
        writer.trouble = Some(why);
        self.troubled.store(true, Ordering::Release);
    }

    /// The disk works again.
    pub(super) fn relieved(&self, writer: &mut Writer) {
        if writer.trouble.take().is_some() {
            self.troubled.store(false, Ordering::Release);
            tracing::info!("records can be kept again");
        }
    }

    fn give_up(&self, why: &str) {
        let before = self.unrecorded.fetch_add(1, Ordering::Relaxed);
        // The first, and then ever more rarely: it may be one of very many.
        if (before + 1).is_power_of_two() {
            tracing::error!(why, so_far = before + 1, "a request goes unrecorded");
        }
    }
}

impl Slot {
    /// Puts the record in its place. Gives what the end of the answer has to wait for, if it has to.
    pub(crate) fn fill(self, record: InterceptionRecord) -> Option<Hold> {
        self.spool.put(record)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.spool.reserved.fetch_sub(1, Ordering::AcqRel);
    }
}
