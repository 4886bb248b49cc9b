//! Keeps the registry of replicas true for those that are attached here: what they say, in bulk, and how they go.

use super::told_to_stop;
use crate::audit;
use crate::state::App;
use crate::state::attachments::Detachment;
use lychgate_authz::Caller;
use lychgate_store::ReplicaBeat;
use lychgate_telemetry::error::chain;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

/// Heartbeats are gathered for so long. Well below the time after which a replica counts as lost.
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
            () = told_to_stop(&mut stopped) => break,
        }
    }
    while let Ok(detachment) = detachments.try_recv() {
        departed(&app, detachment).await;
    }
}

async fn heard(app: &App) {
    let beats = app.attachments.take_beats(app.ambient.now());
    if let Err(error) = app.store.replica_heartbeat(&Caller::control_plane(), &beats).await {
        tracing::warn!(error = %chain(&error), "the registry of replicas could not be brought up to date; the next try is soon");
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
        tracing::error!(error = %chain(&error), replica = %attachment.replica_id, "that a replica detached could not be written down");
    }
}
