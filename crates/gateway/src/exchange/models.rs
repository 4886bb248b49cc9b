//! Lists of models, answered from what is known here: a client that asks waits for a moment at most, whatever the provider does.
//! Where nothing is known, the list has what the configuration's routes name.
//!
//! Not here: what is kept, and for how long (`model_lists`), and the shapes (crate `wire`). With a key of the user's own, and by
//! policy, lists are relayed (`passthrough`).

use crate::error::Refusal;
use crate::exchange::admit::{Entered, Received};
use crate::exchange::attempt::head_within;
use crate::exchange::body_kind::BodyKind;
use crate::exchange::headers::StrippedHeaders;
use crate::exchange::passthrough::relay_unrecorded;
use crate::model_lists::Flight;
use crate::routing::allow_list;
use crate::routing::provider::Provider;
use crate::shared::Shared;
use aws_lc_rs::digest;
use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use lychgate_stream::{ReadLimits, read_bounded};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::interception::CredentialKind;
use lychgate_types::policy::Models;
use lychgate_wire::RequestFacts;
use lychgate_wire::client::identify;
use lychgate_wire::limits::MODELS;
use lychgate_wire::model_list::{Model, ModelPage, ModelQuestion};
use lychgate_wire::provider::describe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a client waits for a list of which nothing is known yet.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long a provider may take for the whole of a list, and how much of it is read.
pub(crate) const LIST: ReadLimits = ReadLimits {
    bytes: 4 << 20,
    idle: Duration::from_secs(10),
    total: Duration::from_secs(30),
};
/// Pages of a list that are asked for.
pub(crate) const PAGES: usize = 10;
/// By this a provider tells Codex that its list has changed. The one that Codex has is not that one.
pub(super) const MODELS_ETAG: HeaderName = HeaderName::from_static("x-models-etag");

/// Whether lists of this provider's models are served from here to those who use its central keys.
pub(super) fn are_served(provider: &Provider) -> bool {
    provider.config.policy.relay.models == Models::Cached
}

/// Whether this is a request for models that is answered from here.
pub(super) fn are_asked_for(entered: &Entered, received: &Received) -> bool {
    let admission = &received.admission;
    admission.path.shows_models && admission.own.is_none() && are_served(&entered.provider)
}

/// Answers a request for the models, or relays it where what it asks for is not known here.
pub(super) async fn serve(entered: Entered, received: Received) -> Result<Response<Body>, Refusal> {
    match answer(&entered, &received).await {
        Some(answered) => {
            entered.shared.counts.passed_through.count();
            answered
        }
        None => relay_unrecorded(entered, received, None, &RequestFacts::default())?.await,
    }
}

async fn answer(entered: &Entered, received: &Received) -> Option<Result<Response<Body>, Refusal>> {
    let Entered { shared, provider, .. } = entered;
    let head = &received.head;
    let header = |name: &str| head.headers.get(name)?.to_str().ok();
    let query = head.uri.query();
    let family = provider.config.provider_type.wire_family();
    let question = ModelQuestion::new(family, identify(header, None).client, query)?;
    // Without a key nothing is ever learnt, and relaying says so.
    provider.pool.key(0)?;
    let known = known(shared, provider, &question).await;
    let is_known = known.is_some();
    let state = shared.replica_state.load();
    let routes = &state.table.routes;
    let mut aliases = routes.aliases(provider);
    if !is_known {
        aliases.extend(routes.models_at(provider));
    }
    let models = known.map(|models| models.to_vec()).unwrap_or_default();
    let models = question.with_aliases(models, &aliases);
    let (_, rest) = allow_list::split(head.uri.path()).unwrap_or_default();
    let body = match received.admission.path.model_in(rest) {
        // A provider may know models, and names for them, that it does not list.
        Some(id) => models.into_iter().find(|model| model.id == id)?.json,
        None if models.is_empty() && !is_known && question.needs_models() => return Some(Err(unknown())),
        None => question.list(&models, query),
    };
    Some(Ok(tagged(body, &head.headers)))
}

/// What is known of the provider's models; asks it where that is due.
async fn known(shared: &Arc<Shared>, provider: &Arc<Provider>, question: &ModelQuestion) -> Option<Arc<Vec<Model>>> {
    let (lists, base_url) = (&provider.state.models, provider.config.base_url.as_str());
    let asked = lists.ask(question, base_url);
    if let Some(flight) = asked.flight {
        tokio::spawn(fly(Arc::clone(shared), Arc::clone(provider), flight));
    }
    if asked.list.is_some() {
        return asked.list;
    }
    // Its end is that of the channel; nothing is ever sent.
    let mut under_way = asked.under_way?;
    let _ = timeout(PATIENCE, under_way.changed()).await;
    lists.known(question, base_url)
}

/// Asks the provider, while clients are told what is known.
async fn fly(shared: Arc<Shared>, provider: Arc<Provider>, flight: Flight) {
    if let Ok(Some(models)) = timeout(LIST.total, fetch(&shared, &provider, flight.question())).await {
        flight.landed(models);
    }
}

async fn fetch(shared: &Shared, provider: &Provider, question: &ModelQuestion) -> Option<Vec<Model>> {
    let mut models = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let page = fetch_page(shared, provider, question, after.as_deref()).await?;
        models.extend(page.models);
        models.truncate(MODELS);
        if page.next.is_none() || page.next == after {
            break;
        }
        after = page.next;
    }
    Some(models)
}

async fn fetch_page(
    shared: &Shared,
    provider: &Provider,
    question: &ModelQuestion,
    after: Option<&str>,
) -> Option<ModelPage> {
    let (_, credential) = provider.pool.pick(&[], &[])?;
    let provider_type = provider.config.provider_type;
    let path = describe(provider_type).models()?;
    let query = Some(question.query(after)).filter(|query| !query.is_empty());
    let url = provider
        .url(allow_list::tail(provider_type, &path), query.as_deref())
        .ok()?;
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    for (name, value) in question.headers() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = url;
    *request.headers_mut() =
        StrippedHeaders::of_recorded(headers, CredentialKind::Centralized).with_credential(&credential);
    let sending = shared.upstream.send(&provider.config, request);
    let (head, mut body) = head_within(LIST.total, sending).await.ok()?.into_parts();
    // A key that may not list models serves all the same.
    if !head.status.is_success() || !BodyKind::of(head.status, &head.headers).is_plain() {
        return None;
    }
    let body = read_bounded(&mut body, LIST, |_| Ok::<_, ()>(())).await.ok()?;
    question.read(&body)
}

fn unknown() -> Refusal {
    let message = "the provider has not told its models yet, and no route names one; try again shortly";
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, Refused::ProviderFailed, message)
}

/// The answer with its tag, which is made of its content, so that it is the same on every replica.
fn tagged(body: String, asked: &HeaderMap) -> Response<Body> {
    let digest = digest::digest(&digest::SHA256, body.as_bytes());
    let digits: String = digest
        .as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{digits}\"");
    let is_had = asked.get_all(IF_NONE_MATCH).iter().any(|tags| {
        let mut tags = tags.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        tags.any(|had| had == b"*" || had.strip_prefix(b"W/").unwrap_or(had) == tag.as_bytes())
    });
    let mut response = Response::new(if is_had { Body::empty() } else { Body::from(body) });
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
    if is_had {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
