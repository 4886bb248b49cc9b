//! What happens to records after they have been written, away from the request path: they are synced, and what the disk did not
//! accept is written again.

use super::Spool;
use super::journal::Unsynced;
use super::options::SpoolSync;
use lychgate_stream::Hold;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long records may be unsynced, unless each one is waited for.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// When a disk that failed is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long the end of an answer waits at most for its record.
const HOLD_TIMEOUT: Duration = Duration::from_secs(5);

/// A record that is not safe on disk, so that its answer must not look complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record of this exchange can't be stored")]
struct NotDurable;

/// Up to which ordinal records are as safe as they are meant to be.
#[derive(Debug, Clone, Default)]
pub(super) struct DurableUpTo {
    ordinal: u64,
    /// Those of the last sync that failed.
    lost: Range<u64>,
}

/// Waits until the record with this ordinal is safe.
pub(super) fn until_durable(mut durable: watch::Receiver<DurableUpTo>, ordinal: u64) -> Hold {
    Box::pin(async move {
        let changed = durable.wait_for(|upto| upto.ordinal >= ordinal || upto.lost.contains(&ordinal));
        match timeout(HOLD_TIMEOUT, changed).await {
            Ok(Ok(upto)) if !upto.lost.contains(&ordinal) => Ok(()),
            _ => Err(NotDurable.into()),
        }
    })
}

/// Flushes what comes in, until its task is aborted.
pub(crate) async fn run_flusher(spool: Arc<Spool>) {
    loop {
        spool.dirty.notified().await;
        if spool.sync == SpoolSync::Interval && !spool.is_failing() {
            sleep(SYNC_INTERVAL).await;
        }
        while !flush(&spool).await {
            sleep(RETRY_DELAY).await;
        }
    }
}

/// [`Spool::flush`] where it may block.
pub(crate) async fn flush(spool: &Arc<Spool>) -> bool {
    spool.run_blocking(Spool::flush).await.unwrap_or(true)
}

impl Spool {
    /// Writes what is not written and syncs what is not synced. Blocks. False: the disk fails, and this is to be tried again.
    pub(crate) fn flush(&self) -> bool {
        // What one takes to sync, another must not take for synced.
        let _one_at_a_time = self.flushing.lock();
        let (written, upto, unsynced) = {
            let mut writer = self.writer.lock();
            let written = self.write_pending(&mut writer);
            (written, writer.journal.end().ordinal, writer.journal.take_unsynced())
        };
        if self.sync == SpoolSync::Interval {
            self.durable_up_to(upto);
        }
        let synced = self.sync_all(&unsynced);
        let mut writer = self.writer.lock();
        match synced {
            Err(error) => {
                // What is not on disk now may never get there, and the next sync would not report that.
                writer.journal.close();
                self.disk_failed(&mut writer, "synced", &error);
                if self.sync == SpoolSync::Always {
                    self.durable.send_modify(|durable| {
                        durable.lost = durable.ordinal + 1..upto + 1;
                        durable.ordinal = upto;
                    });
                }
                return false;
            }
            Ok(()) => self.durable_up_to(upto),
        }
        if written {
            self.disk_recovered(&mut writer);
        }
        written
    }

    fn sync_all(&self, unsynced: &Unsynced) -> std::io::Result<()> {
        for log in &unsynced.logs {
            log.sync()?;
        }
        if unsynced.names {
            self.disk.sync_directory(&self.directory)?;
        }
        Ok(())
    }

    fn durable_up_to(&self, ordinal: u64) {
        self.durable.send_if_modified(|durable| {
            let more = ordinal > durable.ordinal;
            durable.ordinal = durable.ordinal.max(ordinal);
            more
        });
    }

    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }
}
