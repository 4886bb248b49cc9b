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
pub(crate) async fn run(core: Arc<Shared>) {
    let (heartbeats, _) = watch::channel(Heartbeat::default());
    let mut after_loss = Backoff::new(AFTER_LOSS.0, AFTER_LOSS.1);
    let mut after_refusal = Backoff::new(AFTER_REFUSAL.0, AFTER_REFUSAL.1);
    let mut after_reversible = Backoff::new(AFTER_REVERSIBLE_REFUSAL.0, AFTER_REVERSIBLE_REFUSAL.1);
    loop {
        let disconnect = match open(&core, &heartbeats).await {
            Ok(opened) => {
                after_loss.reset();
                after_refusal.reset();
                after_reversible.reset();
                match follow(&core, &heartbeats, opened).await {
                    End::Disconnected(disconnect) => {
                        core.counts.link.losses.count();
                        disconnect
                    }
                    End::Leaving(attached) => return say_goodbye(&core, heartbeats, attached).await,
                }
            }
            Err(disconnect) => disconnect,
        };
        let delay = match disconnect {
            Disconnect::Lost(reason) => {
                tracing::warn!(reason = %reason.message, "the control link is down");
                if core.replica_state.load().link.is_attached() {
                    offline::write_snapshot(&core).await;
                }
                set_lost(&core, reason);
                after_loss.next(&core.ambient)
            }
            Disconnect::Refused(reason) => {
                tracing::error!(reason = %reason.message, "the control plane refuses this replica; no requests are accepted");
                let backoff = if matches!(reason.trouble, LinkTrouble::Refused(refusal) if refusal.is_reversible()) {
                    &mut after_reversible
                } else {
                    &mut after_refusal
                };
                set_refused(&core, reason);
                backoff.next(&core.ambient)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            // With another key there is nothing to wait for.
            () = core.link.renewed() => {}
        }
    }
}

/// One attachment, from its first message to its end; with a new key, another one takes its place meanwhile.
async fn follow(core: &Shared, heartbeats: &watch::Sender<Heartbeat>, opened: Opened) -> End {
    let renewing = AtomicBool::new(false);
    let mut renewal = pin!(renew(core, heartbeats, &renewing));
    let mut ticks = tokio::time::interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut attached = begin(core, heartbeats, opened);
    let mut leaving = core.leaving.subscribe();
    loop {
        let opened = tokio::select! {
            biased;
            () = until_leaving(&mut leaving) => return End::Leaving(attached),
            event = attached.events.next() => match apply(core, &mut attached.position, event) {
                Ok(()) => {
                    send_heartbeat(core, heartbeats);
                    continue;
                }
                Err(disconnect) if !renewing.load(Ordering::Relaxed) => return End::Disconnected(disconnect),
                // The control plane closes this stream when the other one is opened.
                Err(disconnect) => match timeout(OVERLAP, &mut renewal).await {
                    Ok(opened) => opened,
                    Err(_) => return End::Disconnected(disconnect),
                },
            },
            opened = &mut renewal => opened,
            _ = ticks.tick() => {
                send_heartbeat(core, heartbeats);
                continue;
            }
        };
        attached = begin(core, heartbeats, opened);
        renewal.set(renew(core, heartbeats, &renewing));
    }
}

/// Returns once this process is to detach.
async fn until_leaving(leaving: &mut watch::Receiver<bool>) {
    // Its sender lives as long as the core does.
    let _ = leaving.wait_for(|leaving| *leaving).await;
}

/// Announces with the last heartbeat that this replica is leaving, and lets the control plane close the stream: only then has it
/// been received.
async fn say_goodbye(core: &Shared, heartbeats: watch::Sender<Heartbeat>, mut attached: Attached) {
    send_heartbeat(core, &heartbeats);
    drop(heartbeats);
    // What arrives until then matters to the next process, which starts from the snapshot of this one.
    loop {
        let event = attached.events.next().await;
        match apply(core, &mut attached.position, event) {
            Ok(()) => {}
            Err(Disconnect::Refused(reason)) => return set_refused(core, reason),
            Err(Disconnect::Lost(_)) => return,
        }
    }
}

/// Waits for a new key, and opens a stream with it. If that key is refused, waits for the next one.
async fn renew(core: &Shared, heartbeats: &watch::Sender<Heartbeat>, renewing: &AtomicBool) -> Opened {
    let mut backoff = Backoff::new(AFTER_LOSS.0, AFTER_LOSS.1);
    loop {
        renewing.store(false, Ordering::Relaxed);
        core.link.renewed().await;
        renewing.store(true, Ordering::Relaxed);
        loop {
            match open(core, heartbeats).await {
                Ok(opened) => return opened,
                Err(Disconnect::Lost(reason)) => {
                    tracing::warn!(reason = %reason.message, "attaching with the new gateway key failed; trying again");
                    tokio::time::sleep(backoff.next(&core.ambient)).await;
                }
                Err(Disconnect::Refused(reason)) => {
                    tracing::error!(reason = %reason.message, "the new gateway key is refused; the previous one stays in use");
                    break;
                }
            }
        }
    }
}
