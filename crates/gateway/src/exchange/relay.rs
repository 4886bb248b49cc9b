//! One request, from its head to the head of its answer; the body then runs by itself.
//!
//! Not here: what surrounds every request (`stack`).

use crate::auth::credentials::{self, Credentials, Outgoing};
use crate::auth::leases::Verdict;
use crate::error::Refusal;
use crate::exchange::attempt::{AttemptError, PendingAttempt};
use crate::exchange::attempts::{Exchange, UpstreamRequest, broken, no_head};
use crate::exchange::headers::to_client;
use crate::exchange::recorder::{Arrival, ExchangeStart, Recorder};
use crate::exchange::selector::UpstreamSelector;
use crate::exchange::tee::PassThrough;
use crate::resilience::retry::millis;
use crate::routing::allow_list::{self, Found};
use crate::routing::provider::Provider;
use crate::shared::{InFlightGuard, Shared};
use crate::spool::{Full, Slot};
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use lychgate_stream::{Idle, Joined, ReadError, ReadLimits, RelayBody, discard, read_bounded};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::interception::CredentialKind;
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use lychgate_wire::UsageChunkFilter;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How much of a refused request's body is read and forgotten, and for how long, so that its client gets to read why.
const DISCARD_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// A request that was let in and whose body is here.
struct Received {
    parts: Parts,
    admitted: Admitted,
    bytes: Bytes,
    /// Time spent waiting for the client's body: not the gateway's own.
    waited: Duration,
}

/// Everything a request needs to be relayed, found out before its body is read.
pub(crate) struct Admitted {
    pub(crate) api: Option<(Api, Slot)>,
    token: SecretHash,
    own: Option<Outgoing>,
    /// Where in the path that part begins which follows the provider's base URL.
    tail: usize,
}

/// Relays one request to `provider`.
pub(crate) async fn relay(
    guard: InFlightGuard,
    provider: Arc<Provider>,
    capture_content: bool,
    arrival: Arrival,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let Received {
        parts,
        admitted: Admitted { api, token, own, tail },
        bytes,
        waited,
    } = receive(guard.shared(), &provider, request).await?;
    let outbound = UpstreamRequest::new(parts, tail);
    let Some((api, slot)) = api else {
        return Box::pin(pass(guard, provider, own, outbound, bytes)).await;
    };
    let asking = Asking {
        api,
        token,
        own,
        capture_content,
        arrival,
        waited,
    };
    let exchange = open(guard, slot, &provider, asking, outbound, bytes)?;
    Ok(exchange.run().await)
}

/// Who asks, for what, and since when.
struct Asking {
    api: Api,
    token: SecretHash,
    own: Option<Outgoing>,
    capture_content: bool,
    arrival: Arrival,
    waited: Duration,
}

/// Makes an exchange of a request: from here on there is a record of it.
fn open(
    guard: InFlightGuard,
    slot: Slot,
    provider: &Arc<Provider>,
    asking: Asking,
    mut outbound: UpstreamRequest,
    bytes: Bytes,
) -> Result<Box<Exchange>, Refusal> {
    let shared = Arc::clone(guard.shared());
    let Asking { api, own, .. } = asking;
    let facts = lychgate_wire::read_request(api, &bytes)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, Refused::BodyUnreadable, error.to_string()))?;
    let asked = lychgate_wire::ask_for_usage(api, &facts, &bytes);
    let filter = asked.is_some().then(UsageChunkFilter::default);
    let bytes = asked.map_or(bytes, Bytes::from);
    let credential_kind = match &own {
        Some(_) => CredentialKind::Byok,
        None => CredentialKind::Centralized,
    };
    let candidates = {
        let snapshot = shared.snapshot.load();
        let routes = &snapshot.table.routes;
        routes.draw(provider, &facts.model, own.is_some(), &shared.ambient)?
    };
    let model = shared.breakers.model(&facts.model);
    let mut selector = UpstreamSelector::new(candidates, own, api, model, bytes);
    let (pass, permit) = selector.board(&shared, &outbound)?;
    let opening = ExchangeStart {
        id: shared.ambient.new_id(),
        arrival: asking.arrival,
        waited: asking.waited,
        token: asking.token,
        provider: &pass.provider,
        api,
        facts,
        served_model: pass.model.as_deref(),
        headers: &outbound.headers,
        credential: selector.credential(&pass).ok_or_else(broken)?,
        credential_kind,
        capture_content: asking.capture_content,
    };
    let id = opening.id;
    let call = PendingAttempt::new(Recorder::open(opening, slot, guard));
    outbound.strip(true);
    Ok(Box::new(Exchange {
        shared,
        id,
        outbound,
        selector,
        pass,
        permit,
        call,
        filter,
    }))
}

/// Whether a body is a stream of server-sent events.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    const NAME: &[u8] = b"text/event-stream";
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..NAME.len()))
        .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
}

/// Lets the request in and reads its body; what fails first decides the answer. Who asks is settled before a byte of the
/// body is held.
async fn receive(shared: &Shared, provider: &Provider, request: Request<Body>) -> Result<Received, Refusal> {
    let (parts, mut body) = request.into_parts();
    let asked_at = Instant::now();
    let admitted = match admit(shared, provider, &parts).await {
        Ok(admitted) => admitted,
        Err(refusal) => return Err(Box::pin(unread(refusal, &parts, &mut body)).await),
    };
    let limits = ReadLimits {
        bytes: shared.options.body_limit,
        idle: shared.options.body_idle_timeout,
        total: shared.options.body_timeout,
    };
    let refusal = match read_bounded(&mut body, limits).await {
        Ok(bytes) => {
            return Ok(Received {
                parts,
                admitted,
                bytes,
                waited: asked_at.elapsed(),
            });
        }
        Err(ReadError::TooLarge) => {
            let message = format!(
                "the request body is over this gateway's limit of {} bytes",
                limits.bytes
            );
            let refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Refused::BodyTooLarge, message);
            Box::pin(unread(refusal, &parts, &mut body)).await
        }
        Err(ReadError::TooSlow) => {
            let message = "the request body came too slowly";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, Refused::BodyUnfinished, message)
        }
        Err(ReadError::Broken(_)) => {
            let message = "the request body was cut";
            Refusal::new(StatusCode::BAD_REQUEST, Refused::BodyUnfinished, message)
        }
    };
    Err(refusal)
}

/// Reads and forgets what the client is still sending, so that it gets to read why nobody wants it. A client that waits for
/// leave to send its body is simply not given it.
async fn unread(refusal: Refusal, parts: &Parts, body: &mut Body) -> Refusal {
    if !parts.headers.contains_key(EXPECT) {
        discard(body, DISCARD_BYTES, DISCARD_TIME).await;
    }
    refusal
}

pub(crate) async fn admit(shared: &Shared, provider: &Provider, parts: &Parts) -> Result<Admitted, Refusal> {
    if allow_list::wants_websocket(&parts.headers) {
        return Err(Refusal::websocket());
    }
    let rest = allow_list::split(parts.uri.path()).map_or("", |(_, rest)| rest);
    let Found { api, tail } = allow_list::find(provider.config.provider_type, &parts.method, rest)?;
    let Credentials { token, own } = credentials::read(provider.config.provider_type, &parts.headers)?;
    match verdict(shared, token).await {
        Verdict::Allowed => {}
        Verdict::Forbidden => {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                Refused::TokenForbidden,
                "this Lychgate token may not send AI requests",
            ));
        }
        Verdict::Denied(reason) => return Err(credentials::denied(reason)),
        Verdict::Unknown => {
            return Err(Refusal::unavailable(
                Refused::ControlPlaneAway,
                "the control plane can't be asked about this token at present; try again shortly",
                2,
            ));
        }
    }
    provider.usable()?;
    let tail = parts.uri.path().len() - tail.len();
    let Some(api) = api else {
        return Ok(Admitted {
            api: None,
            token,
            own,
            tail,
        });
    };
    if !parts
        .headers
        .get(CONTENT_ENCODING)
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refused::BodyUnreadable,
            "send the request body uncompressed: the gateway has to read it",
        ));
    }
    let slot = shared.spool.reserve().map_err(|full| no_room(&full))?;
    Ok(Admitted {
        api: Some((api, slot)),
        token,
        own,
        tail,
    })
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

/// A token that is not known is asked about only while somebody is there to answer: an unknown one must not hang.
async fn verdict(shared: &Shared, token: SecretHash) -> Verdict {
    if let Some(verdict) = shared.leases.known(&token) {
        return verdict;
    }
    if !shared.snapshot.load().standing.is_attached() {
        return Verdict::Unknown;
    }
    let verdict = Box::pin(shared.leases.ask(&shared.link, token)).await;
    shared.answers.note(verdict != Verdict::Unknown);
    verdict
}

/// Sends a request that is relayed without being read. It is sent once: what it does at the provider is not known.
async fn pass(
    guard: InFlightGuard,
    provider: Arc<Provider>,
    own: Option<Outgoing>,
    mut outbound: UpstreamRequest,
    body: Bytes,
) -> Result<Response<Body>, Refusal> {
    let shared = Arc::clone(guard.shared());
    shared.counts.passed_through.count();
    let key = match &own {
        Some(_) => None,
        None => Some(provider.pool.pick(&[], &[]).ok_or_else(Provider::without_key)?),
    };
    let credential = match key {
        None => own.as_ref(),
        Some(key) => provider.pool.key(key).map(|key| &key.outgoing),
    };
    let url = outbound.url(&provider)?;
    outbound.strip(false);
    let request = outbound.request(url, body, credential.ok_or_else(broken)?, true);
    let timeouts = &provider.config.policy.timeouts;
    let limit = millis(timeouts.headers_ms.min(timeouts.total_ms));
    let end = Instant::now() + millis(timeouts.total_ms);
    let sending = shared.upstream.send(&provider, request);
    let response = match tokio::time::timeout(limit, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(no_head(&AttemptError::Broken(error), limit)),
        Err(_) => return Err(no_head(&AttemptError::Timeout, limit)),
    };
    let (mut parts, body) = response.into_parts();
    if let Some(key) = key
        && parts.status.is_client_error()
    {
        provider.cool_down(key, parts.status, &parts.headers, shared.ambient.now());
    }
    to_client(&mut parts.headers, true);
    let idle = Idle::new(millis(timeouts.idle_ms)).until(end);
    let relayed = RelayBody::new(Joined::new(body), PassThrough(guard), idle);
    Ok(Response::from_parts(parts, Body::new(relayed)))
}
