//! The replica's half: [`ControlLink`] calls in, gRPC calls out.

use crate::convert::id_bytes;
use crate::generated as wire;
use crate::generated::link_client::LinkClient;
use crate::link::{Attachment, Authorization, ControlLink, Down, Heartbeat, Hello, LinkError, Receipt};
use crate::record::EncodedRecord;
use crate::status::read_status;
use crate::{DELIVERY_BYTES, MAX_MESSAGE_BYTES};
use async_trait::async_trait;
use futures_util::stream::{self, Stream, StreamExt};
use lychgate_types::ReplicaId;
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// A client waits for the answer to `authorize`, so it gets little time.
const AUTHORIZE_TIMEOUT: Duration = Duration::from_secs(5);
const DELIVER_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The control plane shows the last heartbeat's time, so one goes up at least this often.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);

/// A control URL that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the control URL {url:?} can't be used: {reason}; write for example https://lychgate.example.com")]
pub struct ControlUrlError {
    url: String,
    reason: String,
}

/// The link of a standalone replica. Connects when first used and again after each loss; cheap to clone.
#[derive(Clone)]
pub struct GrpcLink {
    client: LinkClient<Channel>,
    authorization: MetadataValue<Ascii>,
    url: Arc<str>,
}

impl std::fmt::Debug for GrpcLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcLink")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl GrpcLink {
    /// Prepares a link to the control plane at `url` (`http` or `https`, no path). Needs a Tokio runtime; asks nobody yet.
    pub fn new(url: &str, key: &GatewayKeySecret) -> Result<Self, ControlUrlError> {
        let refuse = |reason: &str| ControlUrlError {
            url: without_userinfo(url),
            reason: reason.to_owned(),
        };
        let uri: http::Uri = url.parse().map_err(|_| refuse("it is not a URL"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse("it starts neither with https:// nor with http://")),
        };
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(refuse("it needs a host and takes no user name or password"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("it takes no path and no query"));
        }
        let mut endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        if https {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|_| refuse("TLS can't be set up: are the system's CA certificates installed?"))?;
        }
        let client = LinkClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut authorization = MetadataValue::try_from(format!("Bearer {}", key.expose()))
            .map_err(|_| refuse("the gateway key can't be sent"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            client,
            authorization,
            url: url.into(),
        })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        request
    }

    async fn deliver_batch(&self, batch: wire::DeliverRequest) -> Result<Receipt, LinkError> {
        let mut request = self.request(batch);
        request.set_timeout(DELIVER_TIMEOUT);
        let answer = self
            .client
            .clone()
            .deliver(request)
            .await
            .map_err(|status| read_status(&status))?;
        Ok(answer.into_inner().try_into()?)
    }
}

#[async_trait]
impl ControlLink for GrpcLink {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        // HTTP/2 keeps our half of the stream open when only the answer is dropped; the replica detaches by ending both.
        let (attached, detached) = oneshot::channel::<()>();
        let request = self.request(up(hello, heartbeats).take_until(detached));
        let answer =
            tokio::time::timeout(CONNECT_TIMEOUT + AUTHORIZE_TIMEOUT, self.client.clone().attach(request)).await;
        let answer = answer.map_err(|_| LinkError::Unreachable("it did not answer in time".to_owned()))?;
        let down = answer.map_err(|status| read_status(&status))?.into_inner();
        let events = down.map(move |message: Result<wire::Down, Status>| {
            let _held_while_attached = &attached;
            let message = message.map_err(|status| read_status(&status))?;
            Ok(Down::try_from(message)?)
        });
        Ok(Attachment { events: events.boxed() })
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        let mut request = self.request(wire::AuthorizeRequest {
            token_hash: token.as_bytes().to_vec(),
        });
        request.set_timeout(AUTHORIZE_TIMEOUT);
        let answer = self
            .client
            .clone()
            .authorize(request)
            .await
            .map_err(|status| read_status(&status))?;
        Ok(answer.into_inner().try_into()?)
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
                receipt.rejected.append(
                    &mut self
                        .deliver_batch(std::mem::replace(&mut batch, empty()))
                        .await?
                        .rejected,
                );
                bytes = 0;
            }
            bytes += length;
            batch.interceptions.push(record.bytes().clone());
        }
        receipt.rejected.append(&mut self.deliver_batch(batch).await?.rejected);
        Ok(receipt)
    }
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

fn without_userinfo(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}
