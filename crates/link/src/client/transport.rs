//! How calls reach one control plane. In production that is gRPC ([`super::grpc`]); the simulation has a network of its own.

use crate::error::LinkError;
use crate::link::{Attachment, Authorization, Heartbeat, Hello, Receipt};
use crate::record::EncodedRecord;
use lychgate_types::secret::{GatewayKeySecret, ProcessSecret, SecretHash};
use lychgate_types::{ReplicaId, StoredObject};
use std::time::Duration;
use tokio::sync::watch;

/// What a call shows of who makes it.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// The gateway key.
    pub key: &'a GatewayKeySecret,
    /// The same in all calls of a process.
    pub process: &'a ProcessSecret,
}

/// The connection to one control plane. It connects when first used and again after each loss; which control plane is called,
/// with which key and for how long, is the caller's choice.
///
/// [`LinkError::Unreachable`] means that this control plane can't answer now and another may; any other error is its answer.
pub trait Transport: Send + Sync + 'static {
    /// Opens the long stream, see [`crate::ControlLink::attach`].
    fn attach(
        &self,
        credentials: Credentials<'_>,
        hello: Hello,
        heartbeats: watch::Receiver<Heartbeat>,
    ) -> impl Future<Output = Result<Attachment, LinkError>> + Send;

    /// Asks about a token. After `time` the caller gives up.
    fn authorize(
        &self,
        credentials: Credentials<'_>,
        token: SecretHash,
        time: Duration,
    ) -> impl Future<Output = Result<Authorization, LinkError>> + Send;

    /// Asks about stored objects. After `time` the caller gives up.
    fn owns(
        &self,
        credentials: Credentials<'_>,
        token: SecretHash,
        objects: &[String],
        time: Duration,
    ) -> impl Future<Output = Result<Vec<StoredObject>, LinkError>> + Send;

    /// Delivers one batch of records. After `time` the caller gives up.
    fn deliver(
        &self,
        credentials: Credentials<'_>,
        replica: ReplicaId,
        records: &[EncodedRecord],
        time: Duration,
    ) -> impl Future<Output = Result<Receipt, LinkError>> + Send;
}
