//! Opens a stream from the control plane, and reads messages from it.

use super::disconnect::Disconnect;
use super::heartbeat::send_heartbeat;
use crate::shared::Shared;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use lychgate_link::{Configuration, Down, Heartbeat, Hello, LinkError, Message, PROTOCOL};
use lychgate_telemetry::metrics::labels::LinkLoss;
use lychgate_types::secret::SpoolKeys;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest wait for the stream to open, and again for the configuration that comes first.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// An open stream, and its position in the feed of changes.
pub(super) struct Attached {
    pub(super) events: BoxStream<'static, Result<Down, LinkError>>,
    pub(super) position: u64,
}

/// A stream whose first message has arrived but is not in force yet.
pub(super) struct Opened {
    pub(super) attached: Attached,
    pub(super) configuration: Arc<Configuration>,
    pub(super) spool_keys: SpoolKeys,
    /// Whether the leases are still good.
    pub(super) resumed: bool,
}

/// What the stream yields; `None` is its end.
pub(super) type Event = Option<Result<Down, LinkError>>;

/// Opens a stream and waits for the configuration.
pub(super) async fn open(shared: &Shared, heartbeats: &watch::Sender<Heartbeat>) -> Result<Opened, Disconnect> {
    let resume_after = shared.applied.load(Ordering::Acquire);
    let hello = Hello {
        replica_id: shared.replica_id,
        name: shared.options.name.clone(),
        version: shared.options.version.clone(),
        protocol: PROTOCOL,
        address: shared.options.address.clone(),
        labels: shared.options.labels.clone(),
        resume_after,
    };
    send_heartbeat(shared, heartbeats);
    let attachment = match timeout(OPEN_TIMEOUT, shared.link.attach(hello, heartbeats.subscribe())).await {
        Ok(attachment) => attachment.map_err(|error| Disconnect::failed(&error))?,
        Err(_) => return Err(Disconnect::lost(LinkLoss::NoAnswer, "it did not answer in time")),
    };
    let mut events = attachment.events;
    let first = timeout(OPEN_TIMEOUT, events.next())
        .await
        .map_err(|_| Disconnect::lost(LinkLoss::NoAnswer, "it sent no configuration in time"))?;
    let down = next_message(first)?;
    match down.message {
        Message::Configuration {
            configuration,
            resumed,
            spool_keys,
        } => Ok(Opened {
            attached: Attached {
                events,
                position: down.sequence,
            },
            configuration,
            spool_keys,
            resumed: resumed && down.after == resume_after,
        }),
        _ => Err(Disconnect::lost(
            LinkLoss::UnexpectedAnswer,
            "its first message was not a configuration",
        )),
    }
}

/// The next message, unless the stream has ended.
pub(super) fn next_message(event: Event) -> Result<Down, Disconnect> {
    match event {
        Some(Ok(Down {
            message: Message::Close(reason),
            ..
        })) => Err(Disconnect::closed(reason)),
        Some(Ok(down)) => Ok(down),
        Some(Err(error)) => Err(Disconnect::failed(&error)),
        None => Err(Disconnect::lost(LinkLoss::Unreachable, "the connection was lost")),
    }
}
