//! Keeps the long stream from the control plane open, and turns what comes down it into what this replica believes.
//!
//! It never gives up and never ends the process: a replica that is refused keeps trying, slowly, so that it comes back by
//! itself when the key does. A new key is shown over a second stream, before the first one is let go.

mod disconnect;

use disconnect::{Over, closed, failed, lost, refused};

use crate::replica_state::{Snapshot, Standing};
use crate::shared::Shared;
use crate::snapshot;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use lychgate_link::{Configuration, Down, Heartbeat, Hello, LinkError, Message, PROTOCOL};
use lychgate_telemetry::metrics::labels::LinkTrouble;
use lychgate_types::backoff::Backoff;
use lychgate_types::secret::SpoolKey;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How often a changed load is told upward.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for the stream to open, and again for the configuration that comes first.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a replica whose key is refused goes on while its new key may be let in any moment.
const OVERLAP: Duration = Duration::from_secs(1);

/// The ceilings of the first wait after a loss, and of any. A control plane that comes back has all its replicas within seconds.
const SOON: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// The same for a replica that is refused.
const SLOWLY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The same where one command of an operator, who waits for it then, lets the key in again.
const MENDED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// How attending an attachment ended.
enum End {
    /// From the other side.
    Over(Over),
    /// This process is ending.
    Leaving(Attached),
}

/// An open stream, and its place in the feed of changes.
struct Attached {
    events: BoxStream<'static, Result<Down, LinkError>>,
    at: u64,
}

/// A stream whose first message has come but is not in force yet.
struct Opened {
    attached: Attached,
    configuration: Arc<Configuration>,
    spool_key: SpoolKey,
    /// Whether what is believed about tokens is still good.
    resumed: bool,
}

type Event = Option<Result<Down, LinkError>>;

/// Attaches, listens, and attaches again, until the process leaves.
pub(crate) async fn run(core: Arc<Shared>) {
    let (heartbeats, _) = watch::channel(Heartbeat::default());
    let mut soon = Backoff::new(SOON.0, SOON.1);
    let mut slowly = Backoff::new(SLOWLY.0, SLOWLY.1);
    let mut mended = Backoff::new(MENDED.0, MENDED.1);
    loop {
        let over = match open(&core, &heartbeats).await {
            Ok(opened) => {
                soon.reset();
                slowly.reset();
                mended.reset();
                match attend(&core, &heartbeats, opened).await {
                    End::Over(over) => {
                        core.counts.link.losses.count();
                        over
                    }
                    End::Leaving(attached) => return say_goodbye(&core, heartbeats, attached).await,
                }
            }
            Err(over) => over,
        };
        let wait = match over {
            Over::Lost(why) => {
                tracing::warn!(why = %why.words, "the control link is down");
                if core.snapshot.load().standing.is_attached() {
                    snapshot::write(&core).await;
                }
                lost(&core, why);
                soon.next(&core.ambient)
            }
            Over::Refused(why) => {
                tracing::error!(why = %why.words, "the control plane does not let this replica in; no requests are taken");
                let backoff = if can_be_mended(why.trouble) {
                    &mut mended
                } else {
                    &mut slowly
                };
                refused(&core, why);
                backoff.next(&core.ambient)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // With another key there is nothing to wait for.
            () = core.link.renewed() => {}
        }
    }
}

/// Whether the same key may be let in again: one that is disabled, expired, or bound to other networks.
const fn can_be_mended(trouble: LinkTrouble) -> bool {
    matches!(
        trouble,
        LinkTrouble::KeyDisabled | LinkTrouble::KeyExpired | LinkTrouble::SourceNotAllowed
    )
}

/// Opens a stream and waits for the configuration.
async fn open(core: &Shared, heartbeats: &watch::Sender<Heartbeat>) -> Result<Opened, Over> {
    let asked = core.applied.load(Ordering::Acquire);
    let hello = Hello {
        replica_id: core.replica_id,
        name: core.options.name.clone(),
        version: core.options.version.clone(),
        protocol: PROTOCOL,
        address: core.options.address.clone(),
        labels: core.options.labels.clone(),
        resume_after: asked,
    };
    heartbeat(core, heartbeats);
    let attachment = match timeout(OPEN_TIMEOUT, core.link.attach(hello, heartbeats.subscribe())).await {
        Ok(attachment) => attachment.map_err(|error| failed(&error))?,
        Err(_) => return Err(Over::lost(LinkTrouble::NoAnswer, "it did not answer in time")),
    };
    let mut events = attachment.events;
    let first = timeout(OPEN_TIMEOUT, events.next()).await;
    let first = first.map_err(|_| Over::lost(LinkTrouble::NoAnswer, "it sent no configuration in time"))?;
    let down = said(first)?;
    match down.message {
        Message::Configuration {
            configuration,
            resumed,
            spool_key,
        } => Ok(Opened {
            attached: Attached {
                events,
                at: down.sequence,
            },
            configuration,
            spool_key,
            resumed: resumed && down.after == asked,
        }),
        _ => Err(Over::lost(
            LinkTrouble::UnexpectedAnswer,
            "it did not begin with a configuration",
        )),
    }
}

/// One attachment, from its first message to its end; a new key puts another in its place on the way.
async fn attend(core: &Shared, heartbeats: &watch::Sender<Heartbeat>, opened: Opened) -> End {
    let under_way = AtomicBool::new(false);
    let mut renewal = pin!(renew(core, heartbeats, &under_way));
    let mut beat = tokio::time::interval(HEARTBEAT_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut attached = begin(core, heartbeats, opened);
    let mut leaving = core.leaving.subscribe();
    loop {
        let opened = tokio::select! {
            biased;
            () = left(&mut leaving) => return End::Leaving(attached),
            event = attached.events.next() => match hear(core, &mut attached.at, event) {
                Ok(()) => {
                    heartbeat(core, heartbeats);
                    continue;
                }
                Err(over) if !under_way.load(Ordering::Relaxed) => return End::Over(over),
                // The control plane ends this stream when the other one comes.
                Err(over) => match timeout(OVERLAP, &mut renewal).await {
                    Ok(opened) => opened,
                    Err(_) => return End::Over(over),
                },
            },
            opened = &mut renewal => opened,
            _ = beat.tick() => {
                heartbeat(core, heartbeats);
                continue;
            }
        };
        attached = begin(core, heartbeats, opened);
        renewal.set(renew(core, heartbeats, &under_way));
    }
}

/// Returns once this process is to leave.
async fn left(leaving: &mut watch::Receiver<bool>) {
    // Its sender lives as long as the core does.
    let _ = leaving.wait_for(|leaving| *leaving).await;
}

/// Says with the last heartbeat that this replica goes, and lets the control plane end the stream: only then has it heard.
async fn say_goodbye(core: &Shared, heartbeats: watch::Sender<Heartbeat>, mut attached: Attached) {
    heartbeat(core, &heartbeats);
    drop(heartbeats);
    // What comes until then counts for the next start, which begins by what this one leaves in the snapshot.
    loop {
        let event = attached.events.next().await;
        match hear(core, &mut attached.at, event) {
            Ok(()) => {}
            Err(Over::Refused(why)) => return refused(core, why),
            Err(Over::Lost(_)) => return,
        }
    }
}

/// Waits for a new key, and opens a stream that shows it. Where that key is not let in, waits for the next one.
async fn renew(core: &Shared, heartbeats: &watch::Sender<Heartbeat>, under_way: &AtomicBool) -> Opened {
    let mut soon = Backoff::new(SOON.0, SOON.1);
    loop {
        under_way.store(false, Ordering::Relaxed);
        core.link.renewed().await;
        under_way.store(true, Ordering::Relaxed);
        loop {
            match open(core, heartbeats).await {
                Ok(opened) => return opened,
                Err(Over::Lost(why)) => {
                    tracing::warn!(why = %why.words, "the new gateway key could not be shown yet");
                    tokio::time::sleep(soon.next(&core.ambient)).await;
                }
                Err(Over::Refused(why)) => {
                    tracing::error!(why = %why.words, "the new gateway key is not let in; the one before is used on");
                    break;
                }
            }
        }
    }
}

/// Puts an opened stream's first message in force.
fn begin(core: &Shared, heartbeats: &watch::Sender<Heartbeat>, opened: Opened) -> Attached {
    if !opened.resumed {
        // While nobody was attached, revocations may have been missed.
        core.leases.forget_all();
    }
    core.counts.link.attachments.count();
    configure(core, &opened.configuration, &opened.spool_key);
    core.applied.store(opened.attached.at, Ordering::Release);
    heartbeat(core, heartbeats);
    opened.attached
}

/// Does what a later message says. `at` is the stream's place in the feed of changes.
fn hear(core: &Shared, at: &mut u64, event: Event) -> Result<(), Over> {
    let down = said(event)?;
    if down.after != *at {
        core.leases.forget_all();
        core.applied.store(0, Ordering::Release);
        let words = format!(
            "a change was missed: the feed goes on from {}, this replica is at {at}",
            down.after
        );
        return Err(Over::lost(LinkTrouble::ChangeMissed, words));
    }
    match down.message {
        Message::Configuration {
            configuration,
            spool_key,
            ..
        } => configure(core, &configuration, &spool_key),
        Message::TokensRevoked(tokens) => core.leases.revoke(&tokens),
        Message::Drain => {
            if !core.told_to_drain.swap(true, Ordering::AcqRel) {
                tracing::warn!("an operator drains this replica: it takes no new requests until it is started again");
            }
        }
        Message::Unknown | Message::Close(_) => {}
    }
    *at = down.sequence;
    core.applied.store(down.sequence, Ordering::Release);
    Ok(())
}

/// The message, unless it is the end.
fn said(event: Event) -> Result<Down, Over> {
    match event {
        Some(Ok(Down {
            message: Message::Close(reason),
            ..
        })) => Err(closed(reason)),
        Some(Ok(down)) => Ok(down),
        Some(Err(error)) => Err(failed(&error)),
        None => Err(Over::lost(LinkTrouble::Unreachable, "the connection was lost")),
    }
}

fn heartbeat(core: &Shared, heartbeats: &watch::Sender<Heartbeat>) {
    let now = Heartbeat {
        spool_depth: core.spool.depth(),
        in_flight: core.in_flight(),
        configuration_version: core.snapshot.load().table.version,
        draining: core.draining.load(Ordering::Acquire) || core.told_to_drain.load(Ordering::Acquire),
        set_aside: core.spool.set_aside_count(),
    };
    heartbeats.send_if_modified(|last| std::mem::replace(last, now) != now);
}

fn configure(core: &Shared, configuration: &Arc<Configuration>, spool_key: &SpoolKey) {
    core.spool.set_key(spool_key);
    core.offline.told(configuration, spool_key);
    let table = Arc::new(core.snapshot.load().table.next(configuration));
    core.snapshot.store(Arc::new(Snapshot {
        standing: Standing::Attached,
        table,
    }));
    core.attached.send_replace(true);
    tracing::info!(
        version = configuration.version,
        providers = configuration.providers.len(),
        "configuration in force"
    );
}
