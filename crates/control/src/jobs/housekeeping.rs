//! Deletes outdated rows from time to time. Any number of control planes may try: the database lets one at a time do it.

use super::tick;
use crate::state::App;
use lychgate_authz::Caller;
use lychgate_telemetry::error::chain;
use std::time::Duration;
use tokio::sync::watch;

const PERIOD: Duration = Duration::from_secs(10 * 60);

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    while tick(PERIOD, &mut stopped).await {
        match app.store.housekeep(&Caller::control_plane()).await {
            Ok(Some(done)) => tracing::debug!(?done, "outdated rows were deleted"),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %chain(&error), "outdated rows could not be deleted; retrying later");
            }
        }
    }
}
