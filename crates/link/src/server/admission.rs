//! Who gets further than the head of a request.

use super::deadline::Deadline;
use crate::error::{LinkError, Refusal};
use crate::limits::{AUTHORIZE_BODY_TIME, DELIVER_BODY_TIME};
use crate::link::ControlLink;
use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use lychgate_types::KeyRefusal;
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::Status;

/// The path of the call.
pub(super) const AUTHORIZE: &str = "/lychgate.link.v1.Link/Authorize";
/// The path of the call.
pub(super) const DELIVER: &str = "/lychgate.link.v1.Link/Deliver";

/// Decides who may use the link. Called once per call, so its answer for a key in use must be cheap. It is the only thing that a
/// stranger makes happen, so its answer for any other must be cheap, too.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The link for a replica with this gateway key, or why it is refused. `source` is the peer's address, if the listener
    /// knows it.
    async fn authenticate(&self, key: &str, source: Option<SocketAddr>) -> Result<Arc<dyn ControlLink>, LinkError>;
}

/// Goes with the request of a replica whose key is good.
#[derive(Clone)]
pub(super) struct Accepted(pub(super) Arc<dyn ControlLink>);

/// Refuses a request by its head, or passes it on with a deadline for its body.
pub(super) async fn admit(
    State(authenticator): State<Arc<dyn Authenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    let source = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let header = request.headers().get(AUTHORIZATION).cloned();
    let key = header
        .as_ref()
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let link = match authenticate(&*authenticator, key, source).await {
        Ok(link) => link,
        // Nobody reads the body: the listener resets the stream.
        Err(error) => return Status::from(error).into_http(),
    };
    request.extensions_mut().insert(Accepted(link));
    let time = match request.uri().path() {
        AUTHORIZE => Some(AUTHORIZE_BODY_TIME),
        DELIVER => Some(DELIVER_BODY_TIME),
        _ => None,
    };
    match time {
        Some(time) => next.run(request.map(|body| Body::new(Deadline::new(body, time)))).await,
        None => next.run(request).await,
    }
}

async fn authenticate(
    authenticator: &dyn Authenticator,
    key: Option<&str>,
    source: Option<SocketAddr>,
) -> Result<Arc<dyn ControlLink>, LinkError> {
    let Some(key) = key else {
        return Err(LinkError::Refused(Refusal {
            reason: KeyRefusal::Malformed,
            message: "the gateway key is missing; send it as `authorization: Bearer lgw_…`".into(),
        }));
    };
    authenticator.authenticate(key, source).await
}
