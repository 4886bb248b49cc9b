//! A control plane: the product's own attachments, mailboxes, key sessions, feed and order of look-ups, over the simulated
//! database.

mod lookups;

use super::cluster::Cluster;
use super::signal::Signal;
use crate::link::authorization::authorization;
use crate::link::handshake;
use crate::link::key_check::check_cached;
use crate::link::service::truncated;
use crate::state::attachments::{Attachments, Detachment, ReplicaIdentity};
use crate::state::configuration::Loaded;
use crate::state::feed::Feed;
use crate::state::key_cache::KeySession;
use lookups::CallLookups;
use lychgate_link::{Attachment, Authorization, EncodedRecord, Heartbeat, Hello, LinkError, Receipt};
use lychgate_store::{Changes, KeyRef, ReplicaAttachment};
use lychgate_types::secret::SecretHash;
use lychgate_types::{ControlPlaneId, GatewayKeyId, KeyRefusal, ReplicaId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How often the feed is read without a notification, and keys are looked up.
const FEED_EVERY: Duration = Duration::from_secs(1);
const KEYS_EVERY: Duration = Duration::from_millis(500);
/// How long an answer waits until replicas were notified.
const NOTIFY_LIMIT: Duration = Duration::from_secs(2);
/// Changes read at once: few, so that there are several parts.
const PART: usize = 3;

/// One process of a control plane.
pub(super) struct ControlPlane {
    pub(super) cluster: Arc<Cluster>,
    pub(super) attachments: Arc<Attachments>,
    pub(super) feed: Feed,
    id: ControlPlaneId,
    pub(super) stopped: Arc<Signal<bool>>,
    pub(super) since: Instant,
    /// Whether it is shutting down and has closed all attachments.
    pub(super) is_shutting_down: AtomicBool,
    jobs: Mutex<JoinSet<()>>,
}

impl ControlPlane {
    pub(super) fn start(cluster: &Arc<Cluster>) -> Arc<Self> {
        let (attachments, detachments) = Attachments::new(cluster.database().last());
        let control_plane = Arc::new(Self {
            cluster: cluster.clone(),
            attachments,
            feed: Feed::default(),
            id: cluster.ambient.new_id(),
            stopped: Arc::new(Signal::new(false)),
            since: Instant::now(),
            is_shutting_down: AtomicBool::new(false),
            jobs: Mutex::default(),
        });
        let mut jobs = control_plane.jobs.lock().unwrap();
        jobs.spawn(follow(control_plane.clone()));
        jobs.spawn(sweep(control_plane.clone()));
        jobs.spawn(discard(detachments));
        drop(jobs);
        control_plane
    }

    /// Kills its process.
    pub(super) fn kill(&self) {
        self.stopped.set(true);
        self.jobs.lock().unwrap().abort_all();
    }

    /// Begins an orderly shutdown.
    pub(super) fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
        self.attachments.close_all();
    }

    /// Serves a call, unless the process is killed.
    pub(super) async fn serve<T>(&self, call: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
        tokio::select! {
            biased;
            _ = self.stopped.until(|stopped| stopped) => Err(LinkError::Unreachable("it ended".to_owned())),
            answer = call => answer,
        }
    }

    /// Authenticates a replica by its key.
    async fn authenticate(&self, secret: &SecretHash) -> Result<Arc<KeySession>, LinkError> {
        let session = match self.attachments.key_sessions.get(secret) {
            Some(session) => session,
            None => {
                self.cluster.look_up().await?;
                let found = self.cluster.database().key(secret);
                let key = found.ok_or(LinkError::refused(KeyRefusal::Unknown))?;
                self.attachments.key_sessions.get_or_insert(KeySession::new(
                    key.id,
                    key.name,
                    key.secret_prefix,
                    *secret,
                ))
            }
        };
        if !session.is_fresh() {
            self.look_key_up(&session).await?;
        }
        check_cached(&session, None)?;
        Ok(session)
    }

    async fn look_key_up(&self, session: &KeySession) -> Result<(), LinkError> {
        let begun = Instant::now();
        self.cluster.look_up().await?;
        session.update(begun, self.cluster.database().key(&session.hash));
        self.attachments.close_refused(session);
        Ok(())
    }

    pub(super) async fn attach(
        &self,
        secret: SecretHash,
        process: SecretHash,
        hello: Hello,
        heartbeats: watch::Receiver<Heartbeat>,
    ) -> Result<Attachment, LinkError> {
        let session = self.authenticate(&secret).await?;
        let attachment = ReplicaAttachment {
            id: self.cluster.ambient.new_id(),
            replica_id: hello.replica_id,
            process: Some(process),
            gateway_key: KeyRef {
                id: session.key_id,
                name: session.name.clone(),
            },
            info: truncated(&hello),
            control_plane_id: self.id,
            connected_at: self.cluster.ambient.now(),
        };
        let by = ReplicaIdentity {
            session: session.clone(),
            source: None,
            attachment,
        };
        let spool_keys = self.cluster.database().spool_key(session.key_id).into();
        let registration = self
            .attachments
            .register(hello.replica_id, Some(by.clone()), spool_keys, heartbeats)?;
        handshake::attach(
            &CallLookups {
                control_plane: self,
                session,
                process,
            },
            registration,
            Some(&by),
            hello.resume_after,
        )
        .await
    }

    pub(super) async fn authorize(
        &self,
        secret: SecretHash,
        process: SecretHash,
        token: SecretHash,
    ) -> Result<Authorization, LinkError> {
        let session = self.authenticate(&secret).await?;
        let found = handshake::token(
            &CallLookups {
                control_plane: self,
                session,
                process,
            },
            &self.attachments,
            &token,
            self.cluster.ambient.now(),
        )
        .await?;
        Ok(authorization(
            found.as_ref(),
            self.cluster.ambient.now(),
            self.cluster.settings.lease,
        ))
    }

    pub(super) async fn deliver(
        &self,
        secret: SecretHash,
        replica: ReplicaId,
        records: Vec<EncodedRecord>,
    ) -> Result<Receipt, LinkError> {
        let session = self.authenticate(&secret).await?;
        self.cluster.look_up().await?;
        self.cluster
            .ingest((session.key_id, replica), &records)
            .ok_or(LinkError::Internal {
                request_id: String::new(),
            })
    }

    /// Reads the feed on, and sends it to the attachments here.
    pub(super) async fn catch_up(&self) -> Result<bool, LinkError> {
        self.feed
            .read_on(&self.attachments, |position| self.since(position))
            .await
    }

    async fn since(&self, place: u64) -> Result<Changes, LinkError> {
        self.cluster.look_up().await?;
        Ok(self.cluster.database().since(place, PART))
    }

    /// What the handler of a revocation does between its commit and its answer.
    pub(super) async fn tokens_revoked(&self, tokens: &[SecretHash]) {
        if !matches!(timeout(NOTIFY_LIMIT, self.catch_up()).await, Ok(Ok(_))) {
            self.attachments.push_revoked(tokens);
        }
    }

    /// The same for a change of a gateway key.
    pub(super) async fn key_changed(&self, key: GatewayKeyId) {
        let mut key_sessions = self.attachments.key_sessions.of(key);
        key_sessions.sort_by_key(|session| *session.hash.as_bytes());
        for session in key_sessions {
            if self.look_key_up(&session).await.is_err() {
                break;
            }
        }
    }

    pub(super) async fn configuration_changed(&self) -> Result<(), LinkError> {
        let looked_up = self.cluster.look_up().await;
        if looked_up.is_err() {
            self.feed.put_configuration_back();
        }
        looked_up?;
        let database = self.cluster.database();
        let loaded = Loaded {
            whole: database.configuration(),
            scopes: database
                .keys
                .iter()
                .map(|key| (key.id, None))
                .collect::<HashMap<_, _>>(),
        };
        drop(database);
        self.attachments.push_configuration(&loaded);
        Ok(())
    }

    async fn turn(&self) -> Result<(), LinkError> {
        self.catch_up().await?;
        let mut keys: Vec<_> = self.feed.take_keys().into_iter().collect();
        keys.sort_unstable();
        for key in keys {
            self.key_changed(key).await;
        }
        if self.feed.take_configuration() {
            self.configuration_changed().await?;
        }
        Ok(())
    }
}

async fn follow(control_plane: Arc<ControlPlane>) {
    loop {
        let _ = timeout(FEED_EVERY, control_plane.feed.bell.notified()).await;
        // What failed is done in the next turn.
        let _ = control_plane.turn().await;
    }
}

async fn sweep(control_plane: Arc<ControlPlane>) {
    loop {
        sleep(KEYS_EVERY).await;
        let mut key_sessions = control_plane.attachments.key_sessions.sweep();
        key_sessions.sort_by_key(|session| *session.hash.as_bytes());
        for session in key_sessions {
            if control_plane.look_key_up(&session).await.is_err() {
                break;
            }
        }
    }
}

async fn discard(mut detachments: mpsc::UnboundedReceiver<Detachment>) {
    while detachments.recv().await.is_some() {}
}
