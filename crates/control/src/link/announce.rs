//! Notifies the replicas attached here of a change that a handler has just committed: call after the commit, before the
//! answer. Other control planes find the change in the feed.
//!
//! The change is committed, so a failure here does not fail the request: the background work tries again a moment later.

use super::{feed, key_check};
use crate::state::App;
use lychgate_telemetry::error::chain;
use lychgate_types::GatewayKeyId;
use lychgate_types::secret::SecretHash;
use std::time::Duration;

/// An answer waits no longer than this until replicas have been notified.
const LIMIT: Duration = Duration::from_secs(2);

/// Providers, routes, or what a key serves, changed: sends the configuration as it is now.
pub(crate) async fn configuration_changed(app: &App) {
    if let Err(error) = feed::send_configuration(app).await {
        tracing::error!(error = %chain(&error), "the new configuration can't be read; it is sent later");
    }
}

/// These tokens must not be accepted any more.
pub(crate) async fn tokens_revoked(app: &App, tokens: &[SecretHash]) {
    if !read_feed(app).await {
        app.attachments.push_revoked(tokens);
    }
}

/// A replica is to drain.
pub(crate) async fn replica_drained(app: &App) {
    read_feed(app).await;
}

/// Reads the feed on at once; whether it could. If not, the background work tries again.
async fn read_feed(app: &App) -> bool {
    matches!(tokio::time::timeout(LIMIT, feed::catch_up(app)).await, Ok(Ok(_)))
}

/// A key was deleted: closes its attachments.
pub(crate) fn key_deleted(app: &App, key: GatewayKeyId) {
    app.attachments.close_key(key);
}

/// A key was changed: closes the attachments it no longer authenticates, and accepts those it does.
pub(crate) async fn key_changed(app: &App, key: GatewayKeyId) {
    key_check::key_changed(app, key).await;
}
