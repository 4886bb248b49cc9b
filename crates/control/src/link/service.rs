//! Serves the control link: to the embedded gateway in process, and (behind [`super::authenticator`]) to replicas over gRPC.
//!
//! Not here: the protocol on the wire (crate `link`), and the order of look-ups (`handshake`).

mod lookups;

use super::authorization::authorization;
use super::errors::{internal, store_failed};
use super::{handshake, key_check};
use crate::state::attachments::ReplicaIdentity;
use crate::state::existing::Existence;
use crate::state::key_cache::{KeySession, Turns};
use crate::state::{App, Asker};
use async_trait::async_trait;
use lookups::CallLookups;
use lychgate_authz::{Caller, Principal};
use lychgate_link::{
    Attachment, Authorization, ControlLink, DenyReason, EncodedRecord, Heartbeat, Hello, LinkError, PROTOCOL, Receipt,
    Rejected,
};
use lychgate_store::{IngestReport, KeyRef, ReplicaAttachment, ReplicaInfo, ReplicaStamp, TOKEN_LEASE};
use lychgate_telemetry::error::chain;
use lychgate_telemetry::metrics::labels::Ingested;
use lychgate_types::secret::{SecretHash, SpoolKeys};
use lychgate_types::{GatewayKeyId, KeyRefusal, ReplicaId, StoredObject};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// The control plane as one caller sees it over the link: a replica by its key, or the embedded gateway (no session).
#[derive(Debug)]
pub(crate) struct ControlLinkService {
    app: App,
    session: Option<Arc<KeySession>>,
    source: Option<IpAddr>,
    /// Of the secret that the replica's process showed.
    process: Option<SecretHash>,
    /// Those of the session, or the embedded gateway's own.
    turns: Arc<Turns>,
}

impl ControlLinkService {
    /// The link of the embedded gateway, which acts as the control plane itself.
    pub(crate) fn embedded(app: App) -> Arc<dyn ControlLink> {
        Arc::new(Self {
            app,
            session: None,
            source: None,
            process: None,
            turns: Arc::default(),
        })
    }

    pub(crate) fn for_replica(
        app: App,
        session: Arc<KeySession>,
        source: Option<IpAddr>,
        process: Option<SecretHash>,
    ) -> Arc<dyn ControlLink> {
        Arc::new(Self {
            app,
            turns: Arc::clone(&session.turns),
            session: Some(session),
            source,
            process,
        })
    }

    fn caller(&self) -> Caller {
        let principal = match self.key_id() {
            Some(gateway_key_id) => Principal::Replica { gateway_key_id },
            None => Principal::ControlPlane,
        };
        Caller {
            principal,
            request_id: Some(self.app.ambient.new_id()),
        }
    }

    fn key_id(&self) -> Option<GatewayKeyId> {
        self.session.as_ref().map(|session| session.key_id)
    }

    fn lookups(&self, caller: Caller) -> CallLookups<'_> {
        CallLookups {
            app: &self.app,
            session: self.session.as_deref(),
            source: self.source,
            process: self.process,
            caller,
        }
    }

    fn identity(&self, session: Arc<KeySession>, hello: &Hello) -> ReplicaIdentity {
        let attachment = ReplicaAttachment {
            id: self.app.ambient.new_id(),
            replica_id: hello.replica_id,
            process: self.process,
            gateway_key: KeyRef {
                id: session.key_id,
                name: session.name.clone(),
            },
            info: truncated(hello),
            control_plane_id: self.app.control_plane_id,
            connected_at: self.app.ambient.now(),
        };
        ReplicaIdentity {
            session,
            source: self.source,
            attachment,
        }
    }

    async fn check_key(&self) -> Result<(), LinkError> {
        match &self.session {
            Some(session) => key_check::check(&self.app, session, self.source).await,
            None => Ok(()),
        }
    }

    /// What the replica's spool is sealed with, and what it may find there beside.
    async fn spool_keys(&self, caller: &Caller) -> Result<SpoolKeys, LinkError> {
        let replaced = match self.key_id() {
            Some(key) => {
                self.app
                    .store
                    .ai_gateway_key_replaced(&Caller::control_plane(), key)
                    .await
            }
            None => Ok(Vec::new()),
        };
        let replaced = replaced.map_err(|error| store_failed(&self.app, caller, &error))?;
        let of = |key| {
            let spool_key = self.app.sealer.spool_key(key);
            spool_key.map_err(|error| internal(&self.app, caller, &error))
        };
        Ok(SpoolKeys {
            gateway_key: self.key_id(),
            own: of(self.key_id())?,
            replaced: replaced
                .into_iter()
                .map(|key| of(Some(key)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn count_ingested(&self, report: &IngestReport, rejected: usize) {
        let counts = &self.app.counts;
        counts.batches.count();
        counts.ingested.add(Ingested::New, report.new);
        counts.ingested.add(Ingested::Known, report.known);
        counts.ingested.add(Ingested::Rejected, rejected as u64);
    }
}

#[async_trait]
impl ControlLink for ControlLinkService {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        if let Err(refusal) = PROTOCOL.accepts(hello.protocol) {
            if let Some(session) = &self.session {
                let (failed, prefix) = (&self.app.failed_auth, Some(&*session.prefix));
                failed.report(self.source, KeyRefusal::ProtocolVersion, prefix);
            }
            return Err(LinkError::Refused(refusal.into()));
        }
        let caller = self.caller();
        let spool_keys = self.spool_keys(&caller).await?;
        let identity = self.session.clone().map(|session| self.identity(session, &hello));
        let attachments = &self.app.attachments;
        let registration = attachments.register(hello.replica_id, identity.clone(), spool_keys, heartbeats)?;
        let lookups = self.lookups(caller);
        handshake::attach(&lookups, registration, identity.as_ref(), hello.resume_after).await
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        self.check_key().await?;
        let asker = self.key_id().map_or(Asker::Embedded, Asker::Replicas);
        match self.app.token_exists(&token, asker).await {
            Ok(Existence::Known) => {}
            Ok(Existence::Unknown) => return Ok(authorization(None, self.app.ambient.now(), TOKEN_LEASE)),
            // A replica that is flooded with such tokens has no room to wait for each; one that is really new works a moment later.
            Ok(Existence::NotYet(lease)) => {
                let reason = DenyReason::Unknown;
                return Ok(Authorization::Denied { reason, lease });
            }
            Ok(Existence::Unread) => {
                return Err(LinkError::Unreachable(
                    "it can't read which tokens there are".to_owned(),
                ));
            }
            Err(error) => return Err(store_failed(&self.app, &self.caller(), &error)),
        }
        // It is never closed.
        let _turn = self.turns.tokens.acquire().await.ok();
        let lookups = self.lookups(self.caller());
        let found = handshake::token(&lookups, &self.app.attachments, &token, self.app.ambient.now()).await?;
        let authorization = authorization(found.as_ref(), self.app.ambient.now(), TOKEN_LEASE);
        if let (Some(found), Authorization::Known { .. }) = (&found, authorization) {
            self.app.touch_token(found.token_id).await;
        }
        Ok(authorization)
    }

    async fn owns(&self, token: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        self.check_key().await?;
        // It is never closed.
        let _turn = self.turns.objects.acquire().await.ok();
        let caller = self.caller();
        let found = self.app.store.stored_objects_get(&caller, &token, objects).await;
        found.map_err(|error| store_failed(&self.app, &caller, &error))
    }

    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        self.check_key().await?;
        let caller = self.caller();
        let (mut readable, mut rejected) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            // A record that can't be read must not hold up the others for ever.
            match record.decode() {
                Ok(decoded) => readable.push(Arc::new(decoded)),
                Err(error) => rejected.push(Rejected {
                    id: record.id(),
                    reason: error.to_string(),
                }),
            }
        }
        let stamp = ReplicaStamp {
            replica_id: Some(replica),
            process: self.process,
        };
        let report = self.app.store.interception_ingest(&caller, stamp, &readable).await;
        let mut report = report.map_err(|error| store_failed(&self.app, &caller, &error))?;
        for (id, error) in &report.errors {
            let error = chain(error);
            tracing::error!(interception = %id, %error, "a record can't be stored; its replica sets it aside");
        }
        for (id, stored_as) in &report.displaced {
            let key = self.session.as_ref().map_or("", |session| &*session.name);
            tracing::error!(interception = %id, %stored_as, gateway_key = key, "another gateway key has delivered another record under this id; this one is stored under another");
        }
        let refused = std::mem::take(&mut report.rejected).into_iter();
        rejected.extend(refused.map(|(id, reason)| Rejected { id, reason }));
        self.count_ingested(&report, rejected.len());
        Ok(Receipt { rejected })
    }
}

/// What a replica reports about itself is kept in memory while it is attached, so it is bounded.
pub(crate) fn truncated(hello: &Hello) -> ReplicaInfo {
    let cut = |text: &String| text.chars().take(255).collect::<String>();
    let labels = hello.labels.iter().take(64);
    ReplicaInfo {
        name: cut(&hello.name),
        version: cut(&hello.version),
        address: cut(&hello.address),
        labels: labels.map(|(name, value)| (cut(name), cut(value))).collect(),
    }
}
