//! Sends an intercepted request, again and elsewhere where that makes sense, until an answer is worth passing on.
//!
//! Nothing of an answer has gone to the client while this runs; once its head has, there are no further attempts.
//!
//! Not here: where the next attempt goes and whether there is leave for it (`itinerary`).

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::attempt::{Call, NoHead};
use crate::exchange::headers::{AnswerBody, INTERCEPTION_ID, StrippedHeaders, id_value, to_client};
use crate::exchange::outcome::{EMPTY, Ending};
use crate::exchange::packed_headers::Kept;
use crate::exchange::peeked::{Peeked, is_due};
use crate::exchange::recorder::{Meter, is_plain};
use crate::exchange::relay::is_event_stream;
use crate::exchange::selector::{Itinerary, Pass};
use crate::exchange::tee::Tee;
use crate::resilience::breaker::{Mark, Permit};
use crate::resilience::retry::{Advice, advise, millis};
use crate::routing::provider::Provider;
use crate::shared::Core;
use crate::upstream::{Answer, SendError, Sending};
use axum::body::Body;
use bytes::Bytes;
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

/// What the client asked for, as a part of the URL at whichever provider.
#[derive(Debug)]
pub(crate) struct Target {
    /// As the client sent it.
    uri: Uri,
    /// Where in the client's path that part begins which follows the provider's base URL.
    tail: usize,
}

impl Target {
    pub(crate) fn new(uri: Uri, tail: usize) -> Self {
        Self { uri, tail }
    }

    /// The URL of the request at this provider.
    pub(crate) fn url(&self, provider: &Provider) -> Result<Uri, Refusal> {
        let tail = self.uri.path().get(self.tail..).unwrap_or_default();
        provider.url(tail, self.uri.query())
    }
}

/// The head of a client's request.
#[derive(Debug)]
pub(crate) struct ClientRequest {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
}

/// What goes upstream, but for what differs from attempt to attempt.
#[derive(Debug)]
pub(crate) struct Outbound {
    method: Method,
    target: Target,
    /// None once the first attempt took them along.
    headers: StrippedHeaders,
    /// For the attempts after the first, where there may be some.
    kept: Option<Kept>,
}

impl Outbound {
    /// For a request whose answer is read on its way.
    pub(crate) fn recorded(request: ClientRequest) -> Self {
        Self::new(request, StrippedHeaders::of_recorded)
    }

    /// For a request that only passes through.
    pub(crate) fn unrecorded(request: ClientRequest) -> Self {
        Self::new(request, StrippedHeaders::of_unrecorded)
    }

    fn new(request: ClientRequest, strip: impl FnOnce(HeaderMap) -> StrippedHeaders) -> Self {
        Self {
            method: request.method,
            target: request.target,
            headers: strip(request.headers),
            kept: None,
        }
    }

    /// The request of an attempt; unless it is the `last` one, another may be made.
    pub(crate) fn request(&mut self, url: Uri, body: Bytes, credential: &Outgoing, last: bool) -> Request<Full<Bytes>> {
        let headers = match &self.kept {
            Some(kept) => StrippedHeaders::from(kept),
            None => {
                self.kept = (!last).then(|| Kept::new(&self.headers));
                std::mem::take(&mut self.headers)
            }
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url;
        *request.headers_mut() = headers.with_credential(credential);
        request
    }
}

/// An attempt's end.
type Attempted = Result<Response<Peeked<Answer>>, NoHead>;

/// One intercepted request on its way. Held in one piece, since a future that moves these about would hold each of them twice.
pub(crate) struct Exchange {
    pub(crate) core: Arc<Core>,
    pub(crate) id: InterceptionId,
    pub(crate) outbound: Outbound,
    pub(crate) itinerary: Itinerary,
    /// Leave for the attempt that comes first; later those that follow.
    pub(crate) pass: Pass,
    /// Goes with the pass.
    pub(crate) permit: Permit,
    pub(crate) call: Call,
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
            let (advice, mark) = self.learn(&attempted);
            if let Some(wait) = self.itinerary.next(&self.core, advice) {
                self.call.pause(wait).await;
                if let Ok((pass, permit)) = self.itinerary.board(&self.core, &self.outbound.target) {
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
        let credential = self.itinerary.credential(pass)?;
        let last = !self.itinerary.may_go_on();
        let request = self.outbound.request(url, body, credential, last);
        Some(self.core.upstream.send(&pass.provider.config, request))
    }

    fn go_on(&mut self, pass: Pass, permit: Permit) {
        (self.pass, self.permit) = (pass, permit);
        let credential = self.itinerary.credential(&self.pass);
        let hint = credential.map_or("", |credential| &credential.hint);
        self.call
            .meter()
            .again(&self.pass.provider, self.pass.model.as_deref(), hint);
    }

    /// What an attempt's end says about its key, its breaker, and further attempts.
    fn learn(&mut self, attempted: &Attempted) -> (Advice, Mark) {
        let (core, pass, permit) = (&self.core, &self.pass, &mut self.permit);
        match attempted {
            Ok(answer) if answer.status().is_success() => (Advice::Accept, permit.answered()),
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers());
                let now = core.ambient.now();
                if let Some(key) = pass.key {
                    pass.provider.bench(key, status, headers, now);
                }
                let mark = match status.as_u16() {
                    503 | 504 | 529 => permit.failed(&core.breakers),
                    _ => permit.answered(),
                };
                (advise(status, headers, pass.key.is_some(), now), mark)
            }
            Err(why) => {
                let advice = match why {
                    NoHead::Broken(SendError::Private(_)) | NoHead::Timeout => Advice::Elsewhere,
                    NoHead::Broken(_) | NoHead::Empty => Advice::Again(None),
                };
                (advice, permit.failed(&core.breakers))
            }
        }
    }
}

/// Reads a refusal that nobody gets to its end, so that its connection can be used again.
fn forget(attempted: Attempted) {
    if let Ok(response) = attempted {
        let mut body = response.into_body();
        tokio::spawn(async move { discard(&mut body, DISCARD_BYTES, DISCARD_TIME).await });
    }
}

/// What the client gets of the last attempt.
async fn answer(
    attempted: Attempted,
    meter: Meter,
    pass: &Pass,
    mark: Mark,
    filter: Option<UsageChunkFilter>,
) -> Response<Body> {
    let response = match attempted {
        Ok(response) => response,
        Err(why) => return refuse(no_head(&why, pass.limit), meter, pass).await,
    };
    let (mut parts, body) = response.into_parts();
    let stream = is_event_stream(&parts.headers);
    let plain = is_plain(&parts.headers);
    let filter = filter.filter(|_| stream && plain);
    let due = plain && is_due(parts.status, &parts.headers);
    let body_stays = match filter {
        None => AnswerBody::Unchanged,
        Some(_) => AnswerBody::Changed,
    };
    to_client(&mut parts.headers, body_stays);
    let tee = Tee {
        meter,
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
            .into_response(pass.provider.config.provider_type.wire_family());
    }
    Response::from_parts(parts, Body::new(relayed))
}

async fn refuse(refusal: Refusal, meter: Meter, pass: &Pass) -> Response<Body> {
    let ending = Ending::NoAnswer(refusal.status, refusal.message.clone().into_owned());
    if let Some(hold) = meter.close(ending) {
        // It is an error either way.
        let _ = hold.await;
    }
    refusal.into_response(pass.provider.config.provider_type.wire_family())
}

/// What the client is told when an attempt brought no answer; `limit` is how long the head was waited for.
pub(crate) fn no_head(why: &NoHead, limit: Duration) -> Refusal {
    match why {
        NoHead::Timeout => Refusal::new(
            StatusCode::GATEWAY_TIMEOUT,
            Refused::ProviderFailed,
            format!(
                "the provider did not begin to answer within {} seconds",
                limit.as_secs_f32()
            ),
        ),
        NoHead::Broken(error) => Refusal::new(
            StatusCode::BAD_GATEWAY,
            Refused::ProviderFailed,
            format!("the provider can't be reached: {error}"),
        ),
        NoHead::Empty => Refusal::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, EMPTY),
    }
}

pub(crate) fn broken() -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Refused::Internal,
        "the gateway failed inside",
    )
}
