//! Reads the feed of changes from the store and acts on it.
//!
//! Not here: how far it was read, and what is sent at once ([`crate::state::feed`]); when it is read (the background work, and
//! [`super::announce`]).

use super::{configuration, key_check};
use crate::state::App;
use lychgate_authz::Caller;
use lychgate_store::StoreError;

/// How many changes are read at once.
const PART: u32 = 1000;

/// Reads all that is new and sends it to the attachments here. Returns whether there was anything.
pub(crate) async fn catch_up(app: &App) -> Result<bool, StoreError> {
    let read = |place| async move { app.store.changes_since(&Caller::control_plane(), place, PART).await };
    app.feed.read_on(&app.attachments, read).await
}

/// Does what is still to be done about what was read. What fails is done at the next call.
pub(crate) async fn follow_up(app: &App) -> Result<(), StoreError> {
    for key in app.feed.take_keys() {
        key_check::key_changed(app, key).await;
    }
    // The mark goes first: what is changed after this is loaded another time.
    if app.feed.take_configuration() {
        send_configuration(app).await?;
    }
    Ok(())
}

/// Sends providers and routes, as they are now, to every attachment here. If that fails, it is still to be done.
pub(crate) async fn send_configuration(app: &App) -> Result<(), StoreError> {
    let loaded = configuration::load(app, &Caller::control_plane()).await;
    if loaded.is_err() {
        app.feed.put_configuration_back();
    }
    app.attachments.push_configuration(&loaded?);
    Ok(())
}
