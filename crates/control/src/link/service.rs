//! Serves the control link: to the embedded gateway in process, and (behind [`authenticator`]) to replicas over gRPC.
//!
//! Not here: the protocol on the wire (crate `link`).

use super::handshake::Lookups;
use super::{authenticator, configuration, handshake};
use crate::audit;
use crate::state::App;
use crate::state::attachments::ReplicaIdentity;
use crate::state::key_cache::KeySession;
use crate::state::outbox;
use crate::state::outbox::Beginning;
use async_trait::async_trait;
use lychgate_authz::{Action, Caller, Principal, Resource, Target, UserPrincipal, authorise};
use lychgate_link::{
    Attachment, Authorization, Configuration, ControlLink, DenyReason, EncodedRecord, Heartbeat, Hello, LinkError,
    PROTOCOL, Receipt, RefusalReason, Rejected,
};
use lychgate_store::{
    KeyRef, ReplicaAttachment, ReplicaStamp, ReplicaTold, StoreError, TokenAuthentication, UserState,
};
use lychgate_telemetry::metrics::labels::{Ingested, KeyRefusal};
use lychgate_types::secret::SecretHash;
use lychgate_types::{ReplicaId, RequestId, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a replica may believe that a token is good. Revocations are pushed; this bounds how long a replica that is cut
/// off goes on.
const LEASE: Duration = Duration::from_secs(15 * 60);
/// How long a replica may believe that a token is not good.
const DENIAL_LEASE: Duration = Duration::from_secs(5);

/// The control plane as one party sees it over the link: a replica by its key, or the embedded gateway (no session).
#[derive(Debug)]
pub(crate) struct ControlLinkService {
    app: App,
    session: Option<Arc<KeySession>>,
    source: Option<IpAddr>,
}

impl ControlLinkService {
    /// The link of the embedded gateway, on the control plane's own standing.
    pub(crate) fn embedded(app: App) -> Arc<dyn ControlLink> {
        Arc::new(Self {
            app,
            session: None,
            source: None,
        })
    }

    pub(crate) fn of_replica(app: App, session: Arc<KeySession>, source: Option<IpAddr>) -> Arc<dyn ControlLink> {
        Arc::new(Self {
            app,
            session: Some(session),
            source,
        })
    }

    fn caller(&self) -> Caller {
        let request_id = Some(self.app.ambient.new_id());
        match &self.session {
            Some(session) => Caller {
                principal: Principal::Replica {
                    gateway_key_id: session.key_id,
                },
                request_id,
            },
            None => Caller {
                principal: Principal::ControlPlane,
                request_id,
            },
        }
    }

    fn by_key(&self, session: Arc<KeySession>, hello: &Hello) -> ReplicaIdentity {
        let attachment = ReplicaAttachment {
            id: self.app.ambient.new_id(),
            replica_id: hello.replica_id,
            gateway_key: KeyRef {
                id: session.key_id,
                name: session.name.clone(),
            },
            told: bounded(hello),
            control_plane_id: self.app.control_plane_id,
            connected_at: self.app.ambient.now(),
        };
        ReplicaIdentity {
            session,
            source: self.source,
            attachment,
        }
    }

    /// Whether the key still lets in.
    async fn check_key(&self) -> Result<(), LinkError> {
        match &self.session {
            Some(session) => authenticator::check(&self.app, session, self.source).await,
            None => Ok(()),
        }
    }

    fn still_open(&self) -> Result<(), LinkError> {
        match &self.session {
            Some(session) => authenticator::still_open(session, self.source),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl ControlLink for ControlLinkService {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let caller = self.caller();
        if let Err(refusal) = PROTOCOL.accepts(hello.protocol) {
            if let Some(session) = &self.session {
                self.app
                    .failed_auth
                    .note(self.source, KeyRefusal::ProtocolVersion, Some(&session.prefix));
            }
            return Err(LinkError::Refused(RefusalReason::Version(refusal)));
        }
        let key_id = self.session.as_ref().map(|session| session.key_id);
        let spool_key = self
            .app
            .sealer
            .spool_key(key_id)
            .map_err(|error| failed(&self.app, &caller, &error))?;
        let by = self.session.clone().map(|session| self.by_key(session, &hello));
        let asking = Asking { link: self, caller };
        let registration = self
            .app
            .attachments
            .register(hello.replica_id, by.clone(), spool_key, heartbeats);
        handshake::attach(&asking, registration, by.as_ref(), hello.resume_after).await
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        self.check_key().await?;
        let asking = Asking {
            link: self,
            caller: self.caller(),
        };
        let found = handshake::token(&asking, &self.app.attachments, &token).await?;
        let authorization = decide(found.as_ref(), self.app.ambient.now(), LEASE);
        if let (Some(found), Authorization::Known { .. }) = (&found, authorization) {
            self.app.touch_token(found.token_id).await;
        }
        Ok(authorization)
    }

    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        self.check_key().await?;
        let caller = self.caller();
        let key_id = self.session.as_ref().map(|session| session.key_id);
        // A replica names itself, but it can't pass for one that is attached by another key.
        let replica_id = Some(replica).filter(|id| !self.app.attachments.belongs_to_another(*id, key_id));
        let (mut readable, mut rejected) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            // One that can't be read must not hold up the others for ever.
            match record.decode() {
                Ok(decoded) => readable.push(Arc::new(decoded)),
                Err(error) => rejected.push(Rejected {
                    id: record.id(),
                    reason: error.to_string(),
                }),
            }
        }
        let report = self
            .app
            .store
            .interception_ingest(&caller, ReplicaStamp { replica_id }, &readable)
            .await
            .map_err(|error| internal(&self.app, &caller, &error))?;
        for (id, error) in &report.errors {
            let error = lychgate_telemetry::error::chain(error);
            tracing::error!(interception = %id, %error, "a record can't be taken in; its replica sets it aside");
        }
        let counts = &self.app.counts;
        counts.batches.count();
        counts.ingested.add(Ingested::New, report.new);
        counts.ingested.add(Ingested::Known, report.known);
        rejected.extend(report.rejected.into_iter().map(|(id, reason)| Rejected { id, reason }));
        counts.ingested.add(Ingested::Rejected, rejected.len() as u64);
        Ok(Receipt { rejected })
    }
}

/// One call, and on whose behalf it looks things up.
struct Asking<'a> {
    link: &'a ControlLinkService,
    caller: Caller,
}

#[async_trait]
impl Lookups for Asking<'_> {
    async fn key(&self) -> Result<(), LinkError> {
        match &self.link.session {
            Some(session) => authenticator::look_up(&self.link.app, session).await,
            None => Ok(()),
        }
    }

    fn still_open(&self) -> Result<(), LinkError> {
        self.link.still_open()
    }

    async fn beginning(&self, applied: u64) -> Result<Beginning, LinkError> {
        let beginning = beginning(&self.link.app, applied).await;
        beginning.map_err(|error| internal(&self.link.app, &self.caller, &error))
    }

    async fn configuration(&self) -> Result<Arc<Configuration>, LinkError> {
        let loaded = configuration::load(&self.link.app, &self.caller).await;
        let loaded = loaded.map_err(|error| internal(&self.link.app, &self.caller, &error))?;
        Ok(loaded.of(self.link.session.as_ref().map(|session| session.key_id)))
    }

    async fn record_attachment(&self, by: &ReplicaIdentity) -> Result<bool, LinkError> {
        let entry = audit::replica("attach", &by.session, by.attachment.replica_id);
        let caller = audit::caller(&self.caller);
        let registered = self.link.app.store.replica_attach(&caller, &by.attachment, &entry);
        registered
            .await
            .map_err(|error| internal(&self.link.app, &self.caller, &error))
    }

    async fn token(&self, token: &SecretHash) -> Result<Option<TokenAuthentication>, LinkError> {
        let found = self.link.app.store.token_authenticate(&self.caller, token).await;
        found.map_err(|error| internal(&self.link.app, &self.caller, &error))
    }
}

/// What is said of a token that was looked up; the answer is good for `lease` at most.
pub(crate) fn decide(found: Option<&TokenAuthentication>, now: Timestamp, lease: Duration) -> Authorization {
    let denied = |reason| Authorization::Denied {
        reason,
        lease: DENIAL_LEASE,
    };
    let Some(found) = found else {
        return denied(DenyReason::Unknown);
    };
    if let Err(reason) = standing(found, now) {
        return denied(reason);
    }
    let left = found
        .expires_at
        .map_or(i64::MAX, |at| at.as_micros().saturating_sub(now.as_micros()));
    let principal = Principal::User(UserPrincipal {
        user_id: found.user_id,
        token_id: found.token_id,
        role: found.role,
        scopes: found.scopes.clone(),
    });
    let target = Target::OwnedBy(found.user_id);
    Authorization::Known {
        may_send_requests: authorise(&principal, Action::Create, Resource::AiRequest, target).is_ok(),
        lease: lease.min(Duration::from_micros(left.unsigned_abs())),
    }
}

/// Whether a token that exists is good at this moment.
pub(crate) fn standing(found: &TokenAuthentication, now: Timestamp) -> Result<(), DenyReason> {
    if found.revoked_at.is_some() {
        Err(DenyReason::Revoked)
    } else if found.expires_at.is_some_and(|at| at <= now) {
        Err(DenyReason::Expired)
    } else if found.user_state != UserState::Active {
        Err(DenyReason::Suspended)
    } else {
        Ok(())
    }
}

/// How an attachment begins for a replica that has applied the feed up to this place (0: nothing of it).
async fn beginning(app: &App, applied: u64) -> Result<Beginning, StoreError> {
    if applied == 0 {
        return Ok(Beginning::Anew);
    }
    let since = app
        .store
        .changes_tokens_revoked(&Caller::control_plane(), applied, outbox::MOST_REVOKED)
        .await?;
    Ok(since.map_or(Beginning::Anew, |since| Beginning::Resumed {
        after: applied,
        revoked: since.hashes,
        upto: since.upto,
    }))
}

/// What a replica says of itself is kept in memory while it is attached: it can't be made to cost much.
pub(crate) fn bounded(hello: &Hello) -> ReplicaTold {
    let cut = |text: &String| text.chars().take(255).collect::<String>();
    let labels = hello.labels.iter().take(64);
    ReplicaTold {
        name: cut(&hello.name),
        version: cut(&hello.version),
        address: cut(&hello.address),
        labels: labels.map(|(name, value)| (cut(name), cut(value))).collect(),
    }
}

/// Logs what failed, and gives the replica only the request id. Where the database does not answer, another control plane may be
/// better off; that is logged once, by the database's watch.
pub(crate) fn internal(app: &App, caller: &Caller, error: &StoreError) -> LinkError {
    match error {
        StoreError::Unavailable => LinkError::Unreachable(error.to_string()),
        StoreError::Lost(_) => {
            tracing::warn!(error = %lychgate_telemetry::error::chain(error), "a call over the control link lost the database");
            LinkError::Unreachable(error.to_string())
        }
        _ => failed(app, caller, error),
    }
}

fn failed(app: &App, caller: &Caller, error: &(dyn std::error::Error + 'static)) -> LinkError {
    app.counts.link_calls_failed.count();
    let request_id = caller.request_id.as_ref().map(RequestId::to_string).unwrap_or_default();
    tracing::error!(request_id, error = %lychgate_telemetry::error::chain(error), "a call over the control link failed inside");
    LinkError::Internal { request_id }
}
