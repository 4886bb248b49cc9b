//! Authenticates replicas by their gateway keys, call by call.

use super::errors::store_failed;
use super::key_check::{check, look_up};
use super::service::ControlLinkService;
use crate::state::App;
use crate::state::existing::Existence;
use crate::state::key_cache::KeySession;
use crate::state::key_lookups;
use async_trait::async_trait;
use lychgate_authz::Caller;
use lychgate_link::places::Source;
use lychgate_link::server::{Authenticator, Shown};
use lychgate_link::{ControlLink, LinkError, Refusal};
use lychgate_telemetry::error::chain;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::{CredentialError, GatewayKeySecret};
use std::net::SocketAddr;
use std::sync::Arc;

/// Authenticates the calls that the gRPC service receives.
pub(crate) struct GatewayKeyAuthenticator(pub(crate) App);

#[async_trait]
impl Authenticator for GatewayKeyAuthenticator {
    async fn authenticate(&self, shown: Shown<'_>) -> Result<Arc<dyn ControlLink>, LinkError> {
        let app = &self.0;
        let source = shown.source.map(|address| address.ip());
        // What can't be a key costs nothing.
        let secret = GatewayKeySecret::parse(shown.key).map_err(|error| {
            app.failed_auth.report(source, KeyRefusal::Malformed, None);
            malformed(error)
        })?;
        let refused = |error: &LinkError| {
            if let Some(reason) = error.refusal() {
                app.failed_auth.report(source, reason, Some(secret.prefix()));
            }
        };
        let session = match app.attachments.key_sessions.get(&secret.hash()) {
            Some(session) => session,
            None => new_session(app, &secret, shown.source).await.inspect_err(refused)?,
        };
        check(app, &session, source).await.inspect_err(refused)?;
        touch(app, &session).await;
        Ok(ControlLinkService::for_replica(
            app.clone(),
            session,
            source,
            shown.process,
        ))
    }
}

fn malformed(error: CredentialError) -> LinkError {
    let explanation = KeyRefusal::Malformed.explanation();
    let message = match error {
        CredentialError::Prefix { .. } => {
            format!("{explanation}: {error}; a user token does not authenticate a replica")
        }
        CredentialError::Shape | CredentialError::Checksum => format!("{explanation}: {error}"),
    };
    LinkError::Refused(Refusal {
        reason: KeyRefusal::Malformed,
        message: message.into(),
    })
}

/// The session of a secret that is not in use yet.
async fn new_session(
    app: &App,
    secret: &GatewayKeySecret,
    peer: Option<SocketAddr>,
) -> Result<Arc<KeySession>, LinkError> {
    let is_promising = app.key_marks.is_known(secret.hash().mark());
    let look_up = || {
        let (app, secret) = (app.clone(), secret.clone());
        async move { find_key(&app, &secret, key_lookups::source(peer)).await }
    };
    app.key_lookups.find(secret.hash(), is_promising, peer, look_up).await
}

/// Finds the key, and then its state: now that a deletion would find the session.
async fn find_key(app: &App, secret: &GatewayKeySecret, source: Source) -> Result<Arc<KeySession>, LinkError> {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    // Another call may have been faster.
    if let Some(session) = app.attachments.key_sessions.get(&secret.hash()) {
        return Ok(session);
    }
    let read = |_| app.store.ai_gateway_key_marks(&caller);
    let exists = app.key_marks.find(secret.hash().mark(), source, read).await;
    match exists.map_err(|error| store_failed(app, &caller, &error))? {
        Existence::Known => {}
        Existence::Unknown => return Err(LinkError::refused(KeyRefusal::Unknown)),
        Existence::NotYet(_) | Existence::Unread => return Err(key_lookups::busy()),
    }
    let found = app.store.ai_gateway_key_authenticate(&caller, &secret.hash()).await;
    let key = found
        .map_err(|error| store_failed(app, &caller, &error))?
        .ok_or_else(|| LinkError::refused(KeyRefusal::Unknown))?;
    let session = KeySession::new(key.id, key.name, key.secret_prefix, secret.hash());
    let session = app.attachments.key_sessions.get_or_insert(session);
    look_up(app, &session).await?;
    Ok(session)
}

/// Marks the key as used, once a minute. A failure is no reason to refuse a replica.
async fn touch(app: &App, session: &KeySession) {
    if session.touch_is_due() {
        let touched = app
            .store
            .ai_gateway_key_touch(&Caller::control_plane(), session.key_id, app.ambient.now())
            .await;
        if let Err(error) = touched {
            tracing::warn!(error = %chain(&error), "a gateway key's last use could not be recorded");
        }
    }
}
