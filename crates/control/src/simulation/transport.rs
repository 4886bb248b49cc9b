//! How calls reach one control plane over the simulated network. Everything above it (which control plane, which key, failover,
//! backoff) is the product's own client.

use super::client_checks::LastAccepted;
use super::cluster::Cluster;
use super::control_plane::ControlPlane;
use super::network::{Connection, broken};
use super::stream::Carried;
use futures_util::StreamExt as _;
use futures_util::stream;
use lychgate_link::client::{Credentials, Transport};
use lychgate_link::{Attachment, Authorization, EncodedRecord, Heartbeat, Hello, LinkError, Receipt};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Ownership, ReplicaId, StoredObject};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The way of one process of a replica to one control plane.
pub(super) struct SimulatedTransport {
    cluster: Arc<Cluster>,
    host: usize,
    control_plane: usize,
    attached_to: Arc<AtomicUsize>,
    accepted: LastAccepted,
}

impl SimulatedTransport {
    /// The ways to all control planes. `attached_to` is set to the number of the one that last accepted an
    /// attachment, `accepted` to the last accepted key.
    pub(super) fn to_all(
        cluster: &Arc<Cluster>,
        host: usize,
        attached_to: &Arc<AtomicUsize>,
        accepted: &LastAccepted,
    ) -> Vec<(&'static str, Self)> {
        let to_one = |control_plane| Self {
            cluster: cluster.clone(),
            host,
            control_plane,
            attached_to: attached_to.clone(),
            accepted: accepted.clone(),
        };
        (0..cluster.settings.control_planes)
            .map(|number| ("simulated", to_one(number)))
            .collect()
    }

    fn connection(&self) -> &Connection {
        &self.cluster.hosts[self.host].connections[self.control_plane]
    }

    /// Carries a call to the control plane, and its answer back. The control plane finishes the call even if nobody waits for it
    /// any longer.
    async fn carry<A, Call>(
        &self,
        key: SecretHash,
        call: impl FnOnce(Arc<ControlPlane>) -> Call + Send,
    ) -> Result<A, LinkError>
    where
        A: Send + 'static,
        Call: Future<Output = Result<A, LinkError>> + Send + 'static,
    {
        self.connection().pass().await?;
        let control_plane = self.cluster.control_plane(self.control_plane).ok_or_else(broken)?;
        let (done, answer) = oneshot::channel();
        let call = call(control_plane.clone());
        tokio::spawn(async move { drop(done.send(control_plane.serve(call).await)) });
        let answer = answer.await.unwrap_or_else(|_| Err(broken()));
        self.connection().pass().await?;
        if self.cluster.gets_lost(self.cluster.settings.lost_answers) {
            return Err(broken());
        }
        if answer.is_ok() {
            self.accepted.set(key);
        }
        answer
    }
}

impl Transport for SimulatedTransport {
    async fn attach(
        &self,
        credentials: Credentials<'_>,
        hello: Hello,
        heartbeats: watch::Receiver<Heartbeat>,
    ) -> Result<Attachment, LinkError> {
        let (key, process) = (credentials.key.hash(), credentials.process.hash());
        let (beats, received) = watch::channel(*heartbeats.borrow());
        let call = |control_plane: Arc<ControlPlane>| async move {
            let attachment = control_plane.attach(key, process, hello, received).await?;
            Ok((control_plane, attachment))
        };
        let (control_plane, attachment) = self.carry(key, call).await?;
        self.attached_to.store(self.control_plane, Ordering::Relaxed);
        let way = (self.cluster.clone(), self.host, self.control_plane);
        let carried = Carried::new(way, &control_plane, (heartbeats, beats), attachment);
        let events = stream::unfold(carried, |mut carried| async move {
            let event = carried.next().await?;
            Some((event, carried))
        });
        Ok(Attachment { events: events.boxed() })
    }

    async fn authorize(
        &self,
        credentials: Credentials<'_>,
        token: SecretHash,
        _: Duration,
    ) -> Result<Authorization, LinkError> {
        let (key, process) = (credentials.key.hash(), credentials.process.hash());
        self.carry(key, |control_plane| async move {
            control_plane.authorize(key, process, token).await
        })
        .await
    }

    /// The simulation's requests name no stored objects.
    async fn owns(
        &self,
        _: Credentials<'_>,
        _: SecretHash,
        objects: &[String],
        _: Duration,
    ) -> Result<Vec<StoredObject>, LinkError> {
        Ok(vec![Ownership::Unknown.into(); objects.len()])
    }

    async fn deliver(
        &self,
        credentials: Credentials<'_>,
        replica: ReplicaId,
        records: &[EncodedRecord],
        _: Duration,
    ) -> Result<Receipt, LinkError> {
        let (key, records) = (credentials.key.hash(), records.to_vec());
        self.carry(key, |control_plane| async move {
            control_plane.deliver(key, replica, records).await
        })
        .await
    }
}
