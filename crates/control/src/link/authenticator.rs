//! Lets replicas in by their gateway keys, call by call.

use super::service::{ControlLinkService, internal};
use crate::state::App;
use crate::state::key_cache::KeySession;
use async_trait::async_trait;
use lychgate_authz::Caller;
use lychgate_link::server::Authenticator;
use lychgate_link::{ControlLink, LinkError, RefusalReason};
use lychgate_telemetry::metrics::labels::KeyRefusal;
use lychgate_types::GatewayKeyId;
use lychgate_types::secret::{CredentialError, GatewayKeySecret};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::time::Instant;

/// The door that the gRPC service asks.
pub(crate) struct GatewayKeyAuthenticator(pub(crate) App);

#[async_trait]
impl Authenticator for GatewayKeyAuthenticator {
    async fn authenticate(&self, key: &str, source: Option<SocketAddr>) -> Result<Arc<dyn ControlLink>, LinkError> {
        let app = &self.0;
        let source = source.map(|address| address.ip());
        let secret = GatewayKeySecret::parse(key).map_err(|error| {
            app.failed_auth.failed(source, KeyRefusal::Malformed, None);
            LinkError::Refused(RefusalReason::KeyMalformed(in_words(error)))
        })?;
        // A key in use is never limited: one bad neighbour behind the same address must not lock out good replicas.
        let session = match app.attachments.key_sessions.get(&secret.hash()) {
            Some(session) => session,
            None if app.failed_auth.may_try(source) => new_gate(app, &secret).await.inspect_err(|error| {
                if let LinkError::Refused(_) = error {
                    app.failed_auth
                        .failed(source, KeyRefusal::Unknown, Some(secret.prefix()));
                }
            })?,
            None => {
                app.failed_auth.failed(source, KeyRefusal::TooManyAttempts, None);
                return Err(LinkError::Refused(RefusalReason::TooManyAttempts));
            }
        };
        check(app, &session, source).await.inspect_err(|error| {
            let reason = match error {
                LinkError::Refused(RefusalReason::KeyExpired) => KeyRefusal::Expired,
                LinkError::Refused(RefusalReason::KeyRotated) => KeyRefusal::Rotated,
                LinkError::Refused(RefusalReason::KeyDisabled) => KeyRefusal::Disabled,
                LinkError::Refused(RefusalReason::SourceNotAllowed) => KeyRefusal::SourceNotAllowed,
                LinkError::Refused(_) => KeyRefusal::Revoked,
                LinkError::Unreachable(_) | LinkError::Internal { .. } => return,
            };
            app.failed_auth.note(source, reason, Some(secret.prefix()));
        })?;
        touch(app, &session).await;
        Ok(ControlLinkService::of_replica(app.clone(), session, source))
    }
}

fn in_words(error: CredentialError) -> String {
    match error {
        CredentialError::Prefix { .. } => format!("{error}; a user's token does not let a replica in"),
        CredentialError::Shape | CredentialError::Checksum => error.to_string(),
    }
}

/// Finds the key. The session is not believed yet: [`check`] looks again now that a deletion would find it.
async fn new_gate(app: &App, secret: &GatewayKeySecret) -> Result<Arc<KeySession>, LinkError> {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    let found = app.store.ai_gateway_key_authenticate(&caller, &secret.hash()).await;
    let key = found
        .map_err(|error| internal(app, &caller, &error))?
        .ok_or(LinkError::Refused(RefusalReason::KeyUnknown))?;
    Ok(app
        .attachments
        .key_sessions
        .enter(KeySession::new(key.id, key.name, key.secret_prefix, secret.hash())))
}

/// Whether the key of this session still lets this source in: from memory where that is recent, else from the database.
pub(crate) async fn check(app: &App, session: &KeySession, source: Option<IpAddr>) -> Result<(), LinkError> {
    if !session.is_fresh() {
        look_up(app, session).await?;
    }
    still_open(session, source)
}

/// Whether, as far as is known here, the key of this session still lets this source in.
pub(crate) fn still_open(session: &KeySession, source: Option<IpAddr>) -> Result<(), LinkError> {
    session
        .refusal(source)
        .map_or(Ok(()), |reason| Err(LinkError::Refused(reason)))
}

/// Asks the database for the key's state, and closes those attachments by this session that it does not let in any longer.
pub(crate) async fn look_up(app: &App, session: &KeySession) -> Result<(), LinkError> {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    let begun = Instant::now();
    let found = app.store.ai_gateway_key_authenticate(&caller, &session.hash).await;
    session.learn(begun, found.map_err(|error| internal(app, &caller, &error))?);
    app.attachments.close_refused(session);
    Ok(())
}

/// Looks up all key_sessions of a key, since it was changed. A failure is no reason to fail the change: the background work looks
/// again a moment later.
pub(crate) async fn key_changed(app: &App, key: GatewayKeyId) {
    for session in app.attachments.key_sessions.of(key) {
        if look_up(app, &session).await.is_err() {
            break;
        }
    }
}

/// Marks the key as used, once a minute. A failure is no reason to turn a replica away.
async fn touch(app: &App, session: &KeySession) {
    if session.touch_is_due() {
        let touched = app
            .store
            .ai_gateway_key_touch(&Caller::control_plane(), session.key_id, app.ambient.now())
            .await;
        if let Err(error) = touched {
            tracing::warn!(error = %lychgate_telemetry::error::chain(&error), "a gateway key's last use could not be noted");
        }
    }
}
