//! Every record of a run, from where its request ended to where the database has it.

use super::database::{POISON, UNFIT};
use super::disk::{SimulatedDisk, Spot};
use lychgate_link::EncodedRecord;
use lychgate_types::InterceptionId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// What a record is at most when it would survive a loss of power.
const SYNCED_AFTER: Duration = Duration::from_millis(102);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    records: BTreeMap<InterceptionId, Record>,
    /// The last one of each process that was committed in order.
    last: BTreeMap<u64, u64>,
    violations: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) model: String,
    pub(super) host: usize,
    pub(super) process: u64,
    /// Its place among all.
    pub(super) order: u64,
    pub(super) at: Instant,
    /// Where it stands on disk; `None`: not known, or nowhere yet.
    pub(super) spot: Option<Spot>,
    /// Whether the disk did what it was told, before and at that time.
    pub(super) disk_was_well: bool,
    /// Whether its client saw the end of its answer.
    pub(super) completed: bool,
    pub(super) must: bool,
    pub(super) committed: bool,
    /// Whether a batch with it in it failed.
    pub(super) failed: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crash {
    pub(super) power: bool,
    pub(super) syncs_always: bool,
    pub(super) goes_unrecorded: bool,
    /// When trouble with the disk began or ended last: what it failed to sync is not synced later.
    pub(super) disk_changed: Option<Instant>,
}

impl Ledger {
    pub(super) fn finished(&mut self, id: InterceptionId, record: Record) {
        self.records.insert(id, record);
    }

    /// The client saw the end of the answer.
    pub(super) fn completed(&mut self, id: InterceptionId) {
        if let Some(record) = self.records.get_mut(&id) {
            record.completed = true;
        }
    }

    /// The control plane failed at a batch.
    pub(super) fn failed(&mut self, batch: &[EncodedRecord]) {
        for record in batch {
            if let Some(record) = self.records.get_mut(&record.id()) {
                record.failed = true;
            }
        }
    }

    /// A record is in the database that was not before.
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

    /// A process of this host ends: what is only in its memory is gone, and with the power what is not synced.
    pub(super) fn crash(&mut self, host: usize, disk: &SimulatedDisk, crash: Crash) {
        let Crash {
            power,
            syncs_always,
            goes_unrecorded,
            disk_changed,
        } = crash;
        let waiting = self
            .records
            .values_mut()
            .filter(|record| record.host == host && !record.committed);
        for record in waiting {
            let promised = record.completed && !goes_unrecorded;
            record.must &= record.spot.is_some() || promised;
            if !power {
                continue;
            }
            let safe = record.spot.as_ref().map(|spot| disk.is_safe(spot));
            let synced = if syncs_always {
                promised
            } else {
                record.disk_was_well
                    && disk_changed.is_none_or(|at| at < record.at)
                    && record.at.elapsed() > SYNCED_AFTER
            };
            if safe == Some(false) && synced && record.must && !record.is_odd() {
                let model = &record.model;
                self.violations
                    .push(format!("{model} does not survive a loss of power"));
            }
            record.must &= safe.unwrap_or(syncs_always && promised);
        }
    }

    /// Those of a host that are to be in the database and are not yet.
    pub(super) fn waiting(&self, host: usize) -> usize {
        let waiting = self.records.values().filter(|record| record.host == host);
        waiting
            .filter(|record| record.must && !record.committed && !record.is_odd())
            .count()
    }

    /// Those of a host that are to lie aside, at least and at most.
    pub(super) fn aside(&self, host: usize) -> (u64, u64) {
        let odd = self
            .records
            .values()
            .filter(|record| record.host == host && record.is_odd());
        let (must, all) = odd.fold((0, 0), |(must, all), record| (must + u64::from(record.must), all + 1));
        (must, all)
    }

    /// Records that the control plane fails at.
    pub(super) fn poison(&self) -> usize {
        let all = self.records.values();
        all.filter(|record| record.model.starts_with(POISON)).count()
    }

    /// All that was recorded, and how much of it is in the database.
    pub(super) fn counts(&self) -> (usize, usize) {
        let committed = self.records.values().filter(|record| record.committed);
        (self.records.len(), committed.count())
    }

    /// At the very end: what is to be in the database is there.
    pub(super) fn close(&mut self, is_out: impl Fn(usize) -> bool) {
        for record in self.records.values() {
            let odd = record.is_odd();
            if record.must && !record.committed && !odd && !is_out(record.host) {
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
