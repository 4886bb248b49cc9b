//! Background jobs: each is a loop that may be killed at any moment and starts over at the next start.

mod attachments;
mod audit_attempts;
mod database;
mod feed;
mod housekeeping;
mod key_upkeep;
mod registry;

use crate::state::App;
use crate::state::attachments::Detachment;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// The running jobs.
pub(crate) struct Jobs {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
}

impl Jobs {
    /// Starts them all.
    pub(crate) fn start(app: &App, detachments: mpsc::UnboundedReceiver<Detachment>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(database::run(app.clone(), stopped.clone()));
        running.spawn(attachments::run(app.clone(), stopped.clone()));
        running.spawn(key_upkeep::run(app.clone(), stopped.clone()));
        running.spawn(feed::run(app.clone(), stopped.clone()));
        running.spawn(housekeeping::run(app.clone(), stopped.clone()));
        running.spawn(registry::run(app.clone(), detachments, stopped.clone()));
        running.spawn(audit_attempts::run(app.clone(), stopped));
        Self { stop, running }
    }

    /// Stops them, after they have written what is pending.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.running.join_next().await.is_some() {}
    }
}

/// Waits for one period; false when it is time to stop.
async fn tick(period: std::time::Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(period) => true,
        () = stop_requested(stopped) => false,
    }
}

async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    // An error means that the owner of the jobs is gone, which means to stop, too.
    let _ = stopped.wait_for(|stop| *stop).await;
}
