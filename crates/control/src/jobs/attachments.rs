//! Keeps live attachments true: closes those of keys that expired or were deleted on another control plane, and sends a
//! configuration that could not be sent when it changed.

use super::tick;
use crate::app::App;
use crate::link::gatekeeper;
use lychgate_link::LinkError;
use std::time::Duration;
use tokio::sync::watch;

/// A deleted key closes its links within a second on every control plane.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    while tick(PERIOD, &mut stopped).await {
        for gate in app.hub.gates.sweep() {
            // A refusal has closed what was to be closed; an internal error was logged and is tried again at the next turn.
            if let Err(LinkError::Internal { .. }) = gatekeeper::look_up(&app, &gate).await {
                break;
            }
        }
        if app.hub.take_stale() {
            app.configuration_changed().await;
        }
    }
}
