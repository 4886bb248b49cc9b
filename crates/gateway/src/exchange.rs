//! One request and its answer. [`relay`] leads it through admission, then through one loop of attempts (plan one, make it, decide
//! about its end), then to the answer.
//!
//! The client gets nothing of an answer while attempts are made; once it has a head, there are no more attempts.
//!
//! Not here: what surrounds every request (`inbound`), what failures mean and when to retry (`resilience`), connections
//! (`upstream`), and the record's way to the control plane (`spool`, `link`).

pub(crate) mod admit;
mod answer;
mod attempt;
mod body_kind;
pub(crate) mod completion;
pub(crate) mod content_coding;
pub(crate) mod discard;
mod drain;
pub(crate) mod headers;
mod keep_alive;
mod last_look;
pub(crate) mod models;
mod objects;
mod outcome;
pub(crate) mod passthrough;
mod peeked;
pub(crate) mod recorder;
mod request_body;
mod selector;
pub(crate) mod socket;
mod tee;
mod upstream_request;
mod usage_filter;

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::fetched_keys::FetchedKey;
use crate::resilience::decision::RetryDecision;
use crate::routing::allow_list;
use crate::routing::routes::Candidates;
use crate::shared::Shared;
use crate::spool::Slot;
use admit::{Admission, Entered, Received};
use answer::{Answered, answer};
use attempt::{AttemptResult, PendingAttempt, Says, end_of};
use axum::body::Body;
use completion::Completion;
use discard::discard_answer;
use headers::{INTERCEPTION_ID, id_value};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use last_look::last_look;
use lychgate_link::places::Source;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::provider::Api;
use lychgate_types::{InterceptionId, ProviderId};
use lychgate_wire::RequestFacts;
use passthrough::{Relaying, relay_unrecorded};
use recorder::{Arrival, ExchangeStart, Recorder};
use request_body::RequestBody;
use selector::{AttemptPlan, Unavailable, UpstreamSelector};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use upstream_request::UpstreamRequest;

/// Relays one request. The future is ready with the head of the answer; the body is relayed as it is read.
pub(crate) async fn relay(
    entered: Entered,
    arrival: Arrival,
    request: Request<Body>,
    source: Source,
) -> Result<Response<Body>, Refusal> {
    let received = admit::receive(&entered, request, source).await?;
    let started = match read(entered, arrival, received)? {
        Read::Started(started) => started,
        Read::ToCheck(checked) => checked.await?,
    };
    match started {
        Started::Recorded(exchange) => exchange.run().await,
        Started::Unrecorded(relaying) => relaying.await,
    }
}

/// A request whose body has been read.
enum Read {
    Started(Started),
    /// It names stored objects. In a box, so that the futures of other requests need no room for it.
    ToCheck(Pin<Box<dyn Future<Output = Result<Started, Refusal>> + Send>>),
}

/// No part of the future of a request, which would keep room for all that is moved here.
fn read(entered: Entered, arrival: Arrival, received: Received) -> Result<Read, Refusal> {
    let facts = read_facts(&received)?;
    if objects::are_named(&entered, &received.admission, &facts) {
        return Ok(Read::ToCheck(Box::pin(checked(entered, arrival, received, facts))));
    }
    Started::new(entered, arrival, received, facts, AboutObject::default()).map(Read::Started)
}

/// Starts a request that names stored objects, unless they are another user's.
async fn checked(
    entered: Entered,
    arrival: Arrival,
    received: Received,
    facts: RequestFacts,
) -> Result<Started, Refusal> {
    let admission = &received.admission;
    let completion = match objects::check(&entered, admission, &facts).await? {
        Some(of) => {
            let slot = admit::reserve(&entered.shared, admission.holder)?;
            Completion::new(&entered, &received, of, slot)
        }
        None => None,
    };
    let mut about = AboutObject {
        completion,
        only_key: None,
    };
    if received.head.method == Method::DELETE
        && let Some(completion) = about.completion.take()
    {
        about.only_key = last_look(&entered, &received, completion).await?;
    }
    Started::new(entered, arrival, received, facts, about)
}

/// What the body says of a request that is recorded, or names stored objects.
fn read_facts(received: &Received) -> Result<RequestFacts, Refusal> {
    let Some(api) = received.admission.read_as() else {
        return Ok(RequestFacts::default());
    };
    let mut content_types = received.head.headers.get_all(CONTENT_TYPE).iter();
    // Of several, servers differ in which one they take.
    let content_type = content_types.next().filter(|_| content_types.next().is_none());
    let mut facts = lychgate_wire::read_request(api, content_type.map(HeaderValue::as_bytes), &received.body.bytes)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, Refused::BodyUnreadable, error.to_string()))?;
    let path = received.admission.path;
    let (_, rest) = allow_list::split(received.head.uri.path()).unwrap_or_default();
    if let Some(model) = path.model_in(rest)
        && model != facts.model
    {
        if !path.model_prefix.is_empty() {
            facts.objects.push(model.clone().into_owned());
        }
        facts.model = model.into_owned();
        facts.model_is_in_path = true;
    }
    facts.streaming = path.streams.unwrap_or(facts.streaming);
    Ok(facts)
}

/// What was found out about the stored object that a request names, before it goes upstream.
#[derive(Default)]
struct AboutObject {
    /// The answer may show its end.
    completion: Option<Box<Completion>>,
    /// The one key of the platform's that may be sent: the provider was asked with it already.
    only_key: Option<usize>,
}

/// A request that was admitted, ready to go upstream.
enum Started {
    Recorded(Box<Exchange>),
    Unrecorded(Relaying),
}

impl Started {
    fn new(
        entered: Entered,
        arrival: Arrival,
        mut received: Received,
        facts: RequestFacts,
        about: AboutObject,
    ) -> Result<Self, Refusal> {
        match received.admission.recorded.take() {
            Some(recorded) => Exchange::new(entered, arrival, received, facts, recorded, about).map(Self::Recorded),
            None if models::are_asked_for(&entered, &received) => {
                Ok(Self::Unrecorded(Box::pin(models::serve(entered, received))))
            }
            None => relay_unrecorded(entered, received, about.completion, None, &facts).map(Self::Unrecorded),
        }
    }
}

/// One recorded request. Boxed as a whole: a future holds what is moved within it twice.
struct Exchange {
    shared: Arc<Shared>,
    id: InterceptionId,
    request: UpstreamRequest,
    selector: UpstreamSelector,
    pending: PendingAttempt,
    /// The last attempt that ended; its result is forwarded unless there is another attempt.
    ended: Option<Box<(AttemptPlan, AttemptResult)>>,
    /// The provider whose last answer was that it tells no usage in streams.
    usage_refused_by: Option<ProviderId>,
    /// The key whose credential was refused, and that credential, while a newer one is waited for.
    renewal: Option<(Arc<FetchedKey>, Arc<Outgoing>)>,
    /// A newer one was waited for.
    has_renewed: bool,
}

impl Exchange {
    fn new(
        entered: Entered,
        arrival: Arrival,
        received: Received,
        facts: RequestFacts,
        (api, mut slot): (Api, Slot),
        about: AboutObject,
    ) -> Result<Box<Self>, Refusal> {
        let Entered {
            shared,
            provider,
            capture_content,
        } = entered;
        admit::expect(&mut slot, facts.prompt.as_ref().filter(|_| capture_content))?;
        let credential_kind = received.admission.credential_kind();
        let makes_object = objects::makes(api, &received.admission);
        let Received {
            head,
            admission:
                Admission {
                    token,
                    holder,
                    own,
                    path,
                    guard,
                    ..
                },
            body,
            waited,
        } = received;
        let candidates = {
            let state = shared.replica_state.load();
            let routes = &state.table.routes;
            match api {
                // What is stored is nowhere else.
                api if api.is_about_objects() => Candidates::only(&provider),
                _ => {
                    let drawn = routes.draw(&provider, &facts.model, credential_kind, &shared.ambient)?;
                    routes.hold_other_models(provider.config.id, &drawn, &body.bytes)?;
                    drawn
                }
            }
        };
        let body = RequestBody::new(api, &facts, body, &shared.body_budget, holder);
        let model = shared.breakers.model(&facts.model);
        let selector = UpstreamSelector::new(candidates, own.map(Arc::new), about.only_key, api, model, body);
        let id = shared.spool.new_id(&shared.ambient);
        let start = ExchangeStart {
            id,
            arrival,
            waited,
            token,
            provider_type: provider.config.provider_type,
            api,
            facts,
            headers: &head.headers,
            credential_kind,
            capture_content,
            makes_object,
            completion: about.completion,
        };
        let recorder = Recorder::new(start, slot, guard);
        let request = UpstreamRequest::recorded(head, &provider, path, credential_kind);
        Ok(Box::new(Self {
            shared,
            id,
            request,
            selector,
            pending: PendingAttempt::new(recorder),
            ended: None,
            usage_refused_by: None,
            renewal: None,
            has_renewed: false,
        }))
    }

    /// Makes attempts until one's answer is the client's. An error where not even the first can be made.
    async fn run(mut self: Box<Self>) -> Result<Response<Body>, Refusal> {
        let mut answered = loop {
            // In a block, so that the future holds neither the plan nor the result while it sleeps.
            let wait = {
                let mut plan = match (self.next_plan(), self.ended.take()) {
                    (Ok(plan), before) => {
                        // Only now is it certain that the answer before is not forwarded.
                        if let Some(ended) = before {
                            discard(ended.1);
                        }
                        plan
                    }
                    (Err(_), Some(ended)) => break self.answer(ended.0, ended.1),
                    (Err(unavailable), None) => return Err(unavailable.refusal),
                };
                let result = self.attempt(&mut plan).await;
                let end = end_of(&result, &self.shared.ambient);
                let decision = plan.settle(end, &self.shared.breakers);
                let wait = if self.is_usage_refused(&plan, &result) {
                    self.selector.ask_as_written();
                    Duration::ZERO
                } else if let Some(key) = plan.refused_fetched(end).filter(|_| !self.has_renewed) {
                    self.renewal = Some((key, Arc::clone(&plan.credential)));
                    Duration::ZERO
                } else if let Some(wait) = self.selector.wait_before_next(decision, &self.shared.ambient) {
                    wait
                } else {
                    break self.answer(plan, result);
                };
                self.ended = Some(Box::new((plan, result)));
                wait
            };
            // Both are rare, and not to make the future of every request larger.
            if self.renewal.is_some() {
                Box::pin(self.after_renewal()).await;
            } else if !wait.is_zero() {
                sleep(wait).await;
            }
        };
        answered.settled().await;
        let mut response = answered.into_response();
        response.headers_mut().insert(INTERCEPTION_ID, id_value(self.id));
        Ok(response)
    }

    fn next_plan(&mut self) -> Result<AttemptPlan, Unavailable> {
        self.selector.next(&self.shared.breakers, &self.request)
    }

    /// Waits for a newer credential than the one that was refused; once for a request. Where there is none, there is as a rule no
    /// further plan, and the answer before is the client's.
    async fn after_renewal(&mut self) {
        let Some((key, refused)) = self.renewal.take() else {
            return;
        };
        self.has_renewed = true;
        if key.wait_for_newer(&refused).await {
            self.selector.ask_with_renewed();
            return;
        }
        let decision = RetryDecision::RotateKey;
        if let Some(wait) = self.selector.wait_before_next(decision, &self.shared.ambient) {
            sleep(wait).await;
        }
    }

    fn answer(&mut self, plan: AttemptPlan, result: AttemptResult) -> Answered {
        answer(plan, result, self.pending.finish())
    }

    /// Whether the provider refused the request for the usage that only the gateway asked for. That is remembered once it takes the
    /// same without, and only where nothing that the client wrote could be what the refusal quotes.
    fn is_usage_refused(&mut self, plan: &AttemptPlan, result: &AttemptResult) -> bool {
        let Ok(answer) = result else { return false };
        let provider = plan.provider.config.id;
        if plan.asks_for_usage() {
            let is_refused = answer.says == Says::RefusesUsage && plan.may_ask_as_written();
            let is_lesson = is_refused && !self.selector.may_quote_usage();
            self.usage_refused_by = is_lesson.then_some(provider);
            return is_refused;
        }
        if answer.head.status.is_success() && self.usage_refused_by == Some(provider) {
            plan.refuses_usage();
        }
        false
    }

    async fn attempt(&mut self, plan: &mut AttemptPlan) -> AttemptResult {
        let recorder = self.pending.recorder();
        recorder.begin_attempt(&plan.provider, plan.model.as_deref(), plan.credential.hint());
        let (url, body) = plan.take_target();
        let request = self
            .request
            .build(url, body, &plan.credential, plan.position, &self.shared.ambient);
        let sending = self.shared.upstream.send(&plan.provider.config, request);
        self.pending.run(sending, plan.limit).await
    }
}

fn discard(result: AttemptResult) {
    if let Ok(answer) = result {
        discard_answer(answer.body);
    }
}
