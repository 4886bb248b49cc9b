//! Whose records the bytes in the spool are, so that one user can't take all the room while the control plane is away.
//!
//! Counted as frames are written, and taken off when a segment is deleted, by looking at its frames once more; so a new process knows
//! what an earlier one has left. What is in flight is counted apart (`reserved`), and what is set aside only until the spool is empty once.

use super::cursor::Position;
use super::frame::{self, Parsed};
use super::segment::{self, HEADER};
use lychgate_types::Holder;
use std::collections::HashMap;
use std::path::Path;

#[derive(Debug)]
pub(super) struct Shares {
    of: HashMap<Holder, u64>,
    /// What is before this is not counted.
    pub(super) from: Position,
}

/// The bytes of one segment, by holder.
pub(super) type Tally = HashMap<Holder, u64>;

impl Shares {
    /// Of what an earlier process has left in these segments, from this position on.
    pub(super) fn new(directory: &Path, segments: impl Iterator<Item = u64>, from: Position) -> Self {
        let mut shares = Self {
            of: HashMap::new(),
            from,
        };
        for sequence in segments {
            for (holder, bytes) in tally(directory, sequence, from) {
                shares.add(holder, bytes);
            }
        }
        shares
    }

    pub(super) fn add(&mut self, holder: Holder, bytes: u64) {
        // Nobody has no share: it is what a process left that was killed.
        if holder != Holder::default() {
            *self.of.entry(holder).or_default() += bytes;
        }
    }

    pub(super) fn of(&self, holder: Holder) -> u64 {
        self.of.get(&holder).copied().unwrap_or_default()
    }

    /// Whether somebody else has records here.
    pub(super) fn has_others(&self, holder: Holder) -> bool {
        self.of.keys().any(|other| *other != holder)
    }

    /// Takes off what was in a deleted segment.
    pub(super) fn take_off(&mut self, gone: Tally) {
        for (holder, bytes) in gone {
            if let Some(left) = self.of.get_mut(&holder) {
                *left = left.saturating_sub(bytes);
                if *left == 0 {
                    self.of.remove(&holder);
                }
            }
        }
    }

    /// Nothing waits: what is counted begins here.
    pub(super) fn begin(&mut self, from: Position) {
        self.of.clear();
        self.from = from;
    }
}

/// Whose bytes are in a segment after this position. Of one that can't be read, nothing is known.
pub(super) fn tally(directory: &Path, sequence: u64, from: Position) -> Tally {
    let Ok(bytes) = std::fs::read(segment::path(directory, sequence)) else {
        return Tally::new();
    };
    let begin = match sequence == from.sequence {
        true => usize::try_from(from.offset).unwrap_or(usize::MAX).max(HEADER),
        false => HEADER,
    };
    let mut rest = bytes.get(begin..).unwrap_or_default();
    let mut tally = Tally::new();
    while !rest.is_empty() {
        let length = match frame::parse(rest) {
            Parsed::Whole(length) => {
                *tally.entry(frame::holder(rest)).or_default() += length as u64;
                length
            }
            _ => frame::next(rest).unwrap_or(rest.len()),
        };
        rest = &rest[length..];
    }
    tally
}
