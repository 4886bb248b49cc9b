//! Delivers records to the control plane, in batches and in order, until it confirms that they are committed.
//!
//! A batch at which the control plane fails is halved until the one record that causes the failure is found. It becomes a suspect:
//! others overtake it, and it is tried again after they have been delivered. If it still fails after a few tries, it is set
//! aside. While nothing else can be delivered, only the control plane is to blame.

mod suspects;
#[cfg(test)]
mod tests;

use crate::shared::Shared;
use crate::spool::{Batch, BatchLimits, Entry, Position};
use lychgate_link::{LinkError, Receipt};
use lychgate_types::backoff::Backoff;
use std::sync::Arc;
use std::time::Duration;
use suspects::Suspects;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Most records in a batch: a full spool is delivered in large ones, for each of which the control plane syncs its disk once.
const BATCH_RECORDS: usize = 2048;
/// Most bytes in a batch, except for its last record.
const BATCH_BYTES: usize = 2 << 20;
/// Most records in a batch while the cause of a failure is being looked for.
const NARROWED_RECORDS: usize = 256;
/// A batch of this many records does not wait for more.
const NO_LINGER_RECORDS: u64 = 256;
/// How long the first record of a batch waits for others: a transaction of many rows costs little more than of one.
const LINGER: Duration = Duration::from_millis(20);
/// How often the disk may fail to read records back before they are skipped.
const MAX_READ_FAILURES: u32 = 5;

/// Delivers, until its task is aborted.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut delivery = Delivery {
        from: shared.spool.begin(),
        acknowledged: shared.spool.begin(),
        max_records: BATCH_RECORDS,
        suspects: Suspects::default(),
        read_failures: 0,
        backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
        attached: shared.attached.subscribe(),
        shared,
    };
    loop {
        delivery.step().await;
    }
}

#[derive(Debug)]
struct Delivery {
    shared: Arc<Shared>,
    /// Where the next batch begins.
    from: Position,
    /// How far the spool has been told that everything is settled.
    acknowledged: Position,
    /// Most records in the next batch.
    max_records: usize,
    suspects: Suspects,
    read_failures: u32,
    backoff: Backoff,
    attached: watch::Receiver<bool>,
}

impl Delivery {
    async fn step(&mut self) {
        let (overtaken, stalled) = (self.suspects.next_overtaken(), self.suspects.next_stalled());
        let spool = Arc::clone(&self.shared.spool);
        tokio::select! {
            biased;
            index = until_due(overtaken) => self.retry(index).await,
            () = spool.until_more(self.from) => self.deliver().await,
            // Whatever failed may work again, and there may never be another record.
            index = until_due(stalled) => self.retry(index).await,
        }
    }

    /// Delivers the next batch.
    async fn deliver(&mut self) {
        if self.shared.spool.depth() < NO_LINGER_RECORDS {
            sleep(LINGER).await;
        }
        let Some(batch) = self.read().await else { return };
        if batch.entries.is_empty() {
            self.from = batch.end;
            return self.acknowledge().await;
        }
        self.note_oldest(batch.entries.first());
        match self.send(&batch.entries).await {
            Ok(()) => {
                self.from = batch.end;
                self.max_records = BATCH_RECORDS;
                self.suspects.others_delivered();
                self.acknowledge().await;
            }
            Err(error) => {
                if matches!(error, LinkError::Internal { .. }) {
                    self.narrow(batch);
                }
                self.pause().await;
            }
        }
    }

    /// One record may be to blame: finds it by halving, and lets the others overtake it.
    fn narrow(&mut self, batch: Batch) {
        match <[Entry; 1]>::try_from(batch.entries) {
            Err(entries) => self.max_records = (entries.len() / 2).min(NARROWED_RECORDS),
            Ok([entry]) if !self.suspects.is_full() => {
                self.suspects.add(entry);
                self.from = batch.end;
                self.max_records = BATCH_RECORDS;
            }
            Ok(_) => {
                self.from = self.settled();
                self.suspects.clear();
            }
        }
    }

    /// Tries a suspect again, alone.
    async fn retry(&mut self, index: usize) {
        let mut suspect = self.suspects.take(index);
        match self.send(std::slice::from_ref(&suspect.entry)).await {
            Ok(()) => {
                self.suspects.others_delivered();
                self.acknowledge().await;
            }
            Err(LinkError::Internal { .. }) => {
                if suspect.reschedule(&self.shared.ambient) {
                    self.suspects.put_back(suspect);
                } else {
                    let why = "the control plane fails at it while it accepts others";
                    self.set_aside(&suspect.entry, why).await;
                    self.acknowledge().await;
                }
            }
            Err(_) => {
                self.suspects.put_back(suspect);
                self.pause().await;
            }
        }
    }

    async fn send(&mut self, entries: &[Entry]) -> Result<(), LinkError> {
        let records = entries.iter().map(|entry| entry.record.clone()).collect();
        match self.shared.link.deliver(self.shared.replica_id, records).await {
            Ok(receipt) => {
                self.shared.lookup_health.success();
                self.backoff.reset();
                let accepted = entries.len().saturating_sub(receipt.rejected.len());
                self.shared.counts.delivery.delivered.add(accepted as u64);
                self.set_rejected_aside(entries, receipt).await;
                Ok(())
            }
            Err(error) => {
                self.shared.lookup_health.failure();
                self.shared.counts.delivery.failures.count();
                tracing::warn!(%error, waiting = self.shared.spool.depth(), "records could not be delivered; they stay in the spool");
                Err(error)
            }
        }
    }

    /// Of several with one id, the last is meant: the first is the interception, and the others are its ends, which fall with it.
    async fn set_rejected_aside(&mut self, entries: &[Entry], receipt: Receipt) {
        let mut left: Vec<&Entry> = entries.iter().collect();
        for rejected in receipt.rejected {
            let Some(at) = left.iter().rposition(|entry| entry.record.id() == rejected.id) else {
                continue;
            };
            let entry = left.remove(at);
            if self.suspects.has(rejected.id) && !self.suspects.is_full() {
                // The end of an interception that is not delivered yet.
                self.suspects.add(entry.clone());
                continue;
            }
            tracing::error!(id = %rejected.id, reason = %rejected.reason, "the control plane rejected this record");
            self.set_aside(entry, "the control plane rejected it").await;
        }
    }

    /// Reads the next batch; `None` if the disk fails.
    async fn read(&mut self) -> Option<Batch> {
        let from = self.from;
        let limits = BatchLimits {
            records: self.max_records,
            bytes: BATCH_BYTES,
        };
        let read = self.shared.spool.run_blocking(move |spool| spool.read(from, limits));
        let error = match read.await? {
            Ok(batch) => {
                self.read_failures = 0;
                return Some(batch);
            }
            Err(error) => error,
        };
        tracing::error!(%error, "records can't be read back from the spool");
        self.read_failures += 1;
        if self.read_failures >= MAX_READ_FAILURES {
            self.read_failures = 0;
            let skip = self.shared.spool.run_blocking(move |spool| spool.skip_segment(from));
            self.from = skip.await?;
        }
        self.pause().await;
        None
    }

    /// Notes for the metrics when the record that has waited longest was made.
    fn note_oldest(&self, next: Option<&Entry>) {
        let waiting = self.suspects.entries().chain(next);
        let oldest = waiting.min_by_key(|entry| entry.place.begin);
        let record = oldest.and_then(|entry| entry.record.decode().ok());
        self.shared
            .counts
            .delivery
            .oldest
            .set(record.map(|record| record.ended_at));
    }

    async fn set_aside(&self, entry: &Entry, why: &'static str) {
        self.shared.counts.delivery.rejected.count();
        let place = entry.place;
        let spool = &self.shared.spool;
        spool.run_blocking(move |spool| spool.set_aside(place, why)).await;
    }

    /// Tells the spool how far everything is settled.
    async fn acknowledge(&mut self) {
        let to = self.settled();
        if to != self.acknowledged {
            self.acknowledged = to;
            self.shared.spool.run_blocking(move |spool| spool.acknowledge(to)).await;
        }
    }

    /// The position before which everything has been delivered or set aside.
    fn settled(&self) -> Position {
        self.suspects.first().unwrap_or(self.from)
    }

    /// Backs off; the link coming up again cuts it short.
    async fn pause(&mut self) {
        let delay = self.backoff.next(&self.shared.ambient);
        let detached = !*self.attached.borrow();
        tokio::select! {
            () = sleep(delay) => {}
            Ok(_) = self.attached.wait_for(|attached| *attached), if detached => {}
        }
    }
}

/// Waits until this suspect is due; forever without one.
async fn until_due(due: Option<(usize, Instant)>) -> usize {
    match due {
        Some((index, at)) => {
            sleep_until(at).await;
            index
        }
        None => std::future::pending().await,
    }
}
