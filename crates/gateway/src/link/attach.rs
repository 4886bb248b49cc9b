//! Keeps this replica attached to the control plane.
//!
//! It never gives up and never ends the process: a replica that is refused keeps trying, slowly, so that it recovers by itself
//! when its key does. A new key is used to open a second stream before the first one is closed.

mod apply;
mod disconnect;
mod heartbeat;
mod open;

use apply::{apply, begin};
use disconnect::{Disconnect, set_lost, set_refused};
use heartbeat::send_heartbeat;
use open::{Attached, Opened, open};

use crate::link::offline;
use crate::shared::Shared;
use futures_util::StreamExt as _;
use lychgate_link::Heartbeat;
use lychgate_telemetry::metrics::LinkTrouble;
use lychgate_types::backoff::Backoff;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How often a changed load is reported.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a replica whose key is refused goes on while it is attaching with its new key.
const OVERLAP: Duration = Duration::from_secs(1);

/// How long a replica that is refused waits until its last report was heard.
const LAST_REPORT: Duration = Duration::from_secs(1);

/// Upper limits of the first delay after a loss, and of any. A control plane that comes back has all its replicas within seconds.
const AFTER_LOSS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// The same after a refusal.
const AFTER_REFUSAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The same if an operator, who will be waiting for it, can make the key acceptable again with one command.
const AFTER_REVERSIBLE_REFUSAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// How an attachment ended.
enum End {
    Disconnected(Disconnect),
    /// This process is ending.
    Leaving(Attached),
}

/// Attaches, follows the stream, and attaches again, until the process ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let (heartbeats, _) = watch::channel(Heartbeat::default());
    let mut after_loss = Backoff::new(AFTER_LOSS.0, AFTER_LOSS.1);
    let mut after_refusal = Backoff::new(AFTER_REFUSAL.0, AFTER_REFUSAL.1);
    let mut after_reversible = Backoff::new(AFTER_REVERSIBLE_REFUSAL.0, AFTER_REVERSIBLE_REFUSAL.1);
    loop {
        let disconnect = match open(&shared, &heartbeats).await {
            Ok(opened) => {
                after_loss.reset();
                after_refusal.reset();
                after_reversible.reset();
                match follow(&shared, &heartbeats, opened).await {
                    End::Disconnected(disconnect) => {
                        shared.counts.link.losses.count();
                        disconnect
                    }
                    End::Leaving(attached) => return say_goodbye(&shared, heartbeats, attached).await,
                }
            }
            Err(disconnect) => disconnect,
        };
        let delay = match disconnect {
            Disconnect::Lost(reason) => {
                tracing::warn!(reason = %reason.message, "the control link is down");
                if shared.replica_state.load().link.is_attached() {
                    offline::write_snapshot(&shared).await;
                }
                set_lost(&shared, reason);
                after_loss.next(&shared.ambient)
            }
            Disconnect::Refused(reason) => {
                tracing::error!(reason = %reason.message, "the control plane refuses this replica; no requests are accepted");
                let backoff = if matches!(reason.trouble, LinkTrouble::Refused(refusal) if refusal.is_reversible()) {
                    &mut after_reversible
                } else {
                    &mut after_refusal
                };
                set_refused(&shared, reason);
                backoff.next(&shared.ambient)
            }
        };
        tokio::select! {
            biased;
            // With another key there is nothing to wait for.
            () = shared.link.renewed() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// One attachment, from its first message to its end; with a new key, another one takes its place meanwhile.
async fn follow(shared: &Shared, heartbeats: &watch::Sender<Heartbeat>, opened: Opened) -> End {
    let renewing = AtomicBool::new(false);
    let mut renewal = pin!(renew(shared, heartbeats, &renewing));
    let mut ticks = tokio::time::interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut attached = begin(shared, heartbeats, opened);
    let mut leaving = shared.leaving.subscribe();
    loop {
        let opened = tokio::select! {
            biased;
            () = until_leaving(&mut leaving) => return End::Leaving(attached),
            event = attached.events.next() => match apply(shared, &mut attached.position, event) {
                Ok(()) => {
                    send_heartbeat(shared, heartbeats);
                    continue;
                }
                Err(disconnect) if !renewing.load(Ordering::Relaxed) => {
                    if let Disconnect::Refused(reason) = &disconnect {
                        set_refused(shared, reason.clone());
                        report_last(shared, heartbeats, attached).await;
                    }
                    return End::Disconnected(disconnect);
                }
                // The control plane closes this stream when the other one is opened. Until that is here, nothing is attached.
                Err(disconnect) => {
                    set_lost(shared, disconnect.reason().clone());
                    match timeout(OVERLAP, &mut renewal).await {
                        Ok(opened) => opened,
                        Err(_) => return End::Disconnected(disconnect),
                    }
                }
            },
            opened = &mut renewal => opened,
            _ = ticks.tick() => {
                send_heartbeat(shared, heartbeats);
                continue;
            }
        };
        attached = begin(shared, heartbeats, opened);
        renewal.set(renew(shared, heartbeats, &renewing));
    }
}

/// Returns once this process is to detach.
async fn until_leaving(leaving: &mut watch::Receiver<bool>) {
    // Its sender lives as long as the shared state does.
    let _ = leaving.wait_for(|leaving| *leaving).await;
}

/// Tells a control plane that has just refused this replica what it leaves behind. The end of the stream says that this was heard.
async fn report_last(shared: &Shared, heartbeats: &watch::Sender<Heartbeat>, mut attached: Attached) {
    send_heartbeat(shared, heartbeats);
    let heard = async { while let Some(Ok(_)) = attached.events.next().await {} };
    // Nobody depends on it.
    let _ = timeout(LAST_REPORT, heard).await;
}

/// Announces with the last heartbeat that this replica is leaving, and lets the control plane close the stream: only then has it
/// been received.
async fn say_goodbye(shared: &Shared, heartbeats: watch::Sender<Heartbeat>, mut attached: Attached) {
    send_heartbeat(shared, &heartbeats);
    drop(heartbeats);
    // What arrives until then matters to the next process, which starts from the snapshot of this one.
    loop {
        let event = attached.events.next().await;
        match apply(shared, &mut attached.position, event) {
            Ok(()) => {}
            Err(Disconnect::Refused(reason)) => return set_refused(shared, reason),
            Err(Disconnect::Lost(_)) => return,
        }
    }
}

/// Waits for a new key, and opens a stream with it. If that key is refused, waits for the next one.
async fn renew(shared: &Shared, heartbeats: &watch::Sender<Heartbeat>, renewing: &AtomicBool) -> Opened {
    let mut backoff = Backoff::new(AFTER_LOSS.0, AFTER_LOSS.1);
    loop {
        renewing.store(false, Ordering::Relaxed);
        shared.link.renewed().await;
        renewing.store(true, Ordering::Relaxed);
        loop {
            match open(shared, heartbeats).await {
                Ok(opened) => return opened,
                Err(Disconnect::Lost(reason)) => {
                    tracing::warn!(reason = %reason.message, "attaching with the new gateway key failed; trying again");
                    tokio::time::sleep(backoff.next(&shared.ambient)).await;
                }
                Err(Disconnect::Refused(reason)) => {
                    tracing::error!(reason = %reason.message, "the new gateway key is refused; the previous one stays in use");
                    break;
                }
            }
        }
    }
}
