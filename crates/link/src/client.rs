//! The replica's half: [`ControlLink`] calls in, calls to whichever of several control planes works out.
//!
//! Not here: how a call reaches a control plane ([`Transport`]).

mod endpoint;
mod grpc;
mod keys;
mod pool;
mod transport;

pub use grpc::{ControlUrlError, GrpcTransport};
pub use transport::{Credentials, Transport};

use crate::error::LinkError;
use crate::limits::{DELIVER_MESSAGE_BYTES, DELIVERED_RECORDS};
use crate::link::{Attachment, Authorization, CloseReason, ControlLink, Down, Heartbeat, Hello, Message, Receipt};
use crate::record::EncodedRecord;
use async_trait::async_trait;
use endpoint::Endpoint;
use futures_util::stream::{BoxStream, StreamExt};
use keys::{KeyChoice, Keys};
use lychgate_types::secret::{GatewayKeySecret, ProcessSecret, SecretHash};
use lychgate_types::{Ambient, KeyRefusal, ReplicaId, StoredObject};
use pool::{Deadlines, Pool};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A client waits for the answer, so there is little time, and less while another control plane is left.
const AUTHORIZE: Deadlines = Deadlines {
    total: Duration::from_secs(5),
    attempt: Duration::from_secs(1),
    ignores_backoff: false,
    is_telling: true,
};
/// Anybody with a token makes replicas ask this, and it costs a database more than the others: that it takes long says nothing of them.
const OWNS: Deadlines = Deadlines {
    is_telling: false,
    ..AUTHORIZE
};
const DELIVER: Deadlines = Deadlines {
    total: Duration::from_secs(30),
    attempt: Duration::from_secs(15),
    ignores_backoff: false,
    is_telling: true,
};
/// The caller has its own backoff between attempts to attach.
const ATTACH: Deadlines = Deadlines {
    total: Duration::from_secs(9),
    attempt: Duration::from_secs(3),
    ignores_backoff: true,
    is_telling: true,
};

/// The link of a process of a standalone replica, to one control plane or several of one deployment. It is attached to one of them; every
/// other call goes to the less busy of two that work. Cheap to clone.
pub struct LinkClient<T>(Arc<Shared<T>>);

/// The link over gRPC.
pub type GrpcLink = LinkClient<GrpcTransport>;

struct Shared<T> {
    pool: Pool<T>,
    keys: Keys,
    process: ProcessSecret,
}

impl<T> Clone for LinkClient<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> std::fmt::Debug for LinkClient<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<&str> = self.0.pool.endpoints().iter().map(|endpoint| &*endpoint.url).collect();
        f.debug_struct("LinkClient")
            .field("urls", &urls)
            .finish_non_exhaustive()
    }
}

impl GrpcLink {
    /// Prepares a link to the control planes at `urls` (`http` or `https`, no path), at least one. Needs a Tokio runtime;
    /// connects when first used. A new value of `key` is shown from the next attachment on, see [`ControlLink::renewed`].
    pub fn new(
        urls: &[impl AsRef<str>],
        key: watch::Receiver<GatewayKeySecret>,
        ambient: Ambient,
    ) -> Result<Self, ControlUrlError> {
        let transports = urls
            .iter()
            .map(|url| Ok((url.as_ref(), GrpcTransport::new(url.as_ref())?)));
        let transports = transports.collect::<Result<Vec<_>, _>>()?;
        Ok(Self::over(transports, key, ambient))
    }
}

impl<T: Transport> LinkClient<T> {
    /// A link to control planes that are reached in this way, each with the URL that logs show.
    pub fn over<'a>(
        transports: impl IntoIterator<Item = (&'a str, T)>,
        key: watch::Receiver<GatewayKeySecret>,
        ambient: Ambient,
    ) -> Self {
        let transports = transports.into_iter();
        let endpoints = transports.map(|(url, transport)| Arc::new(Endpoint::new(url, transport)));
        Self(Arc::new(Shared {
            process: ProcessSecret::generate(&ambient),
            pool: Pool::new(endpoints.collect(), ambient),
            keys: Keys::new(key),
        }))
    }

    /// Makes a call on whichever control plane answers, with whichever key is accepted.
    async fn call<A, F, Attempt>(&self, deadlines: Deadlines, keys: &KeyChoice, attempt: F) -> Result<A, LinkError>
    where
        A: Send,
        F: Fn(Arc<Endpoint<T>>, GatewayKeySecret, Duration) -> Attempt + Send + Sync,
        Attempt: Future<Output = Result<A, LinkError>> + Send,
    {
        let attempt = &attempt;
        self.0
            .pool
            .call(deadlines, |endpoint, time| async move {
                let first = attempt(Arc::clone(&endpoint), keys.first.clone(), time).await;
                let (key, answer) = match (first, &keys.second) {
                    (Err(error), Some(second)) if is_about_the_key(&error) => {
                        let other = attempt(endpoint, second.clone(), time).await;
                        // An error about something else came with a key that was accepted, and says more.
                        if other.as_ref().err().is_none_or(|error| !is_about_the_key(error)) {
                            tracing::error!(refused = keys.first.prefix(), used = second.prefix(), %error, "a gateway key is refused; the other known one is used");
                            (second, other)
                        } else {
                            (&keys.first, Err(error))
                        }
                    }
                    (first, _) => (&keys.first, first),
                };
                if answer.is_ok() {
                    self.0.keys.mark_accepted(key.clone());
                }
                answer
            })
            .await
    }

    fn credentials<'a>(&'a self, key: &'a GatewayKeySecret) -> Credentials<'a> {
        let process = &self.0.process;
        Credentials { key, process }
    }

    async fn deliver_batch(&self, replica: ReplicaId, batch: &[EncodedRecord]) -> Result<Receipt, LinkError> {
        let keys = self.0.keys.for_call();
        self.call(DELIVER, &keys, |endpoint, key, time| async move {
            let credentials = self.credentials(&key);
            endpoint.transport.deliver(credentials, replica, batch, time).await
        })
        .await
    }
}

#[async_trait]
impl<T: Transport> ControlLink for LinkClient<T> {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let keys = self.0.keys.for_attachment();
        let (endpoint, attachment) = self
            .call(ATTACH, &keys, |endpoint, key, _| {
                let (hello, heartbeats) = (hello.clone(), heartbeats.clone());
                async move {
                    let credentials = self.credentials(&key);
                    let attachment = endpoint.transport.attach(credentials, hello, heartbeats).await?;
                    Ok((endpoint, attachment))
                }
            })
            .await?;
        tracing::info!(url = &*endpoint.url, "attached");
        let pool = &self.0.pool;
        let has_others = pool.endpoints().len() > 1;
        Ok(Attachment {
            events: watched(attachment.events, endpoint, has_others, pool.ambient.clone()),
        })
    }

    async fn renewed(&self) {
        self.0.keys.renewed().await;
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        let keys = self.0.keys.for_call();
        self.call(AUTHORIZE, &keys, |endpoint, key, time| async move {
            endpoint.transport.authorize(self.credentials(&key), token, time).await
        })
        .await
    }

    async fn owns(&self, token: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        let keys = self.0.keys.for_call();
        self.call(OWNS, &keys, |endpoint, key, time| async move {
            let credentials = self.credentials(&key);
            endpoint.transport.owns(credentials, token, objects, time).await
        })
        .await
    }

    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        let mut receipt = Receipt::default();
        let mut rest = records.as_slice();
        loop {
            let (batch, more) = rest.split_at(batch_length(rest));
            receipt
                .rejected
                .append(&mut self.deliver_batch(replica, batch).await?.rejected);
            if more.is_empty() {
                return Ok(receipt);
            }
            rest = more;
        }
    }
}

/// What a record takes in a delivery beside its bytes: its tag and its length.
const RECORD_FRAME: usize = 8;

/// How many of these records go into one call: as many as fit, at least one.
fn batch_length(records: &[EncodedRecord]) -> usize {
    // The replica's id comes first.
    let mut bytes = size_of::<ReplicaId>() + RECORD_FRAME;
    let fits = |record: &EncodedRecord| {
        bytes += record.bytes().len() + RECORD_FRAME;
        bytes <= DELIVER_MESSAGE_BYTES
    };
    let most = records.len().min(DELIVERED_RECORDS);
    let first_too_many = records.iter().take(most).map(fits).position(|fits| !fits);
    first_too_many.map_or(most, |at| at.max(1))
}

fn is_about_the_key(error: &LinkError) -> bool {
    error.refusal().is_some_and(KeyRefusal::is_about_the_key)
}

/// What comes down an attachment. A control plane whose connection broke, or that shuts down while there are others, backs off,
/// so that the next attachment goes to another.
fn watched<T: Transport>(
    events: BoxStream<'static, Result<Down, LinkError>>,
    endpoint: Arc<Endpoint<T>>,
    has_others: bool,
    ambient: Ambient,
) -> BoxStream<'static, Result<Down, LinkError>> {
    let mut attached = Some(endpoint.attach());
    events
        .inspect(move |event| {
            let failure = match event {
                Err(LinkError::Unreachable(why)) => why,
                Ok(down) if has_others && down.message == Message::Close(CloseReason::ShuttingDown) => {
                    "it is shutting down"
                }
                _ => return,
            };
            drop(attached.take());
            endpoint.failed(failure, &ambient);
        })
        .boxed()
}
