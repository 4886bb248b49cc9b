//! Requests that are relayed without being recorded (lists of models and the like). Nothing of them is read but a response that may
//! have been made in the background, and a list of models that is not known yet.
//!
//! They go to the provider that they name. What they do there is not known, so they are sent once; those that change nothing
//! are sent once more where their connection broke before an answer, as one does that was closed while it was idle.

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::admit::{Admission, Entered, Received};
use crate::exchange::attempt::{AttemptError, head_within};
use crate::exchange::body_kind::BodyKind;
use crate::exchange::completion::{Completion, Watched};
use crate::exchange::headers::{AnswerBody, INTERCEPTION_ID, answer_to_client, id_value};
use crate::exchange::keep_alive::KeepAlive;
use crate::exchange::models::learning::Lesson;
use crate::exchange::request_body::RequestBody;
use crate::exchange::upstream_request::{Position, UpstreamRequest};
use crate::resilience::decision::AttemptEnd;
use crate::resilience::retry::millis;
use crate::routing::provider::Provider;
use crate::routing::routes::{Candidate, Candidates};
use crate::shared::Shared;
use axum::body::Body;
use bytes::Bytes;
use http::response::Parts;
use http::{Response, StatusCode};
use lychgate_stream::{Idle, Joined, RelayBody};
use lychgate_wire::RequestFacts;
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::Instant;

/// Boxed, so that the futures of recorded requests need no room for it.
pub(crate) type Relaying = Pin<Box<dyn Future<Output = Result<Response<Body>, Refusal>> + Send>>;

/// Relays a request that is not recorded. A question about a model goes where a request for that goes first.
pub(crate) fn relay_unrecorded(
    entered: Entered,
    received: Received,
    completion: Option<Box<Completion>>,
    lesson: Option<Lesson>,
    facts: &RequestFacts,
) -> Result<Relaying, Refusal> {
    let Received {
        head, admission, body, ..
    } = received;
    let path = admission.path;
    let request = UpstreamRequest::unrecorded(head, &entered.provider, path, admission.credential_kind());
    let target = target(&entered, &admission, &request, &facts.model)?;
    let body = match admission.read_as() {
        Some(api) => {
            let budget = &entered.shared.body_budget;
            let mut body = RequestBody::new(api, facts, body, budget, admission.holder);
            let is_in_path = body.lacks_model();
            body.for_attempt(target.model.as_ref().filter(|_| !is_in_path), false)?
                .bytes
        }
        None => body.into_bytes(),
    };
    let may_repeat = path.may_repeat(request.method().as_str());
    let own = admission.own;
    let watched = Watched {
        completion,
        lesson,
        keep_alive: None,
        guard: admission.guard,
    };
    let sent = Sent {
        request,
        body,
        may_repeat,
    };
    Ok(Box::pin(relay(entered.shared, target, watched, own, sent)))
}

/// Where it goes, and the model to ask about there: to the first that offers what it asks for.
fn target(
    entered: &Entered,
    admission: &Admission,
    request: &UpstreamRequest,
    model: &str,
) -> Result<Candidate, Refusal> {
    let candidates = if admission.read_as().is_none() || model.is_empty() {
        Candidates::only(&entered.provider)
    } else {
        let state = entered.shared.replica_state.load();
        let routes = &state.table.routes;
        routes.draw(
            &entered.provider,
            model,
            admission.credential_kind(),
            &entered.shared.ambient,
        )?
    };
    let all = (0..candidates.len()).filter_map(|index| candidates.get(index));
    let mut lacking = Refusal::internal();
    for candidate in all {
        match request.path_at(&candidate.provider) {
            Ok(_) => return Ok(candidate.clone()),
            Err(refusal) => lacking = refusal,
        }
    }
    Err(lacking)
}

/// What goes upstream, once or twice.
struct Sent {
    request: UpstreamRequest,
    body: Bytes,
    may_repeat: bool,
}

async fn relay(
    shared: Arc<Shared>,
    target: Candidate,
    mut watched: Watched,
    own: Option<Outgoing>,
    sent: Sent,
) -> Result<Response<Body>, Refusal> {
    let Candidate { provider, model } = target;
    let Sent {
        mut request,
        body,
        may_repeat,
    } = sent;
    shared.counts.passed_through.count();
    let central = match &own {
        Some(_) => None,
        None => Some(provider.pool.pick(&[], &[]).ok_or_else(|| provider.without_key())?),
    };
    let credential = match (&own, &central) {
        (Some(own), _) => own,
        (None, Some((_, credential))) => &**credential,
        (None, None) => return Err(provider.without_key()),
    };
    let url = request.url(&provider, request.path_at(&provider)?, model.as_deref())?;
    let timeouts = &provider.config.policy.timeouts;
    let limit = millis(timeouts.headers_ms.min(timeouts.total_ms));
    let end = Instant::now() + millis(timeouts.total_ms);
    let mut send = |position| {
        let request = request.build(url.clone(), body.clone(), credential, position, &shared.ambient);
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
    if let Some((key, credential)) = &central {
        settle(&shared, &provider, (*key, credential), &head);
    }
    let kind = BodyKind::of(head.status, &head.headers);
    answer_to_client(&mut head.headers, AnswerBody::Unchanged, &provider, own.is_none());
    if let Some(lesson) = &mut watched.lesson {
        lesson.head(head.status, kind);
    }
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

/// Draws the consequences of an answer for the key that it was asked for with.
fn settle(shared: &Shared, provider: &Provider, (key, credential): (usize, &Arc<Outgoing>), head: &Parts) {
    let end = match head.status {
        // Nothing of the body is read here, which would tell whether it is about the key or about what was asked.
        StatusCode::FORBIDDEN => AttemptEnd::NotAboutTheKey {
            status: head.status.as_u16(),
        },
        status => AttemptEnd::answered(status, &head.headers, &shared.ambient),
    };
    let policy = &provider.config.policy.breaker;
    let consequences = end.consequences(Some(provider.key_cooldown()), policy.failure_status);
    provider.log(end, &consequences, false);
    if let Some(term) = consequences.cooldown {
        provider.cool_down(key, credential, head.status.as_u16(), term);
    }
}
