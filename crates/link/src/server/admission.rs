//! Who gets further than the head of a request.

use super::deadline::Deadline;
use crate::error::{LinkError, Refusal};
use crate::limits::{AUTHORIZE_BODY_TIME, DELIVER_BODY_TIME};
use crate::link::ControlLink;
use crate::version::{PROTOCOL, ProtocolVersion};
use crate::{PROCESS, PROTOCOL_VERSION};
use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::{ProcessSecret, SecretHash};
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::Status;

/// The path of the call.
pub(super) const AUTHORIZE: &str = "/lychgate.link.v1.Link/Authorize";
/// The path of the call.
pub(super) const OWNS: &str = "/lychgate.link.v1.Link/Owns";
/// The path of the call.
pub(super) const DELIVER: &str = "/lychgate.link.v1.Link/Deliver";

/// Decides who may use the link. Called once per call, so its answer for a key in use must be cheap. It is the only thing that a
/// stranger makes happen, so its answer for any other must be cheap, too.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The link for a replica that shows this, or why it is refused.
    async fn authenticate(&self, shown: Shown<'_>) -> Result<Arc<dyn ControlLink>, LinkError>;
}

/// What a call shows of who makes it. Nothing of it has been looked up.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What stands in the place of the gateway key.
    pub key: &'a str,
    /// Of the secret of the replica's process; `None` from a version that has none.
    pub process: Option<SecretHash>,
    /// The peer's address, if the listener knows it.
    pub source: Option<SocketAddr>,
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
    let link = match authenticate(&*authenticator, request.headers(), source).await {
        Ok(link) => link,
        // Nobody reads the body: the listener resets the stream.
        Err(status) => return status.into_http(),
    };
    request.extensions_mut().insert(Accepted(link));
    let time = match request.uri().path() {
        AUTHORIZE | OWNS => Some(AUTHORIZE_BODY_TIME),
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
    headers: &HeaderMap,
    source: Option<SocketAddr>,
) -> Result<Arc<dyn ControlLink>, Status> {
    let key = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or_else(|| {
            LinkError::Refused(Refusal {
                reason: KeyRefusal::Malformed,
                message: "the gateway key is missing; send it as `authorization: Bearer lgw_…`".into(),
            })
        })?;
    let process = headers.get(PROCESS).map(|value| {
        let secret = value.to_str().ok().and_then(ProcessSecret::parse);
        secret.ok_or_else(|| Status::invalid_argument(format!("`{PROCESS}` is not a secret of 64 hexadecimal digits")))
    });
    let protocol = headers.get(PROTOCOL_VERSION).map(|value| {
        let version = value.to_str().ok().and_then(|text| text.parse().ok());
        version
            .ok_or_else(|| Status::invalid_argument(format!("`{PROTOCOL_VERSION}` is not a version like {PROTOCOL}")))
    });
    let protocol: Option<ProtocolVersion> = protocol.transpose()?;
    let shown = Shown {
        key,
        process: process.transpose()?.map(|secret| secret.hash()),
        source,
    };
    let link = authenticator.authenticate(shown).await?;
    // Those of before showed it with the hello only.
    if let Some(Err(refusal)) = protocol.map(|protocol| PROTOCOL.accepts(protocol)) {
        return Err(LinkError::Refused(refusal.into()).into());
    }
    Ok(link)
}
