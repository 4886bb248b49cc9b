//! Hands records over to the control plane, in batches and in their order, until it says that they are committed.
//!
//! A batch at which the control plane fails is halved until the one record is found that is to blame. That one becomes a
//! [`Suspect`]: the others pass it, and it is tried again after each success of others. One that still fails after some tries
//! is set aside. Without a success of others nobody is to blame but the control plane.

use crate::shared::Shared;
use crate::spool::{Batch, Entry, Most, Position};
use lychgate_link::{LinkError, Receipt};
use lychgate_types::backoff::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Most records of one batch: a full spool goes in large ones, for which the control plane waits for its disk once.
const BATCH: usize = 2048;
/// Most bytes of one batch, but for the last record in it.
const BATCH_BYTES: usize = 2 << 20;
/// Most records of a batch among which one is looked for at which the control plane fails.
const DOUBTFUL: usize = 256;
/// A batch of so many does not wait for more.
const ENOUGH: u64 = 256;
/// How long the first record of a batch waits for company: one transaction of many rows costs little more than of one.
const LINGER: Duration = Duration::from_millis(20);
/// How often a record is tried while others pass.
const TRIES: u32 = 4;
/// The wait between the first two of them; each further one is twice as long.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// The ceilings of the first wait, and of any, until a record is tried that nobody passes.
const NOBODY_PASSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// More suspects than this at once mean that it is the control plane that fails.
const SUSPECTS: usize = 8;
/// How often the disk may fail to give records back, until they are passed over.
const READS: u32 = 5;

/// Delivers, for ever.
pub(crate) async fn run(core: Arc<Shared>) {
    let mut delivery = Delivery {
        from: core.spool.begin(),
        acknowledged: core.spool.begin(),
        most: BATCH,
        suspects: Vec::new(),
        failed_reads: 0,
        backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
        attached: core.attached.subscribe(),
        core,
    };
    loop {
        delivery.step().await;
    }
}

#[derive(Debug)]
struct Delivery {
    core: Arc<Shared>,
    /// Where reading goes on.
    from: Position,
    /// What the spool knows of it.
    acknowledged: Position,
    /// Most records of the next batch.
    most: usize,
    suspects: Vec<Suspect>,
    failed_reads: u32,
    backoff: Backoff,
    attached: watch::Receiver<bool>,
}

/// A record at which the control plane fails. The spool keeps it, and with it all behind it, until it is judged.
#[derive(Debug)]
struct Suspect {
    entry: Entry,
    tries: u32,
    /// Whether others were taken since it was last tried.
    others_passed: bool,
    not_before: Instant,
    /// Between tries that don't count, since nobody passed.
    backoff: Backoff,
}

impl Delivery {
    async fn step(&mut self) {
        let (passed, not_passed) = (self.due(true), self.due(false));
        let spool = Arc::clone(&self.core.spool);
        tokio::select! {
            biased;
            index = until_due(passed) => self.retry(index).await,
            () = spool.until_more(self.from) => self.deliver().await,
            // Whatever it was that failed may be over, and perhaps no other record ever comes.
            index = until_due(not_passed) => self.retry(index).await,
        }
    }

    /// The suspect to be tried next, and when, of those that others have passed or of the rest.
    fn due(&self, passed: bool) -> Option<(usize, Instant)> {
        let suspects = self.suspects.iter().enumerate();
        suspects
            .filter(|(_, suspect)| suspect.others_passed == passed)
            .map(|(index, suspect)| (index, suspect.not_before))
            .min_by_key(|(_, at)| *at)
    }

    /// Delivers the next batch.
    async fn deliver(&mut self) {
        if self.core.spool.depth() < ENOUGH {
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
                self.most = BATCH;
                self.others_passed();
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

    /// Perhaps one record is to blame: finds it by halving, and lets the others pass it.
    fn narrow(&mut self, batch: Batch) {
        match <[Entry; 1]>::try_from(batch.entries) {
            Err(entries) => self.most = (entries.len() / 2).min(DOUBTFUL),
            Ok([entry]) if self.suspects.len() < SUSPECTS => {
                self.suspects.push(Suspect {
                    entry,
                    tries: 1,
                    others_passed: false,
                    not_before: Instant::now() + TRY_AGAIN,
                    backoff: Backoff::new(NOBODY_PASSES.0, NOBODY_PASSES.1),
                });
                self.from = batch.end;
                self.most = BATCH;
            }
            Ok(_) => {
                self.from = self.judged();
                self.suspects.clear();
            }
        }
    }

    /// Tries a suspect again, alone.
    async fn retry(&mut self, index: usize) {
        let mut suspect = self.suspects.swap_remove(index);
        match self.send(std::slice::from_ref(&suspect.entry)).await {
            Ok(()) => {
                self.others_passed();
                self.acknowledge().await;
            }
            Err(LinkError::Internal { .. }) if !suspect.others_passed => {
                suspect.not_before = Instant::now() + suspect.backoff.next(&self.core.ambient);
                self.suspects.push(suspect);
            }
            Err(LinkError::Internal { .. }) if suspect.tries + 1 >= TRIES => {
                let why = "the control plane fails at it while it takes others";
                self.set_aside(&suspect.entry, why).await;
                self.acknowledge().await;
            }
            Err(LinkError::Internal { .. }) => self.suspects.push(Suspect {
                tries: suspect.tries + 1,
                others_passed: false,
                not_before: Instant::now() + TRY_AGAIN * (1 << suspect.tries),
                ..suspect
            }),
            Err(_) => {
                self.suspects.push(suspect);
                self.pause().await;
            }
        }
    }

    /// The control plane has taken records.
    fn others_passed(&mut self) {
        for suspect in &mut self.suspects {
            suspect.others_passed = true;
        }
    }

    async fn send(&mut self, entries: &[Entry]) -> Result<(), LinkError> {
        let records = entries.iter().map(|entry| entry.record.clone()).collect();
        let answer = self.core.link.deliver(self.core.replica_id, records).await;
        self.core.answers.note(answer.is_ok());
        match answer {
            Ok(receipt) => {
                self.backoff.reset();
                let taken = entries.len().saturating_sub(receipt.rejected.len());
                self.core.counts.delivery.delivered.add(taken as u64);
                self.set_rejected_aside(entries, receipt).await;
                Ok(())
            }
            Err(error) => {
                self.core.counts.delivery.failures.count();
                tracing::warn!(%error, waiting = self.core.spool.depth(), "records could not be delivered; they wait");
                Err(error)
            }
        }
    }

    async fn set_rejected_aside(&self, entries: &[Entry], receipt: Receipt) {
        for rejected in receipt.rejected {
            tracing::error!(id = %rejected.id, reason = %rejected.reason, "the control plane can't take this record");
            if let Some(entry) = entries.iter().find(|entry| entry.record.id() == rejected.id) {
                self.set_aside(entry, "the control plane can't take it").await;
            }
        }
    }

    /// Reads the next batch; none where the disk fails.
    async fn read(&mut self) -> Option<Batch> {
        let (from, most) = (self.from, self.most);
        let most = Most {
            records: most,
            bytes: BATCH_BYTES,
        };
        let failed = match self
            .core
            .spool
            .off_the_runtime(move |spool| spool.read(from, most))
            .await?
        {
            Ok(batch) => {
                self.failed_reads = 0;
                return Some(batch);
            }
            Err(error) => error,
        };
        tracing::error!(error = %failed, "records can't be read back from the spool");
        self.failed_reads += 1;
        if self.failed_reads >= READS {
            self.failed_reads = 0;
            self.from = self
                .core
                .spool
                .off_the_runtime(move |spool| spool.pass_over(from))
                .await?;
        }
        self.pause().await;
        None
    }

    /// Notes for the metrics when the record was made that has waited longest.
    fn note_oldest(&self, next: Option<&Entry>) {
        let waiting = self.suspects.iter().map(|suspect| &suspect.entry).chain(next);
        let oldest = waiting.min_by_key(|entry| entry.place.begin);
        let made = oldest.and_then(|entry| entry.record.decode().ok());
        self.core.counts.delivery.oldest.set(made.map(|record| record.ended_at));
    }

    async fn set_aside(&self, entry: &Entry, why: &'static str) {
        self.core.counts.delivery.rejected.count();
        let place = entry.place;
        self.core
            .spool
            .off_the_runtime(move |spool| spool.set_aside(place, why))
            .await;
    }

    /// Tells the spool how far all is settled.
    async fn acknowledge(&mut self) {
        let to = self.judged();
        if to != self.acknowledged {
            self.acknowledged = to;
            self.core
                .spool
                .off_the_runtime(move |spool| spool.acknowledge(to))
                .await;
        }
    }

    /// The place up to which nothing is open.
    fn judged(&self) -> Position {
        let open = self.suspects.iter().map(|suspect| suspect.entry.place.begin);
        open.min().unwrap_or(self.from)
    }

    /// Waits; a link that comes up again ends the wait.
    async fn pause(&mut self) {
        let wait = self.backoff.next(&self.core.ambient);
        let down = !*self.attached.borrow();
        tokio::select! {
            () = sleep(wait) => {}
            Ok(_) = self.attached.wait_for(|up| *up), if down => {}
        }
    }
}

/// Waits until this suspect is to be tried; for ever where there is none.
async fn until_due(due: Option<(usize, Instant)>) -> usize {
    match due {
        Some((index, at)) => {
            sleep_until(at).await;
            index
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
