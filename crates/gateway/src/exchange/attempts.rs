//! Sends an intercepted request, again and elsewhere where that makes sense, until an answer is worth passing on.
//!
//! Nothing of an answer has gone to the client while this runs; once its head has, there are no further attempts.
//!
//! Not here: where the next attempt goes and whether there is leave for it (`selector`).

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::attempt::{AttemptError, PendingAttempt};
use crate::exchange::headers::{INTERCEPTION_ID, id_value, strip, to_client};
use crate::exchange::outcome::{EMPTY, Ending};
use crate::exchange::packed_headers::PackedHeaders;
use crate::exchange::peeked::{Peeked, is_due};
use crate::exchange::recorder::{Recorder, is_plain};
use crate::exchange::relay::is_event_stream;
use crate::exchange::selector::{AttemptPlan, UpstreamSelector};
use crate::exchange::tee::Tee;
use crate::resilience::breaker::{BreakerTarget, Permit};
use crate::resilience::retry::{RetryDecision, decide, millis};
use crate::routing::provider::Provider;
use crate::shared::Shared;
use crate::upstream::{Answer, SendError, Sending};
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use lychgate_stream::{Idle, Joined, RelayBody, discard};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::InterceptionId;
use lychgate_wire::UsageChunkFilter;
use std::sync::Arc;
use std::time::Duration;

/// How much of an answer that is not passed on is read, and for how long.
const DISCARD_BYTES: usize = 64 << 10;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// What goes upstream, but for what differs from attempt to attempt.
#[derive(Debug)]
pub(crate) struct UpstreamRequest {
    method: Method,
    /// As the client sent it.
    uri: Uri,
    /// Where in the client's path that part begins which follows the provider's base URL.
    tail: usize,
    /// The client's own, until [`Self::strip`]; none once the first attempt took them along.
    pub(crate) headers: HeaderMap,
    /// For the attempts after the first, where there may be some.
    kept: Option<PackedHeaders>,
}

impl UpstreamRequest {
    pub(crate) fn new(parts: Parts, tail: usize) -> Self {
        Self {
            method: parts.method,
            uri: parts.uri,
            tail,
            headers: parts.headers,
            kept: None,
        }
    }

    /// Takes out the headers that do not go upstream.
    pub(crate) fn strip(&mut self, readable: bool) {
        strip(&mut self.headers, readable);
    }

    /// Where the request goes at this provider.
    pub(crate) fn url(&self, provider: &Provider) -> Result<Uri, Refusal> {
        let tail = self.uri.path().get(self.tail..).unwrap_or_default();
        provider.url(tail, self.uri.query())
    }

    /// The request of an attempt; unless it is the `last` one, another may be made.
    pub(crate) fn request(&mut self, url: Uri, body: Bytes, credential: &Outgoing, last: bool) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url;
        *request.headers_mut() = match &self.kept {
            Some(kept) => kept.unpack(),
            None => {
                self.kept = (!last).then(|| PackedHeaders::new(&self.headers));
                std::mem::take(&mut self.headers)
            }
        };
        let headers = request.headers_mut();
        headers.insert(credential.name.clone(), credential.value.clone());
        request
    }
}

/// An attempt's end.
type AttemptResult = Result<Response<Peeked<Answer>>, AttemptError>;

/// One intercepted request on its way. Held in one piece, since a future that moves these about would hold each of them twice.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: InterceptionId,
    pub(crate) outbound: UpstreamRequest,
    pub(crate) selector: UpstreamSelector,
    /// Leave for the attempt that comes first; later those that follow.
    pub(crate) pass: AttemptPlan,
    /// Goes with the pass.
    pub(crate) permit: Permit,
    pub(crate) call: PendingAttempt,
    pub(crate) filter: Option<UsageChunkFilter>,
}

impl Exchange {
    /// Makes the attempts.
    pub(crate) async fn run(mut self: Box<Self>) -> Response<Body> {
        let mut response = loop {
            let Some(sending) = self.send() else {
                break refuse(broken(), self.call.finish(), &self.pass).await;
            };
            let attempted = self.call.attempt(sending, self.pass.limit).await;
            let (decision, mark) = self.learn(&attempted);
            if let Some(wait) = self.selector.next(&self.shared, decision) {
                self.call.pause(wait).await;
                if let Ok((pass, permit)) = self.selector.board(&self.shared, &self.outbound) {
                    forget(attempted);
                    self.go_on(pass, permit);
                    continue;
                }
            }
            // Until here it was not certain that this answer would not be the client's after all.
            break answer(attempted, self.call.finish(), &self.pass, mark, self.filter.take()).await;
        };
        response.headers_mut().insert(INTERCEPTION_ID, id_value(self.id));
        response
    }

    /// Begins the attempt that there is a pass for.
    fn send(&mut self) -> Option<Sending> {
        let pass = &mut self.pass;
        let (url, body) = (std::mem::take(&mut pass.url), std::mem::take(&mut pass.body));
        let credential = self.selector.credential(pass)?;
        let last = !self.selector.may_go_on();
        let request = self.outbound.request(url, body, credential, last);
        Some(self.shared.upstream.send(&pass.provider, request))
    }

    fn go_on(&mut self, pass: AttemptPlan, permit: Permit) {
        (self.pass, self.permit) = (pass, permit);
        let credential = self.selector.credential(&self.pass);
        let hint = credential.map_or("", |credential| &credential.hint);
        self.call
            .recorder()
            .again(&self.pass.provider, self.pass.model.as_deref(), hint);
    }

    /// What an attempt's end says about its key, its breaker, and further attempts.
    fn learn(&mut self, attempted: &AttemptResult) -> (RetryDecision, BreakerTarget) {
        let (shared, pass, permit) = (&self.shared, &self.pass, &mut self.permit);
        match attempted {
            Ok(answer) if answer.status().is_success() => (RetryDecision::Forward, permit.answered()),
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers());
                let now = shared.ambient.now();
                if let Some(key) = pass.key {
                    pass.provider.cool_down(key, status, headers, now);
                }
                let mark = match status.as_u16() {
                    503 | 504 | 529 => permit.failed(&shared.breakers),
                    _ => permit.answered(),
                };
                (decide(status, headers, pass.key.is_some(), now), mark)
            }
            Err(why) => {
                let decision = match why {
                    AttemptError::Broken(SendError::Private(_)) | AttemptError::Timeout => RetryDecision::Failover,
                    AttemptError::Broken(_) | AttemptError::Empty => RetryDecision::Retry(None),
                };
                (decision, permit.failed(&shared.breakers))
            }
        }
    }
}

/// Reads a refusal that nobody gets to its end, so that its connection can be used again.
fn forget(attempted: AttemptResult) {
    if let Ok(response) = attempted {
        let mut body = response.into_body();
        tokio::spawn(async move { discard(&mut body, DISCARD_BYTES, DISCARD_TIME).await });
    }
}

/// What the client gets of the last attempt.
async fn answer(
    attempted: AttemptResult,
    recorder: Recorder,
    pass: &AttemptPlan,
    mark: BreakerTarget,
    filter: Option<UsageChunkFilter>,
) -> Response<Body> {
    let response = match attempted {
        Ok(response) => response,
        Err(why) => return refuse(no_head(&why, pass.limit), recorder, pass).await,
    };
    let (mut parts, body) = response.into_parts();
    let stream = is_event_stream(&parts.headers);
    let plain = is_plain(&parts.headers);
    let filter = filter.filter(|_| stream && plain);
    let due = plain && is_due(parts.status, &parts.headers);
    to_client(&mut parts.headers, filter.is_none());
    let tee = Tee {
        recorder,
        filter,
        stream,
        due,
        mark,
    };
    let idle = Idle::new(millis(pass.provider.config.policy.timeouts.idle_ms)).until(pass.end);
    let mut relayed = RelayBody::new(Joined::new(body), tee, idle);
    if relayed.settled().await.is_err() {
        let message = "the record of this request can't be kept, so its answer is not shown";
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Refused::SpoolFailed, message)
            .into_response(pass.provider.config.provider_type);
    }
    Response::from_parts(parts, Body::new(relayed))
}

async fn refuse(refusal: Refusal, recorder: Recorder, pass: &AttemptPlan) -> Response<Body> {
    let ending = Ending::NoAnswer(refusal.status, refusal.message.clone().into_owned());
    if let Some(hold) = recorder.close(ending) {
        // It is an error either way.
        let _ = hold.await;
    }
    refusal.into_response(pass.provider.config.provider_type)
}

/// What the client is told when an attempt brought no answer; `limit` is how long the head was waited for.
pub(crate) fn no_head(why: &AttemptError, limit: Duration) -> Refusal {
    match why {
        AttemptError::Timeout => Refusal::new(
            StatusCode::GATEWAY_TIMEOUT,
            Refused::ProviderFailed,
            format!(
                "the provider did not begin to answer within {} seconds",
                limit.as_secs_f32()
            ),
        ),
        AttemptError::Broken(error) => Refusal::new(
            StatusCode::BAD_GATEWAY,
            Refused::ProviderFailed,
            format!("the provider can't be reached: {error}"),
        ),
        AttemptError::Empty => Refusal::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, EMPTY),
    }
}

pub(crate) fn broken() -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Refused::Internal,
        "the gateway failed inside",
    )
}
