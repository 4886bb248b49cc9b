//! The transport in production: gRPC over HTTP/2, TLS for `https`.

use super::transport::{Credentials, Transport};
use crate::convert::calls::read_owned;
use crate::convert::status::read_status;
use crate::error::LinkError;
use crate::field::id_bytes;
use crate::generated as wire;
use crate::generated::link_client::LinkClient;
use crate::limits::{DELIVER_MESSAGE_BYTES, DOWN_MESSAGE_BYTES};
use crate::link::{Attachment, Authorization, Down, Heartbeat, Hello, Receipt};
use crate::record::EncodedRecord;
use crate::version::PROTOCOL;
use crate::{PROCESS, PROTOCOL_VERSION};
use futures_util::stream::{self, Stream, StreamExt};
use lychgate_types::secret::SecretHash;
use lychgate_types::{ReplicaId, StoredObject};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Request, Response, Status};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A control plane that disappears without closing its connection is noticed within twice this.
const PING_EVERY: Duration = Duration::from_secs(5);
/// The control plane shows the last heartbeat's time, so one is sent at least this often.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);

/// A control URL that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the control URL {url:?} can't be used: {reason}; write for example https://lychgate.example.com")]
pub struct ControlUrlError {
    url: String,
    reason: String,
}

/// The connection to the control plane at one URL.
pub struct GrpcTransport(LinkClient<Channel>);

impl GrpcTransport {
    /// Prepares the connection to `url` (`http` or `https`, no path). Needs a Tokio runtime; connects when first used.
    pub(super) fn new(url: &str) -> Result<Self, ControlUrlError> {
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
        let mut endpoint = tonic::transport::Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .keep_alive_while_idle(true);
        if https {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|_| refuse("TLS can't be set up: are the system's CA certificates installed?"))?;
        }
        let client = LinkClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(DOWN_MESSAGE_BYTES)
            .max_encoding_message_size(DELIVER_MESSAGE_BYTES);
        Ok(Self(client))
    }
}

impl Transport for GrpcTransport {
    async fn attach(
        &self,
        credentials: Credentials<'_>,
        hello: Hello,
        heartbeats: watch::Receiver<Heartbeat>,
    ) -> Result<Attachment, LinkError> {
        // HTTP/2 keeps our half of the stream open when only the answer is dropped; the replica detaches by ending both.
        let (attached, detached) = oneshot::channel::<()>();
        let request = request(up(hello, heartbeats).take_until(detached), credentials)?;
        let down = read(self.0.clone().attach(request).await)?;
        let events = down.map(move |message| {
            let _held_while_attached = &attached;
            match message {
                Ok(message) => Down::try_from(message).map_err(LinkError::from),
                Err(status) => Err(read_status(&status)),
            }
        });
        Ok(Attachment { events: events.boxed() })
    }

    async fn authorize(
        &self,
        credentials: Credentials<'_>,
        token: SecretHash,
        time: Duration,
    ) -> Result<Authorization, LinkError> {
        let token_hash = token.as_bytes().to_vec();
        let mut request = request(wire::AuthorizeRequest { token_hash }, credentials)?;
        request.set_timeout(time);
        Ok(read(self.0.clone().authorize(request).await)?.try_into()?)
    }

    async fn owns(
        &self,
        credentials: Credentials<'_>,
        token: SecretHash,
        objects: &[String],
        time: Duration,
    ) -> Result<Vec<StoredObject>, LinkError> {
        let question = wire::OwnsRequest {
            token_hash: token.as_bytes().to_vec(),
            objects: objects.to_vec(),
            ..wire::OwnsRequest::default()
        };
        let mut request = request(question, credentials)?;
        request.set_timeout(time);
        Ok(read_owned(read(self.0.clone().owns(request).await)?, objects.len())?)
    }

    async fn deliver(
        &self,
        credentials: Credentials<'_>,
        replica: ReplicaId,
        records: &[EncodedRecord],
        time: Duration,
    ) -> Result<Receipt, LinkError> {
        let batch = wire::DeliverRequest {
            replica_id: id_bytes(replica.as_uuid()),
            interceptions: records.iter().map(|record| record.bytes().clone()).collect(),
        };
        let mut request = request(batch, credentials)?;
        request.set_timeout(time);
        Ok(read(self.0.clone().deliver(request).await)?.try_into()?)
    }
}

fn request<M>(message: M, credentials: Credentials<'_>) -> Result<Request<M>, LinkError> {
    let mut request = Request::new(message);
    let Credentials { key, process } = credentials;
    let values = (
        secret(&format!("Bearer {}", key.expose())),
        secret(&process.to_hex()),
        MetadataValue::try_from(PROTOCOL.to_string()),
    );
    let (Some(key), Some(process), Ok(protocol)) = values else {
        return Err(LinkError::Unreachable("the gateway key can't be sent".to_owned()));
    };
    request.metadata_mut().insert(PROTOCOL_VERSION, protocol);
    request.metadata_mut().insert("authorization", key);
    request.metadata_mut().insert(PROCESS, process);
    Ok(request)
}

/// `None` can't happen: both are letters and digits.
fn secret(text: &str) -> Option<MetadataValue<Ascii>> {
    let mut value = MetadataValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn read<M>(answer: Result<Response<M>, Status>) -> Result<M, LinkError> {
    answer.map(Response::into_inner).map_err(|status| read_status(&status))
}

/// What goes up an attachment: the hello, then heartbeats at each change and in between.
fn up(hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> impl Stream<Item = wire::Up> {
    let hello = stream::once(async move {
        wire::Up {
            message: Some(wire::up::Message::Hello(hello.into())),
        }
    });
    let beats = stream::unfold(heartbeats, |mut heartbeats| async move {
        // A heartbeat is due either way; the stream ends only with the replica itself.
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
