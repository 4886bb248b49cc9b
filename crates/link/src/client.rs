//! The replica's half: [`ControlLink`] calls in, gRPC calls out, to whichever of several control planes works.

mod endpoint;
mod keys;
mod pool;

pub use endpoint::ControlUrlError;

use crate::DELIVERY_BYTES;
use crate::convert::status::read_status;
use crate::error::LinkError;
use crate::field::id_bytes;
use crate::generated as wire;
use crate::link::{Attachment, Authorization, CloseReason, ControlLink, Down, Heartbeat, Hello, Message, Receipt};
use crate::record::EncodedRecord;
use async_trait::async_trait;
use endpoint::Endpoint;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use keys::{Choice, Keys};
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use lychgate_types::{Ambient, ReplicaId};
use pool::{Patience, Pool};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status, Streaming};

/// A client waits for the answer, so it gets little time; and with another control plane to turn to, less.
const AUTHORIZE: Patience = Patience {
    total: Duration::from_secs(5),
    each: Duration::from_secs(1),
    stubborn: false,
};
const DELIVER: Patience = Patience {
    total: Duration::from_secs(30),
    each: Duration::from_secs(15),
    stubborn: false,
};
/// Whoever attaches has its own times to wait between its attempts.
const ATTACH: Patience = Patience {
    total: Duration::from_secs(9),
    each: Duration::from_secs(3),
    stubborn: true,
};
/// The control plane shows the last heartbeat's time, so one goes up at least this often.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);

/// The link of a standalone replica, to one control plane or several of one deployment. Connects when first used and again
/// after each loss; cheap to clone. It is attached to one of them; each other call goes to the less busy of two that work.
#[derive(Clone)]
pub struct GrpcLink(Arc<Shared>);

struct Shared {
    pool: Pool,
    keys: Keys,
}

impl std::fmt::Debug for GrpcLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<&str> = self.0.pool.endpoints().iter().map(|endpoint| &*endpoint.url).collect();
        f.debug_struct("GrpcLink").field("urls", &urls).finish_non_exhaustive()
    }
}

impl GrpcLink {
    /// Prepares a link to the control planes at `urls` (`http` or `https`, no path), at least one. Needs a Tokio runtime; asks
    /// nobody yet. A new value of `key` is shown from the next attachment on, see [`ControlLink::renewed`].
    pub fn new(
        urls: &[impl AsRef<str>],
        key: watch::Receiver<GatewayKeySecret>,
        ambient: Ambient,
    ) -> Result<Self, ControlUrlError> {
        let endpoints = urls.iter().map(|url| Endpoint::new(url.as_ref()).map(Arc::new));
        Ok(Self(Arc::new(Shared {
            pool: Pool::new(endpoints.collect::<Result<_, _>>()?, ambient),
            keys: Keys::new(key),
        })))
    }

    /// Makes a call on whichever control plane answers, with whichever key is let in.
    async fn ask<T, F, Asking>(&self, patience: Patience, keys: &Choice, call: F) -> Result<T, LinkError>
    where
        T: Send,
        F: Fn(Arc<Endpoint>, GatewayKeySecret, Duration) -> Asking + Send + Sync,
        Asking: Future<Output = Result<T, LinkError>> + Send,
    {
        let call = &call;
        self.0
            .pool
            .ask(patience, |endpoint, time| async move {
                let first = call(Arc::clone(&endpoint), keys.first.clone(), time).await;
                let (key, answer) = match (first, &keys.second) {
                    (Err(error), Some(second)) if keys::is_about_the_key(&error) => {
                        let other = call(endpoint, second.clone(), time).await;
                        // What else went wrong did so with a key that was let in, and says more.
                        if other.as_ref().err().is_none_or(|error| !keys::is_about_the_key(error)) {
                            tracing::error!(refused = keys.first.prefix(), used = second.prefix(), %error, "a gateway key is not let in; the other one that is known is used");
                            (second, other)
                        } else {
                            (&keys.first, Err(error))
                        }
                    }
                    (first, _) => (&keys.first, first),
                };
                if answer.is_ok() {
                    self.0.keys.prove(key.clone());
                }
                answer
            })
            .await
    }

    async fn deliver_batch(&self, batch: wire::DeliverRequest) -> Result<Receipt, LinkError> {
        let keys = self.0.keys.for_call();
        self.ask(DELIVER, &keys, |endpoint, key, time| {
            let request = request(batch.clone(), &key, Some(time));
            async move {
                read(endpoint.client().deliver(request?).await)?
                    .try_into()
                    .map_err(LinkError::from)
            }
        })
        .await
    }
}

#[async_trait]
impl ControlLink for GrpcLink {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let keys = self.0.keys.for_attachment();
        let (endpoint, down, attached) = self
            .ask(ATTACH, &keys, |endpoint, key, _| {
                // HTTP/2 keeps our half of the stream open when only the answer is dropped; the replica detaches by ending
                // both.
                let (attached, detached) = oneshot::channel::<()>();
                let up = up(hello.clone(), heartbeats.clone()).take_until(detached);
                let request = request(up, &key, None);
                async move {
                    let down = read(endpoint.client().attach(request?).await)?;
                    Ok((endpoint, down, attached))
                }
            })
            .await?;
        tracing::info!(url = &*endpoint.url, "attached");
        let pool = &self.0.pool;
        let others = pool.endpoints().len() > 1;
        Ok(Attachment {
            events: events(endpoint, others, down, attached, pool.ambient.clone()),
        })
    }

    async fn renewed(&self) {
        self.0.keys.renewed().await;
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        let message = wire::AuthorizeRequest {
            token_hash: token.as_bytes().to_vec(),
        };
        let keys = self.0.keys.for_call();
        self.ask(AUTHORIZE, &keys, |endpoint, key, time| {
            let request = request(message.clone(), &key, Some(time));
            async move {
                read(endpoint.client().authorize(request?).await)?
                    .try_into()
                    .map_err(LinkError::from)
            }
        })
        .await
    }

    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        let mut receipt = Receipt::default();
        let empty = || wire::DeliverRequest {
            replica_id: id_bytes(replica.as_uuid()),
            interceptions: Vec::new(),
        };
        let (mut batch, mut bytes) = (empty(), 0);
        for record in records {
            let length = record.bytes().len();
            if bytes > 0 && bytes + length > DELIVERY_BYTES {
                let full = std::mem::replace(&mut batch, empty());
                receipt.rejected.append(&mut self.deliver_batch(full).await?.rejected);
                bytes = 0;
            }
            bytes += length;
            batch.interceptions.push(record.bytes().clone());
        }
        receipt.rejected.append(&mut self.deliver_batch(batch).await?.rejected);
        Ok(receipt)
    }
}

fn request<T>(message: T, key: &GatewayKeySecret, time: Option<Duration>) -> Result<Request<T>, LinkError> {
    let mut request = Request::new(message);
    let key =
        keys::as_metadata(key).ok_or_else(|| LinkError::Unreachable("the gateway key can't be sent".to_owned()))?;
    request.metadata_mut().insert("authorization", key);
    if let Some(time) = time {
        request.set_timeout(time);
    }
    Ok(request)
}

fn read<T>(answer: Result<Response<T>, Status>) -> Result<T, LinkError> {
    answer.map(Response::into_inner).map_err(|status| read_status(&status))
}

/// What comes down an attachment. A control plane whose connection broke, or that takes leave while `others` are there, is left
/// alone for a while, so that the next attachment goes to another.
fn events(
    endpoint: Arc<Endpoint>,
    others: bool,
    down: Streaming<wire::Down>,
    attached: oneshot::Sender<()>,
    ambient: Ambient,
) -> BoxStream<'static, Result<Down, LinkError>> {
    down.map(move |message| {
        let _held_while_attached = &attached;
        let event = match message {
            Ok(message) => Down::try_from(message).map_err(LinkError::from),
            Err(status) => Err(read_status(&status)),
        };
        match &event {
            Err(LinkError::Unreachable(why)) => endpoint.failed(why, &ambient),
            Ok(down) if others && down.message == Message::Close(CloseReason::ShuttingDown) => {
                endpoint.failed("it is shutting down", &ambient);
            }
            _ => {}
        }
        event
    })
    .boxed()
}

/// What goes up an attachment: the hello, then the heartbeat at each change and in between.
fn up(hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> impl Stream<Item = wire::Up> {
    let hello = stream::once(async move {
        wire::Up {
            message: Some(wire::up::Message::Hello(hello.into())),
        }
    });
    let beats = stream::unfold(heartbeats, |mut heartbeats| async move {
        // Either way a heartbeat is due; only the end of the replica itself ends the stream.
        if let Ok(Err(_closed)) = tokio::time::timeout(HEARTBEAT_EVERY, heartbeats.changed()).await {
            return None;
        }
        let beat = *heartbeats.borrow_and_update();
        Some((
            wire::Up {
                message: Some(wire::up::Message::Heartbeat(beat.into())),
            },
            heartbeats,
        ))
    });
    hello.chain(beats)
}
