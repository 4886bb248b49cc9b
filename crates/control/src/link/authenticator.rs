//! Authenticates replicas by their gateway keys, call by call.

use super::errors::store_failed;
use super::key_check::check;
use super::service::ControlLinkService;
use crate::state::App;
use crate::state::existing::Existence;
use crate::state::key_cache::KeySession;
use crate::state::key_lookups::{self, Turn};
use async_trait::async_trait;
use lychgate_authz::Caller;
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

/// Finds the key. Its state is not trusted yet: [`check`] looks it up again now that a deletion would find the session.
async fn new_session(
    app: &App,
    secret: &GatewayKeySecret,
    peer: Option<SocketAddr>,
) -> Result<Arc<KeySession>, LinkError> {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    let (prefix, hash) = (secret.prefix().to_owned(), secret.hash());
    if !app.key_prefixes.is_known(&prefix) {
        is_new(app, &caller, &prefix, peer).await?;
    }
    loop {
        if let Some(session) = app.attachments.key_sessions.get(&hash) {
            return Ok(session);
        }
        let _lookup = match app.key_lookups.turn(hash, peer) {
            Turn::First(lookup) => lookup,
            Turn::Later(mut first) => {
                // It never changes: this waits until it is closed.
                let _ = first.changed().await;
                continue;
            }
            Turn::Crowded => return Err(LinkError::refused(KeyRefusal::TooManyAttempts)),
        };
        let found = app.store.ai_gateway_key_authenticate(&caller, &hash).await;
        let key = found
            .map_err(|error| store_failed(app, &caller, &error))?
            .ok_or_else(|| LinkError::refused(KeyRefusal::Unknown))?;
        let session = KeySession::new(key.id, key.name, key.secret_prefix, hash);
        return Ok(app.attachments.key_sessions.get_or_insert(session));
    }
}

/// Whether a key with this prefix was made since the prefixes were read.
async fn is_new(app: &App, caller: &Caller, prefix: &String, peer: Option<SocketAddr>) -> Result<(), LinkError> {
    let Some(_lookup) = app.key_lookups.begin(peer) else {
        return Err(LinkError::refused(KeyRefusal::TooManyAttempts));
    };
    let read = || app.store.ai_gateway_key_prefixes(caller);
    let exists = app.key_prefixes.find(prefix, key_lookups::source(peer), read).await;
    match exists.map_err(|error| store_failed(app, caller, &error))? {
        Existence::Known => Ok(()),
        Existence::Unknown => Err(LinkError::refused(KeyRefusal::Unknown)),
        Existence::Busy => Err(LinkError::refused(KeyRefusal::TooManyAttempts)),
    }
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
