//! Hands records over to the control plane, in batches, until it says that they are committed.

use crate::core::Core;
use lychgate_link::{EncodedRecord, LinkError, Receipt};
use lychgate_types::backoff::Backoff;
use std::sync::Arc;
use std::time::Duration;

/// Most records of one batch.
const BATCH: usize = 256;
/// How long the first record of a batch waits for company: one transaction of many rows costs little more than of one.
const LINGER: Duration = Duration::from_millis(20);

/// Delivers, for ever.
pub(crate) async fn run(core: Arc<Core>) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut attached = core.attached.subscribe();
    let mut most = BATCH;
    loop {
        core.spool.until_filled().await;
        if core.spool.depth() < BATCH {
            tokio::time::sleep(LINGER).await;
        }
        let batch: Vec<_> = core
            .spool
            .peek(most)
            .iter()
            .map(|record| EncodedRecord::encode((**record).clone()))
            .collect();
        let count = batch.len();
        match core.link.deliver(core.replica_id, batch).await {
            Ok(receipt) => {
                set_aside(&receipt);
                core.spool.acknowledge(count);
                backoff.reset();
                most = BATCH;
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, waiting = core.spool.depth(), "records could not be delivered; they wait");
                if matches!(error, LinkError::Internal { .. }) {
                    // Perhaps one record is to blame: find it by halving, and let the others pass it.
                    if count == 1 {
                        core.spool.rotate();
                    }
                    most = (count / 2).max(1);
                }
            }
        }
        // A link that comes up again ends the wait.
        tokio::select! {
            () = tokio::time::sleep(backoff.next(&core.ambient)) => {}
            Ok(_) = attached.wait_for(|up| *up), if !*attached.borrow() => {}
        }
    }
}

fn set_aside(receipt: &Receipt) {
    for rejected in &receipt.rejected {
        tracing::error!(id = %rejected.id, reason = %rejected.reason, "the control plane can't take this record; it is given up");
    }
}
