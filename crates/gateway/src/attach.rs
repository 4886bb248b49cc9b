//! Keeps the long stream from the control plane open, and turns what comes down it into what this replica believes.
//!
//! It never gives up and never ends the process: a replica that is refused keeps trying, slowly, so that it comes back by
//! itself when the key does.

use crate::core::Core;
use crate::snapshot::{Snapshot, Standing};
use futures_util::StreamExt as _;
use lychgate_link::{CloseReason, Configuration, Down, Heartbeat, Hello, LinkError, Message, PROTOCOL, RefusalReason};
use lychgate_types::backoff::Backoff;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How often a changed load is told upward.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for the stream to open, and again for the configuration that comes first.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an attachment is over.
enum Over {
    /// It may work again soon.
    Lost(String),
    /// The control plane does not want this replica.
    Refused(String),
}

/// Attaches, listens, and attaches again, for ever.
pub(crate) async fn run(core: Arc<Core>) {
    let (heartbeats, _) = watch::channel(Heartbeat::default());
    let mut soon = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut slowly = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let over = attend(&core, &heartbeats, || {
            soon.reset();
            slowly.reset();
        })
        .await;
        let wait = match over {
            Over::Lost(why) => {
                tracing::warn!(%why, "the control link is down");
                lost(&core, &why);
                soon.next(&core.ambient)
            }
            Over::Refused(why) => {
                tracing::error!(%why, "the control plane does not let this replica in; no requests are taken");
                refused(&core, why);
                slowly.next(&core.ambient)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// One attachment, from opening to end. `opened` is called once the configuration has come.
async fn attend(core: &Core, heartbeats: &watch::Sender<Heartbeat>, mut opened: impl FnMut()) -> Over {
    let hello = Hello {
        replica_id: core.replica_id,
        name: core.options.name.clone(),
        version: core.options.version.clone(),
        protocol: PROTOCOL,
        address: core.options.address.clone(),
        labels: core.options.labels.clone(),
        resume_after: 0,
    };
    heartbeat(core, heartbeats);
    let attachment = match timeout(OPEN_TIMEOUT, core.link.attach(hello, heartbeats.subscribe())).await {
        Ok(Ok(attachment)) => attachment,
        Ok(Err(error)) => return over(error),
        Err(_) => return Over::Lost("it did not answer in time".to_owned()),
    };
    let mut events = attachment.events;
    let mut attached = false;
    let deadline = Instant::now() + OPEN_TIMEOUT;
    let mut beat = tokio::time::interval(HEARTBEAT_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            () = tokio::time::sleep_until(deadline), if !attached => {
                return Over::Lost("it sent no configuration in time".to_owned());
            }
            _ = beat.tick() => {
                heartbeat(core, heartbeats);
                continue;
            }
        };
        match event {
            Some(Ok(Down {
                message: Message::Configuration { configuration, .. },
                ..
            })) => {
                // While nobody was attached, revocations may have been missed.
                if !std::mem::replace(&mut attached, true) {
                    core.leases.forget_all();
                    opened();
                }
                configure(core, &configuration);
                heartbeat(core, heartbeats);
            }
            Some(Ok(Down {
                message: Message::TokensRevoked(tokens),
                ..
            })) => core.leases.revoke(&tokens),
            Some(Ok(Down {
                message: Message::Drain | Message::Unknown,
                ..
            })) => {}
            Some(Ok(Down {
                message: Message::Close(reason),
                ..
            })) => return closed(reason),
            Some(Err(error)) => return over(error),
            None => return Over::Lost("the connection was lost".to_owned()),
        }
    }
}

fn heartbeat(core: &Core, heartbeats: &watch::Sender<Heartbeat>) {
    let now = Heartbeat {
        spool_depth: core.spool.depth() as u64,
        in_flight: core.in_flight(),
        configuration_version: core.snapshot.load().table.version,
        draining: core.draining.load(Ordering::Acquire),
        set_aside: 0,
    };
    heartbeats.send_if_modified(|last| std::mem::replace(last, now) != now);
}

fn configure(core: &Core, configuration: &Configuration) {
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

fn closed(reason: CloseReason) -> Over {
    match reason {
        CloseReason::KeyRevoked => Over::Refused(RefusalReason::KeyRevoked.to_string()),
        CloseReason::KeyExpired => Over::Refused(RefusalReason::KeyExpired.to_string()),
        CloseReason::KeyRotated => Over::Refused(RefusalReason::KeyRotated.to_string()),
        CloseReason::KeyDisabled => Over::Refused(RefusalReason::KeyDisabled.to_string()),
        CloseReason::SourceNotAllowed => Over::Refused(RefusalReason::SourceNotAllowed.to_string()),
        CloseReason::ShuttingDown => Over::Lost("the control plane is shutting down".to_owned()),
    }
}

fn over(error: LinkError) -> Over {
    match error {
        // Says nothing about the key: what is known stays good for its time.
        LinkError::Refused(reason @ RefusalReason::TooManyAttempts) => Over::Lost(reason.to_string()),
        LinkError::Refused(reason) => Over::Refused(reason.to_string()),
        error => Over::Lost(error.to_string()),
    }
}

fn lost(core: &Core, why: &str) {
    stand(core, |standing| match standing {
        Standing::Attached => Standing::Away { since: Instant::now() },
        Standing::Starting { .. } => Standing::Starting { why: Some(why.into()) },
        // Neither the time since the loss nor a refusal is forgotten because another attempt failed.
        other => other.clone(),
    });
}

fn refused(core: &Core, why: String) {
    core.leases.forget_all();
    stand(core, |standing| match standing {
        // A key that was revoked while we watched is unknown from then on; the first reason is the one that helps.
        Standing::Refused { .. } => standing.clone(),
        _ => Standing::Refused { why: why.into() },
    });
}

fn stand(core: &Core, change: impl FnOnce(&Standing) -> Standing) {
    let now = core.snapshot.load_full();
    core.snapshot.store(Arc::new(Snapshot {
        standing: change(&now.standing),
        table: Arc::clone(&now.table),
    }));
    core.attached.send_replace(false);
}
