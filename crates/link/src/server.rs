//! The control plane's half: gRPC calls in, [`ControlLink`] calls out.
//!
//! The order: the key is checked on the head of a request; only then is a byte of its body read, and never more than its method may
//! need, in the time that it may need.
//!
//! Not here: who is accepted and what is answered. The [`Authenticator`] and the link that it returns decide that.

mod admission;
mod deadline;

pub use admission::{Authenticator, Shown};

use crate::convert::calls::owned;
use crate::error::LinkError;
use crate::field::{BadMessage, read_hash, read_id};
use crate::generated as wire;
use crate::generated::link_server::{Link, LinkServer};
use crate::limits::{
    AUTHORIZE_MESSAGE_BYTES, DELIVER_MESSAGE_BYTES, DOWN_MESSAGE_BYTES, HELLO_TIME, OWNS_MESSAGE_BYTES, SILENCE,
    UP_MESSAGE_BYTES,
};
use crate::link::{ControlLink, Down, Heartbeat};
use crate::record::EncodedRecord;
use admission::Accepted;
use async_trait::async_trait;
use axum::middleware::from_fn_with_state;
use futures_util::stream::{BoxStream, StreamExt};
use lychgate_types::ReplicaId;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// The link's routes (`/lychgate.link.v1.Link/…`), to be merged into the router of an HTTP/2 listener.
pub fn routes(authenticator: Arc<dyn Authenticator>) -> axum::Router {
    let of = |most_bytes| {
        LinkServer::new(Service)
            .max_decoding_message_size(most_bytes)
            .max_encoding_message_size(DOWN_MESSAGE_BYTES)
    };
    axum::Router::new()
        .route_service("/lychgate.link.v1.Link/Attach", of(UP_MESSAGE_BYTES))
        .route_service(admission::AUTHORIZE, of(AUTHORIZE_MESSAGE_BYTES))
        .route_service(admission::OWNS, of(OWNS_MESSAGE_BYTES))
        .route_service(admission::DELIVER, of(DELIVER_MESSAGE_BYTES))
        // A call of a newer version: answered as one that is not implemented.
        .route_service("/lychgate.link.v1.Link/{method}", of(0))
        .layer(from_fn_with_state(authenticator, admission::admit))
}

struct Service;

/// The link for the key that was accepted on the request's head.
fn accepted(extensions: &Extensions) -> Result<Arc<dyn ControlLink>, Status> {
    let accepted = extensions.get::<Accepted>();
    accepted
        .map(|accepted| accepted.0.clone())
        .ok_or_else(|| Status::internal("not admitted"))
}

#[async_trait]
impl Link for Service {
    type AttachStream = BoxStream<'static, Result<wire::Down, Status>>;

    async fn attach(&self, request: Request<Streaming<wire::Up>>) -> Result<Response<Self::AttachStream>, Status> {
        let link = accepted(request.extensions())?;
        let mut up = request.into_inner();
        let first = timeout(HELLO_TIME, up.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("the hello did not come in time"))??;
        let first = first.and_then(|up| up.message);
        let Some(wire::up::Message::Hello(hello)) = first else {
            return Err(BadMessage("hello").into());
        };
        let (beats, heartbeats) = watch::channel(Heartbeat::default());
        let attachment = link.attach(hello.try_into()?, heartbeats).await?;

        // The task ends with the replica's half of the stream, and its end closes our half. A replica that says nothing for long
        // is gone, whatever its connection looks like.
        let (closed, replica_closed) = oneshot::channel::<()>();
        tokio::spawn(async move {
            while let Ok(Ok(Some(message))) = timeout(SILENCE, up.message()).await {
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
        let link = accepted(request.extensions())?;
        let hash = read_hash(&request.get_ref().token_hash, "authorize_request.token_hash")?;
        Ok(Response::new(link.authorize(hash).await?.into()))
    }

    async fn owns(&self, request: Request<wire::OwnsRequest>) -> Result<Response<wire::OwnsResponse>, Status> {
        let link = accepted(request.extensions())?;
        let question = request.get_ref();
        let hash = read_hash(&question.token_hash, "owns_request.token_hash")?;
        if question.objects.is_empty() {
            let found = link.owns(hash, std::slice::from_ref(&question.object)).await?;
            let found = found.into_iter().next().ok_or(BadMessage("owns_request.object"))?;
            return Ok(Response::new(found.into()));
        }
        Ok(Response::new(owned(link.owns(hash, &question.objects).await?)))
    }

    async fn deliver(&self, request: Request<wire::DeliverRequest>) -> Result<Response<wire::DeliverResponse>, Status> {
        let link = accepted(request.extensions())?;
        let request = request.into_inner();
        let replica = ReplicaId::from_uuid(read_id(&request.replica_id, "deliver_request.replica_id")?);
        let records = request.interceptions.into_iter().map(EncodedRecord::from_bytes);
        let receipt = link.deliver(replica, records.collect::<Result<_, _>>()?).await?;
        Ok(Response::new(receipt.into()))
    }
}
