//! Every record of a run, from the end of its request to its commit in the database.

use super::database::{POISON, UNFIT};
use super::disk::{SimulatedDisk, Spot};
use lychgate_link::EncodedRecord;
use lychgate_types::InterceptionId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A running process has synced a record this long after it was written, or after the process started if that is later.
const SYNCED_AFTER: Duration = Duration::from_millis(102);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    records: BTreeMap<InterceptionId, Record>,
    /// The last record of each process that was committed in order.
    last: BTreeMap<u64, u64>,
    violations: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) model: String,
    pub(super) host: usize,
    pub(super) process: u64,
    /// Its number among all.
    pub(super) order: u64,
    pub(super) at: Instant,
    /// Where it is on disk; `None`: unknown, or not written yet.
    pub(super) spot: Option<Spot>,
    /// Whether the disk worked, before and at that time.
    pub(super) disk_was_well: bool,
    /// Whether its client got the complete answer.
    pub(super) completed: bool,
    pub(super) must: bool,
    pub(super) committed: bool,
    /// Whether a process has certainly synced it.
    pub(super) synced: bool,
    /// Whether a batch that contained it failed.
    pub(super) failed: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crash {
    pub(super) power: bool,
    pub(super) syncs_always: bool,
    pub(super) goes_unrecorded: bool,
    /// When a disk failure last began or ended: what it failed to sync is not synced later.
    pub(super) disk_changed: Option<Instant>,
    /// When the process started: what an earlier one left unsynced is synced by this one.
    pub(super) started: Instant,
}

impl Ledger {
    pub(super) fn finished(&mut self, id: InterceptionId, record: Record) {
        self.records.insert(id, record);
    }

    /// The client got the complete answer.
    pub(super) fn completed(&mut self, id: InterceptionId) {
        if let Some(record) = self.records.get_mut(&id) {
            record.completed = true;
        }
    }

    /// The control plane failed to store a batch.
    pub(super) fn failed(&mut self, batch: &[EncodedRecord]) {
        for record in batch {
            if let Some(record) = self.records.get_mut(&record.id()) {
                record.failed = true;
            }
        }
    }

    /// A record was committed for the first time.
    pub(super) fn committed(&mut self, id: InterceptionId, model: &str) {
        let Some(record) = self.records.get_mut(&id) else {
            return self
                .violations
                .push(format!("{model} is committed, but no request ended with it"));
        };
        if record.model != model {
            self.violations
                .push(format!("{} is committed as {model}", record.model));
        }
        record.committed = true;
        if !record.failed {
            let last = self.last.entry(record.process).or_default();
            if record.order < *last {
                self.violations.push(format!("{model} is committed after a later one"));
            }
            *last = record.order.max(*last);
        }
    }

    /// A process of this host ended: what was only in its memory is lost, and after a power failure also what was not synced.
    pub(super) fn crash(&mut self, host: usize, disk: &SimulatedDisk, crash: Crash) {
        let Crash {
            power,
            syncs_always,
            goes_unrecorded,
            disk_changed,
            started,
        } = crash;
        let waiting = self
            .records
            .values_mut()
            .filter(|record| record.host == host && !record.committed);
        for record in waiting {
            let promised = record.completed && !goes_unrecorded;
            record.must &= record.spot.is_some() || promised;
            record.synced |= record.disk_was_well
                && disk_changed.is_none_or(|at| at < record.at)
                && record.at.max(started).elapsed() > SYNCED_AFTER;
            if !power {
                continue;
            }
            let safe = record.spot.as_ref().map(|spot| disk.is_safe(spot));
            let synced = if syncs_always { promised } else { record.synced };
            if safe == Some(false) && synced && record.must && !record.is_odd() {
                let model = &record.model;
                self.violations
                    .push(format!("{model} does not survive a loss of power"));
            }
            record.must &= safe.unwrap_or(syncs_always && promised);
        }
    }

    /// How many records of a host must be in the database and are not yet.
    pub(super) fn waiting(&self, host: usize) -> usize {
        let waiting = self.records.values().filter(|record| record.host == host);
        waiting
            .filter(|record| record.must && !record.committed && !record.is_odd())
            .count()
    }

    /// How many records of a host must be set aside, at least and at most.
    pub(super) fn aside(&self, host: usize) -> (u64, u64) {
        let odd = self
            .records
            .values()
            .filter(|record| record.host == host && record.is_odd());
        let (must, all) = odd.fold((0, 0), |(must, all), record| (must + u64::from(record.must), all + 1));
        (must, all)
    }

    /// Records that make the database fail.
    pub(super) fn poison(&self) -> usize {
        let all = self.records.values();
        all.filter(|record| record.model.starts_with(POISON)).count()
    }

    /// How many were recorded, and how many of them are in the database.
    pub(super) fn counts(&self) -> (usize, usize) {
        let committed = self.records.values().filter(|record| record.committed);
        (self.records.len(), committed.count())
    }

    /// At the very end: whatever must be in the database is there.
    pub(super) fn close(&mut self, key_is_deleted: impl Fn(usize) -> bool) {
        for record in self.records.values() {
            let odd = record.is_odd();
            if record.must && !record.committed && !odd && !key_is_deleted(record.host) {
                self.violations.push(format!("{} is lost", record.model));
            }
            if record.committed && odd {
                self.violations.push(format!("{} is committed", record.model));
            }
        }
    }

    pub(super) fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }
}

impl Record {
    fn is_odd(&self) -> bool {
        self.model.starts_with(POISON) || self.model.starts_with(UNFIT)
    }
}
