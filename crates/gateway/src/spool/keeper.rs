//! What happens to written records off the request's way: they are synced, and what the disk did not take is offered to it again.

use super::Spool;
use super::journal::Unsynced;
use crate::spool::SpoolSync;
use lychgate_stream::Hold;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long records may be unsynced, unless each is waited for.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// When a disk that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Longest that an answer's end waits for its record.
const HOLD: Duration = Duration::from_secs(5);

/// A record that is not safe on disk, so that its answer must not look complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record of this exchange can't be kept")]
struct NotKept;

/// How far the records are as safe as they should be, by their ordinals.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    upto: u64,
    /// Those of the last sync that failed.
    lost: Range<u64>,
}

/// Waits until the record of this ordinal is safe.
pub(super) fn until_kept(mut kept: watch::Receiver<Kept>, ordinal: u64) -> Hold {
    Box::pin(async move {
        let told = kept.wait_for(|kept| kept.upto >= ordinal || kept.lost.contains(&ordinal));
        match timeout(HOLD, told).await {
            Ok(Ok(kept)) if !kept.lost.contains(&ordinal) => Ok(()),
            _ => Err(NotKept.into()),
        }
    })
}

/// Keeps what comes in, for ever.
pub(crate) async fn keep(spool: Arc<Spool>) {
    loop {
        spool.dirty.notified().await;
        if spool.sync == SpoolSync::Interval && !spool.is_troubled() {
            sleep(SYNC_EVERY).await;
        }
        while !settle(&spool).await {
            sleep(RETRY_AFTER).await;
        }
    }
}

/// [`Spool::settle`] where it may block.
pub(crate) async fn settle(spool: &Arc<Spool>) -> bool {
    spool.off_the_runtime(Spool::settle).await.unwrap_or(true)
}

impl Spool {
    /// Writes what is left to write and syncs what is left to sync. Blocks. False: the disk fails, and it is to be tried again.
    fn settle(&self) -> bool {
        let (written, upto, unsynced) = {
            let mut writer = self.writer();
            let written = self.write_on(&mut writer);
            (written, writer.journal.end().ordinal, writer.journal.take_unsynced())
        };
        if self.sync == SpoolSync::Interval {
            self.tell(upto);
        }
        let synced = self.sync_all(&unsynced);
        let mut writer = self.writer();
        match synced {
            Err(error) => {
                // What is not on disk now may never get there, and the next sync would not say so.
                writer.journal.close();
                self.trouble(&mut writer, "synced", &error);
                if self.sync == SpoolSync::Always {
                    self.kept.send_modify(|kept| {
                        kept.lost = kept.upto + 1..upto + 1;
                        kept.upto = upto;
                    });
                }
                return false;
            }
            Ok(()) => self.tell(upto),
        }
        if written {
            self.relieved(&mut writer);
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

    fn tell(&self, upto: u64) {
        self.kept.send_if_modified(|kept| {
            let more = upto > kept.upto;
            kept.upto = kept.upto.max(upto);
            more
        });
    }

    fn is_troubled(&self) -> bool {
        self.troubled.load(std::sync::atomic::Ordering::Acquire)
    }
}
