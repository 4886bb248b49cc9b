//! The control plane's half: gRPC calls in, [`ControlLink`] calls out.
//!
//! Not here: who is accepted and what is answered. The [`Authenticator`] and the link that it returns decide that.

use crate::MAX_MESSAGE_BYTES;
use crate::error::{LinkError, Refusal};
use crate::field::{BadMessage, read_hash, read_id};
use crate::generated as wire;
use crate::generated::link_server::{Link, LinkServer};
use crate::link::{ControlLink, Down, Heartbeat};
use crate::record::EncodedRecord;
use async_trait::async_trait;
use axum::extract::ConnectInfo;
use futures_util::stream::{BoxStream, StreamExt};
use lychgate_types::{KeyRefusal, ReplicaId};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// Decides who may use the link. Called once per call, so its answer for a key in use must be cheap.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The link for a replica with this gateway key, or why it is refused. `source` is the peer's address, if the listener
    /// knows it.
    async fn authenticate(&self, key: &str, source: Option<SocketAddr>) -> Result<Arc<dyn ControlLink>, LinkError>;
}

/// The link's routes (`/lychgate.link.v1.Link/…`), to be merged into the router of an HTTP/2 listener.
pub fn routes(authenticator: Arc<dyn Authenticator>) -> axum::Router {
    let service = LinkServer::new(Service { authenticator })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    axum::Router::new().route_service("/lychgate.link.v1.Link/{method}", service)
}

struct Service {
    authenticator: Arc<dyn Authenticator>,
}

impl Service {
    async fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Arc<dyn ControlLink>, Status> {
        let key = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|v| v.strip_prefix("Bearer "));
        let Some(key) = key else {
            let refusal = Refusal {
                reason: KeyRefusal::Malformed,
                message: "the gateway key is missing; send it as `authorization: Bearer lgw_…`".into(),
            };
            return Err(LinkError::Refused(refusal).into());
        };
        let source = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        Ok(self.authenticator.authenticate(key, source).await?)
    }
}

#[async_trait]
impl Link for Service {
    type AttachStream = BoxStream<'static, Result<wire::Down, Status>>;

    async fn attach(&self, request: Request<Streaming<wire::Up>>) -> Result<Response<Self::AttachStream>, Status> {
        let link = self.authenticate(request.metadata(), request.extensions()).await?;
        let mut up = request.into_inner();
        let first = up.message().await?.and_then(|up| up.message);
        let Some(wire::up::Message::Hello(hello)) = first else {
            return Err(BadMessage("hello").into());
        };
        let (beats, heartbeats) = watch::channel(Heartbeat::default());
        let attachment = link.attach(hello.try_into()?, heartbeats).await?;

        // The task ends with the replica's half of the stream, and its end closes our half.
        let (closed, replica_closed) = oneshot::channel::<()>();
        tokio::spawn(async move {
            while let Ok(Some(message)) = up.message().await {
                if let Some(wire::up::Message::Heartbeat(beat)) = message.message {
                    beats.send_replace(beat.into());
                }
            }
            drop(closed);
        });
        let down = attachment.events.map(|event: Result<Down, LinkError>| match event {
            Ok(down) => Ok(down.into()),
            Err(error) => Err(error.into()),
        });
        Ok(Response::new(down.take_until(replica_closed).boxed()))
    }

    async fn authorize(
        &self,
        request: Request<wire::AuthorizeRequest>,
    ) -> Result<Response<wire::AuthorizeResponse>, Status> {
        let link = self.authenticate(request.metadata(), request.extensions()).await?;
        let hash = read_hash(&request.get_ref().token_hash, "authorize_request.token_hash")?;
        Ok(Response::new(link.authorize(hash).await?.into()))
    }

    async fn deliver(&self, request: Request<wire::DeliverRequest>) -> Result<Response<wire::DeliverResponse>, Status> {
        let link = self.authenticate(request.metadata(), request.extensions()).await?;
        let request = request.into_inner();
        let replica = ReplicaId::from_uuid(read_id(&request.replica_id, "deliver_request.replica_id")?);
        let records = request.interceptions.into_iter().map(EncodedRecord::from_bytes);
        let receipt = link.deliver(replica, records.collect::<Result<_, _>>()?).await?;
        Ok(Response::new(receipt.into()))
    }
}
