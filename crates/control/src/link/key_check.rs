//! Whether the gateway key of a session is accepted: from memory if that is recent, otherwise from the database.
//!
//! Not here: reading a key and finding its session (`authenticator`).

use super::errors::store_failed;
use crate::state::App;
use crate::state::key_cache::KeySession;
use lychgate_authz::Caller;
use lychgate_link::LinkError;
use lychgate_types::GatewayKeyId;
use std::net::IpAddr;
use tokio::time::Instant;

/// Whether the key of this session is accepted from this source.
pub(crate) async fn check(app: &App, session: &KeySession, source: Option<IpAddr>) -> Result<(), LinkError> {
    if !session.is_fresh() {
        look_up(app, session).await?;
    }
    check_cached(session, source)
}

/// The same as far as is known here, without a look-up.
pub(crate) fn check_cached(session: &KeySession, source: Option<IpAddr>) -> Result<(), LinkError> {
    session
        .refusal(source)
        .map_or(Ok(()), |reason| Err(LinkError::refused(reason)))
}

/// Looks the key's state up in the database, and closes the attachments of this session that are no longer accepted.
pub(crate) async fn look_up(app: &App, session: &KeySession) -> Result<(), LinkError> {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    let begun = Instant::now();
    let found = app.store.ai_gateway_key_authenticate(&caller, &session.hash).await;
    session.update(begun, found.map_err(|error| store_failed(app, &caller, &error))?);
    app.attachments.close_refused(session);
    Ok(())
}

/// Looks up all sessions of a key that was changed. A failure does not fail the change: the background job looks again a moment
/// later.
pub(crate) async fn key_changed(app: &App, key: GatewayKeyId) {
    for session in app.attachments.key_sessions.of(key) {
        if look_up(app, &session).await.is_err() {
            break;
        }
    }
}
