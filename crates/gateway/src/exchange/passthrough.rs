//! Requests that are relayed without being recorded (lists of models and the like). Nothing of them is read but a response that may
//! have been made in the background.
//!
//! They go to the provider that they name. What they do there is not known, so they are sent once; those that change nothing
//! are sent once more where their connection broke before an answer, as one does that was closed while it was idle.

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::admit::{Entered, Received};
use crate::exchange::attempt::{AttemptError, head_within};
use crate::exchange::body_kind::BodyKind;
use crate::exchange::completion::{Completion, Watched};
use crate::exchange::headers::{AnswerBody, INTERCEPTION_ID, id_value, to_client};
use crate::exchange::keep_alive::KeepAlive;
use crate::exchange::upstream_request::{Position, UpstreamRequest};
use crate::resilience::decision::AttemptEnd;
use crate::resilience::retry::millis;
use crate::routing::provider::Provider;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use lychgate_stream::{Idle, Joined, RelayBody};
use std::pin::Pin;
use tokio::time::Instant;

/// Boxed, so that the futures of recorded requests need no room for it.
pub(crate) type Relaying = Pin<Box<dyn Future<Output = Result<Response<Body>, Refusal>> + Send>>;

/// Relays a request that is not recorded.
pub(crate) fn relay_unrecorded(entered: Entered, received: Received, completion: Option<Box<Completion>>) -> Relaying {
    let Received {
        head, admission, body, ..
    } = received;
    let may_repeat = admission.path.may_repeat(head.method.as_str());
    let request = UpstreamRequest::unrecorded(head, &entered.provider, admission.path, admission.credential_kind());
    let own = admission.own;
    let watched = Watched {
        completion,
        keep_alive: None,
        guard: admission.guard,
    };
    Box::pin(relay(entered, watched, own, request, body.into_bytes(), may_repeat))
}

async fn relay(
    entered: Entered,
    mut watched: Watched,
    own: Option<Outgoing>,
    mut request: UpstreamRequest,
    body: Bytes,
    may_repeat: bool,
) -> Result<Response<Body>, Refusal> {
    let Entered { shared, provider, .. } = entered;
    shared.counts.passed_through.count();
    let (key, credential) = match &own {
        Some(own) => (None, own),
        None => {
            let (index, key) = provider.pool.pick(&[], &[]).ok_or_else(Provider::without_key)?;
            (Some(index), &*key.outgoing)
        }
    };
    let url = request.url(&provider, request.path_at(&provider)?, None)?;
    let timeouts = &provider.config.policy.timeouts;
    let limit = millis(timeouts.headers_ms.min(timeouts.total_ms));
    let end = Instant::now() + millis(timeouts.total_ms);
    let mut send = |position| {
        let request = request.build(url.clone(), body.clone(), credential, position);
        head_within(limit, shared.upstream.send(&provider.config, request))
    };
    let response = if may_repeat {
        match send(Position::MoreMayFollow).await {
            Err(AttemptError::Connection(error)) if error.is_break() => send(Position::Last).await?,
            answered => answered?,
        }
    } else {
        send(Position::Last).await?
    };
    let (mut head, body) = response.into_parts();
    if let Some(key) = key {
        let end = AttemptEnd::answered(head.status, &head.headers, &shared.ambient);
        let policy = &provider.config.policy.breaker;
        let consequences = end.consequences(Some(provider.key_cooldown()), policy.failure_status);
        provider.log(end, &consequences, false);
        if let Some(term) = consequences.cooldown {
            provider.cool_down(key, head.status.as_u16(), term);
        }
    }
    let kind = BodyKind::of(head.status, &head.headers);
    to_client(&mut head.headers, AnswerBody::Unchanged);
    if let Some(completion) = &mut watched.completion {
        completion.head(head.status, kind);
        watched.keep_alive = KeepAlive::new(&provider.config.policy.relay, &head, kind, || completion.filler());
        if let Some(id) = completion.id() {
            head.headers.insert(INTERCEPTION_ID, id_value(id));
        }
    }
    let idle = Idle::new(millis(timeouts.idle_ms)).until(end);
    let idle = KeepAlive::timed(watched.keep_alive.as_ref(), idle);
    let relayed = RelayBody::new(Joined::new(body), watched, idle);
    Ok(Response::from_parts(head, Body::new(relayed)))
}
