//! Keeps the registry up to date for the replicas attached here: writes their heartbeats in bulk, and their detachments.

use super::stop_requested;
use crate::audit;
use crate::state::App;
use crate::state::attachments::Detachment;
use lychgate_authz::Caller;
use lychgate_store::ReplicaBeat;
use lychgate_telemetry::error::chain;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

/// How long heartbeats are gathered; well below the time after which a replica counts as lost.
const PERIOD: Duration = Duration::from_secs(3);

pub(super) async fn run(
    app: App,
    mut detachments: mpsc::UnboundedReceiver<Detachment>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(detachment) = detachments.recv() => departed(&app, detachment).await,
            _ = period.tick() => heard(&app).await,
            () = stop_requested(&mut stopped) => break,
        }
    }
    while let Ok(detachment) = detachments.try_recv() {
        departed(&app, detachment).await;
    }
}

async fn heard(app: &App) {
    let beats = app.attachments.take_beats(app.ambient.now());
    if let Err(error) = app.store.replica_heartbeat(&Caller::control_plane(), &beats).await {
        tracing::warn!(error = %chain(&error), "the registry of replicas could not be updated; retrying soon");
    }
}

async fn departed(app: &App, detachment: Detachment) {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    let Detachment {
        session,
        attachment,
        last,
        state,
    } = detachment;
    let entry = audit::replica("detach", &session, attachment.replica_id);
    let last = last.map(|(heard_at, load)| ReplicaBeat {
        attachment: attachment.clone(),
        heard_at: heard_at.unwrap_or_else(|| app.ambient.now()),
        load,
    });
    let done = app.store.replica_detach(&caller, &attachment, last, state, &entry);
    if let Err(error) = done.await {
        tracing::error!(error = %chain(&error), replica = %attachment.replica_id, "the detachment of a replica could not be recorded");
    }
}
