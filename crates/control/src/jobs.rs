//! Background work: each job is a loop that may be killed at any moment and begins anew at the next start.

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

    /// Stops them; what is still to be written is written.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.running.join_next().await.is_some() {}
    }
}

/// Waits for one period; false when it is time to stop.
async fn tick(period: std::time::Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(period) => true,
        () = told_to_stop(stopped) => false,
    }
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the jobs' owner is gone, which is as good as being told.
    let _ = stopped.wait_for(|stop| *stop).await;
}
