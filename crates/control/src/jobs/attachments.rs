//! Keeps live attachments true: closes those of keys that expired, whose grace ended, or whose change elsewhere could not be
//! looked into when the feed reported it.

use super::tick;
use crate::link::key_check;
use crate::state::App;
use std::time::Duration;
use tokio::sync::watch;

/// A deleted key closes its links within a second on every control plane.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    while tick(PERIOD, &mut stopped).await {
        for session in app.attachments.key_sessions.sweep() {
            // The failure was logged; it is tried again at the next turn.
            if key_check::look_up(&app, &session).await.is_err() {
                break;
            }
        }
    }
}
