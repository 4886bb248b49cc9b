//! Puts the control plane's messages in force.

use super::disconnect::Disconnect;
use super::heartbeat::send_heartbeat;
use super::open::{Attached, Event, Opened, next_message};
use crate::replica_state::{LinkState, ReplicaState};
use crate::shared::Shared;
use crate::sockets::News;
use lychgate_link::{Configuration, Heartbeat, Message};
use lychgate_telemetry::metrics::labels::LinkLoss;
use lychgate_types::secret::SpoolKeys;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Puts an opened stream's first message in force.
pub(super) fn begin(shared: &Shared, heartbeats: &watch::Sender<Heartbeat>, opened: Opened) -> Attached {
    if !opened.resumed {
        // Revocations may have been missed while no stream was open.
        shared.leases.clear();
    }
    shared.counts.link.attachments.count();
    configure(shared, &opened.configuration, &opened.spool_keys);
    shared.applied.store(opened.attached.position, Ordering::Release);
    send_heartbeat(shared, heartbeats);
    opened.attached
}

/// Puts a later message in force. `position` is the stream's position in the feed of changes.
pub(super) fn apply(shared: &Shared, position: &mut u64, event: Event) -> Result<(), Disconnect> {
    let down = next_message(event)?;
    if down.after != *position {
        shared.leases.clear();
        shared.applied.store(0, Ordering::Release);
        let message = format!(
            "a change was missed: the feed continues from {}, this replica is at {position}",
            down.after
        );
        return Err(Disconnect::lost(LinkLoss::ChangeMissed, message));
    }
    match down.message {
        Message::Configuration {
            configuration,
            spool_keys,
            ..
        } => configure(shared, &configuration, &spool_keys),
        Message::TokensRevoked(tokens) => {
            shared.leases.revoke(&tokens);
            shared.sockets.tell(News::Revoked(tokens.into()));
        }
        Message::Drain => {
            if !shared.drained.swap(true, Ordering::AcqRel) {
                tracing::warn!("drained by an operator: no new requests are accepted until this replica is restarted");
                shared.sockets.tell(News::State);
            }
        }
        Message::Unknown | Message::Close(_) => {}
    }
    *position = down.sequence;
    shared.applied.store(down.sequence, Ordering::Release);
    Ok(())
}

fn configure(shared: &Shared, configuration: &Arc<Configuration>, spool_keys: &SpoolKeys) {
    shared.spool.set_keys(spool_keys);
    shared.snapshot_cache.receive(configuration, spool_keys);
    let table = Arc::new(shared.replica_state.load().table.next(configuration));
    shared.replica_state.store(Arc::new(ReplicaState {
        link: LinkState::Attached,
        table,
    }));
    shared.fetch_credentials();
    shared.attached.send_replace(true);
    shared.sockets.tell(News::State);
    tracing::info!(
        version = configuration.version,
        providers = configuration.providers.len(),
        "configuration in force"
    );
}
