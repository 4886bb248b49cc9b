//! The way in: room is reserved before the request, and filled with the record when the exchange is over.

use super::flush::until_durable;
use super::frame;
use super::options::{SpoolFull, SpoolSync};
use super::seal::KeyId;
use super::{Spool, Writer};
use lychgate_link::EncodedRecord;
use lychgate_stream::Hold;
use lychgate_types::Holder;
use lychgate_types::interception::InterceptionRecord;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes reserved for a record that has not come yet, its prompt apart where that is longer. What its answer will be is not known;
/// were the longest reserved, a few requests that take their time would leave no room for others.
const RESERVED_BYTES: u64 = 4096;
/// Prompts become smaller by at least this factor as a rule, being text, when they are compressed.
const PROMPT_RATIO: u64 = 4;
/// Most frames that the disk did not accept and that are held in memory, where requests go on unrecorded. Where they are refused,
/// the number of requests in flight is the limit.
const MAX_UNWRITTEN: usize = 4096;
/// Largest buffer that is kept for the next record.
const MAX_KEPT_BUFFER: usize = 256 << 10;

thread_local! {
    static FRAME: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Room for one record; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    spool: Arc<Spool>,
    holder: Holder,
    /// What is reserved.
    bytes: u64,
}

/// Why there is no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many records are waiting for the control plane.
    Records,
    /// Too many of this user's records are.
    Share,
    /// They can't be written: the disk does not accept them, or there is no key to seal them with yet.
    Disk(Arc<str>),
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Now,
    /// The disk did not accept it; it is queued in memory.
    Queued,
}

impl Spool {
    /// Reserves room for one record of this user.
    pub(crate) fn reserve(self: &Arc<Self>, holder: Holder) -> Result<Slot, Full> {
        if self.sealer.load().is_none() {
            return Err(Full::Disk("there is no key to seal records with yet".into()));
        }
        self.promise(holder, RESERVED_BYTES)?;
        Ok(Slot {
            spool: Arc::clone(self),
            holder,
            bytes: RESERVED_BYTES,
        })
    }

    /// Reserves bytes for a record of this user.
    fn promise(&self, holder: Holder, bytes: u64) -> Result<(), Full> {
        if self.when_full == SpoolFull::Refuse {
            self.room()?;
            if self.may_be_over_share() && self.is_over_share(holder) {
                return Err(Full::Share);
            }
        }
        self.reserved.add(holder, bytes);
        Ok(())
    }

    /// What the records take, and those that are to come.
    fn taken(&self) -> u64 {
        self.bytes.load(Ordering::Acquire).saturating_add(self.reserved.all())
    }

    /// Nobody has more than there is in all: this needs no lock, and as a rule it is the answer.
    fn may_be_over_share(&self) -> bool {
        self.taken() >= self.share
    }

    fn is_over_share(&self, holder: Holder) -> bool {
        let reserved = self.reserved.of(holder);
        self.writer.lock().shares.of(holder).saturating_add(reserved) >= self.share
    }

    /// Whether a record is left out for the sake of others: its user's take their share, and there are others who have records, or
    /// no more is left than those need who come later.
    fn gives_way(&self, writer: &Writer, holder: Holder) -> bool {
        let taken = writer.shares.of(holder);
        self.relays_unrecorded()
            && taken >= self.share
            && (taken >= self.share / 2 * 3 || writer.shares.has_others(holder) || self.reserved.has_others(holder))
    }

    /// Whether there would be room for another record.
    pub(crate) fn room(&self) -> Result<(), Full> {
        if self.failing.load(Ordering::Acquire)
            && let Some(failure) = &self.writer.lock().failure
        {
            return Err(Full::Disk(Arc::clone(failure)));
        }
        if self.taken() >= self.limit {
            return Err(Full::Records);
        }
        Ok(())
    }

    /// Whether requests go on when there is no room.
    pub(crate) fn relays_unrecorded(&self) -> bool {
        self.when_full == SpoolFull::Unrecorded
    }

    /// Number of requests that were not recorded for lack of room.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded.load(Ordering::Relaxed)
    }

    /// Seals the record and writes it.
    fn put(&self, record: InterceptionRecord, holder: Holder) -> Option<Hold> {
        self.put_encoded(holder, |frame| EncodedRecord::encode_to(record, frame))
    }

    /// The same for a record that `encode` appends to the frame.
    pub(super) fn put_encoded(&self, holder: Holder, encode: impl FnOnce(&mut Vec<u8>)) -> Option<Hold> {
        let sealer = self.sealer.load();
        let Some(sealer) = sealer.as_deref() else {
            self.skip_record("there is no key to seal it with");
            return None;
        };
        let mut frame = FRAME.try_with(Cell::take).unwrap_or_default();
        frame::begin(&mut frame, holder);
        encode(&mut frame);
        // At a million a second, it wraps around after five hundred thousand years.
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let hold = match sealer.seal(number, &mut frame) {
            Ok(()) => self.append(sealer.id(), &frame),
            Err(error) => {
                self.skip_record(&error.to_string());
                None
            }
        };
        if frame.capacity() <= MAX_KEPT_BUFFER {
            let _ = FRAME.try_with(|kept| kept.set(frame));
        }
        hold
    }

    /// Whether a record would be skipped now, for lack of room.
    pub(super) fn would_skip(&self) -> bool {
        self.skips(&self.writer.lock())
    }

    fn skips(&self, writer: &Writer) -> bool {
        let is_full = self.bytes.load(Ordering::Acquire) >= self.limit || writer.unwritten.len() >= MAX_UNWRITTEN;
        is_full && self.relays_unrecorded()
    }

    /// The only part that takes the writer's lock.
    fn append(&self, key: KeyId, frame: &[u8]) -> Option<Hold> {
        let mut writer = self.writer.lock();
        if self.skips(&writer) || self.gives_way(&writer, frame::holder(frame)) {
            drop(writer);
            self.skip_record("the spool, or its user's share of it, is full");
            return None;
        }
        let written = self.write(&mut writer, key, frame);
        let ordinal = writer.journal.end().ordinal + writer.unwritten.len() as u64;
        self.appended.store(ordinal, Ordering::Release);
        drop(writer);
        self.filled.notify_one();
        self.dirty.notify_one();
        match (written, self.sync) {
            (Written::Now, SpoolSync::Interval) => None,
            (Written::Queued, _) if self.relays_unrecorded() => None,
            _ => Some(until_durable(self.durable.subscribe(), ordinal)),
        }
    }

    fn write(&self, writer: &mut Writer, key: KeyId, frame: &[u8]) -> Written {
        if writer.unwritten.is_empty() {
            match writer.journal.append(key, frame) {
                Ok(()) => {
                    self.count(writer, frame);
                    return Written::Now;
                }
                Err(error) => self.disk_failed(writer, "written", &error),
            }
        }
        writer.unwritten.push_back((key, frame.to_owned()));
        Written::Queued
    }

    /// Writes what the disk did not accept before; false if it fails again, at the first frame at which it does.
    pub(super) fn write_pending(&self, writer: &mut Writer) -> bool {
        while let Some((key, frame)) = writer.unwritten.pop_front() {
            if let Err(error) = writer.journal.append(key, &frame) {
                writer.unwritten.push_front((key, frame));
                self.disk_failed(writer, "written", &error);
                return false;
            }
            self.count(writer, &frame);
            // Delivery was woken when the record came, and found nothing.
            self.filled.notify_one();
        }
        true
    }

    fn count(&self, writer: &mut Writer, frame: &[u8]) {
        self.bytes.fetch_add(frame.len() as u64, Ordering::AcqRel);
        writer.shares.add(frame::holder(frame), frame.len() as u64);
    }

    /// From now on there is no room.
    pub(super) fn disk_failed(&self, writer: &mut Writer, what: &str, error: &io::Error) {
        self.errors.count();
        let failure: Arc<str> = format!("the spool can't be {what}: {error}").into();
        if writer.failure.as_ref() != Some(&failure) {
            tracing::error!(reason = %failure, path = %self.directory.display(), "records can't be stored");
        }
        writer.failure = Some(failure);
        self.failing.store(true, Ordering::Release);
    }

    pub(super) fn disk_recovered(&self, writer: &mut Writer) {
        if writer.failure.take().is_some() {
            self.failing.store(false, Ordering::Release);
            tracing::info!("records can be stored again");
        }
    }

    fn skip_record(&self, why: &str) {
        let before = self.unrecorded.fetch_add(1, Ordering::Relaxed);
        // There may be very many: logged for the first one, and then less and less often.
        if (before + 1).is_power_of_two() {
            tracing::error!(reason = why, so_far = before + 1, "a request is not recorded");
        }
    }
}

impl Slot {
    /// Whose record it is for.
    pub(crate) const fn holder(&self) -> Holder {
        self.holder
    }

    /// The record will have a prompt of so many bytes, before that is compressed.
    pub(crate) fn expect(&mut self, prompt: usize) -> Result<(), Full> {
        let more = (prompt as u64 / PROMPT_RATIO).saturating_sub(self.bytes);
        if more > 0 {
            self.spool.promise(self.holder, more)?;
            self.bytes += more;
        }
        Ok(())
    }

    /// Stores the record. Returns what the end of the answer has to wait for, if anything.
    pub(crate) fn fill(self, record: InterceptionRecord) -> Option<Hold> {
        self.spool.put(record, self.holder)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.spool.reserved.take_off(self.holder, self.bytes);
    }
}
