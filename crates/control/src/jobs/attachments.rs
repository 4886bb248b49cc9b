//! Closes attachments whose gateway keys no longer authenticate them: keys that expired, whose grace period ended, or that could
//! not be looked up when the feed reported a change.

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
