//! Admission: decides from a request's head whether it may be relayed, before any of its body is held, and reads the body.
//!
//! Not here: what is checked before the request itself (`inbound::stack`).

use crate::auth::credentials::{self, Credentials, Outgoing};
use crate::auth::leases::Verdict;
use crate::error::Refusal;
use crate::exchange::body_kind::is_plain;
use crate::exchange::discard::{REFUSED, discard_request};
use crate::routing::allow_list::{self, Found};
use crate::routing::provider::Provider;
use crate::shared::{InFlightGuard, Shared};
use crate::spool::{Full, Slot};
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use lychgate_stream::{ReadError, ReadLimits, read_bounded};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::interception::CredentialKind;
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The provider that a request names, and its place among the requests in flight.
pub(crate) struct Entered {
    pub(crate) guard: InFlightGuard,
    pub(crate) provider: Arc<Provider>,
    pub(crate) capture_content: bool,
}

/// A request that was admitted, and its body.
pub(crate) struct Received {
    pub(crate) head: Parts,
    pub(crate) admission: Admission,
    pub(crate) body: Bytes,
    /// Time spent waiting for the client's body: not the gateway's own.
    pub(crate) waited: Duration,
}

/// What is known of a request from its head.
pub(crate) struct Admission {
    /// The API that is recorded, and room for the record; `None` for what is only passed through.
    pub(crate) recorded: Option<(Api, Slot)>,
    pub(crate) token: SecretHash,
    /// The user's own provider credential.
    pub(crate) own: Option<Outgoing>,
    /// Where in the path that part begins which follows the provider's base URL.
    pub(crate) tail: usize,
}

impl Admission {
    pub(crate) fn credential_kind(&self) -> CredentialKind {
        match self.own {
            Some(_) => CredentialKind::Byok,
            None => CredentialKind::Centralized,
        }
    }
}

/// Admits the request and reads its body.
pub(crate) async fn receive(shared: &Shared, provider: &Provider, request: Request<Body>) -> Result<Received, Refusal> {
    let (head, mut body) = request.into_parts();
    let asked_at = Instant::now();
    let admission = match admit(shared, provider, &head).await {
        Ok(admission) => admission,
        Err(refusal) => {
            Box::pin(discard_request(&head.headers, &mut body, REFUSED)).await;
            return Err(refusal);
        }
    };
    let limits = ReadLimits {
        bytes: shared.options.body_limit,
        idle: shared.options.body_idle_timeout,
        total: shared.options.body_timeout,
    };
    match read_bounded(&mut body, limits).await {
        Ok(body) => Ok(Received {
            head,
            admission,
            body,
            waited: asked_at.elapsed(),
        }),
        Err(error) => {
            if matches!(error, ReadError::TooLarge) {
                Box::pin(discard_request(&head.headers, &mut body, REFUSED)).await;
            }
            Err(unreadable(&error, limits))
        }
    }
}

/// Whether a request with this head may be relayed to this provider.
pub(crate) async fn admit(shared: &Shared, provider: &Provider, head: &Parts) -> Result<Admission, Refusal> {
    if allow_list::wants_websocket(&head.headers) {
        return Err(Refusal::websocket());
    }
    let rest = allow_list::split(head.uri.path()).map_or("", |(_, rest)| rest);
    credentials::refuse_in_target(&head.uri)?;
    let Found { api, tail } = allow_list::find(provider.config.provider_type, &head.method, rest)?;
    let Credentials { token, own } = credentials::read(provider.config.provider_type, &head.headers)?;
    authorize(shared, token).await?;
    provider.usable()?;
    let recorded = match api {
        Some(api) => {
            if !is_plain(&head.headers) {
                return Err(Refusal::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    Refused::BodyUnreadable,
                    "send the request body uncompressed: the gateway has to read it",
                ));
            }
            Some((api, shared.spool.reserve().map_err(|full| no_room(&full))?))
        }
        None => None,
    };
    Ok(Admission {
        recorded,
        token,
        own,
        tail: head.uri.path().len() - tail.len(),
    })
}

async fn authorize(shared: &Shared, token: SecretHash) -> Result<(), Refusal> {
    match verdict(shared, token).await {
        Verdict::Allowed => Ok(()),
        Verdict::Forbidden => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            Refused::TokenForbidden,
            "this Lychgate token may not send AI requests",
        )),
        Verdict::Denied(reason) => Err(credentials::denied(reason)),
        Verdict::Unknown => Err(Refusal::unavailable(
            Refused::ControlPlaneUnreachable,
            "the control plane can't be asked about this token at present; try again shortly",
            2,
        )),
    }
}

/// An unknown token is looked up only while the control plane is attached: a request must not hang.
async fn verdict(shared: &Shared, token: SecretHash) -> Verdict {
    if let Some(verdict) = shared.leases.known(&token) {
        return verdict;
    }
    if !shared.replica_state.load().link.is_attached() {
        return Verdict::Unknown;
    }
    let verdict = Box::pin(shared.leases.look_up(&shared.link, token)).await;
    match verdict {
        Verdict::Unknown => shared.lookup_health.failure(),
        _ => shared.lookup_health.success(),
    }
    verdict
}

fn no_room(full: &Full) -> Refusal {
    let (reason, message) = match full {
        Full::Records => (
            Refused::SpoolFull,
            "too many records wait for the control plane, and nothing is relayed unrecorded; try again later",
        ),
        Full::Disk(_) | Full::Unconfigured => (
            Refused::SpoolFailed,
            "this gateway can't keep records at present, and nothing is relayed unrecorded; try again later",
        ),
    };
    Refusal::unavailable(reason, message, 5)
}

fn unreadable<E>(error: &ReadError<E>, limits: ReadLimits) -> Refusal {
    match error {
        ReadError::TooLarge => {
            let bytes = limits.bytes;
            let message = format!("the request body is over this gateway's limit of {bytes} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Refused::BodyTooLarge, message)
        }
        ReadError::TooSlow => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            Refused::BodyUnfinished,
            "the request body came too slowly",
        ),
        ReadError::Broken(_) => Refusal::new(
            StatusCode::BAD_REQUEST,
            Refused::BodyUnfinished,
            "the request body was cut",
        ),
    }
}
