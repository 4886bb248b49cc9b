//! Lists of models, answered from what is known here: a client that asks waits for a moment at most, whatever the provider does.
//! Where nothing is known, the list has what the configuration's routes name; where they name nothing either, and where a query
//! asks for more than a list, the request is relayed, and the replica learns from the answer.
//!
//! Not here: what is kept, and for how long (`model_lists`), how the provider is asked (`learning`), and the shapes (crate `wire`).
//! With a key of the user's own, and by policy, lists are relayed (`passthrough`).

pub(crate) mod learning;

use crate::error::Refusal;
use crate::exchange::admit::{Entered, Received};
use crate::exchange::passthrough::relay_unrecorded;
use crate::exchange::upstream_request::parameters;
use crate::routing::allow_list;
use crate::routing::provider::Provider;
use aws_lc_rs::digest;
use axum::body::Body;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use learning::{Journey, Lesson};
use lychgate_types::policy::Models;
use lychgate_wire::RequestFacts;
use lychgate_wire::client::identify;
use lychgate_wire::model_list::{Model, ModelQuestion};
use lychgate_wire::provider::describe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a client waits for a list of which nothing is known yet.
const PATIENCE: Duration = Duration::from_millis(700);
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
        Ok(answered) => {
            entered.shared.counts.passed_through.count();
            Ok(answered)
        }
        Err(lesson) => relay_unrecorded(entered, received, None, lesson, &RequestFacts::default())?.await,
    }
}

/// The answer from here; otherwise the request is to be relayed, and its answer may teach something.
async fn answer(entered: &Entered, received: &Received) -> Result<Response<Body>, Option<Lesson>> {
    let Entered { shared, provider, .. } = entered;
    let head = &received.head;
    let header = |name: &str| head.headers.get(name)?.to_str().ok();
    let description = describe(provider.config.provider_type);
    let query = parameters(head.uri.query(), |parameter| !description.is_own_parameter(parameter));
    let query = query.as_deref();
    let family = provider.config.provider_type.wire_family();
    let question = ModelQuestion::new(family, identify(header, None).client, query).ok_or(None)?;
    // Without a key nothing is ever learnt, and relaying says so.
    provider.pool.key(0).ok_or(None)?;
    let (_, rest) = allow_list::split(head.uri.path()).unwrap_or_default();
    let one = received.admission.path.model_in(rest);
    let is_ours = !question.may_be_relayed() || {
        let state = shared.replica_state.load();
        let routes = &state.table.routes;
        !(routes.aliases(provider).is_empty() && routes.models_at(provider).is_empty())
    };
    let (lists, base_url) = (&provider.state.models, provider.config.base_url.as_str());
    let asked = lists.ask(&question, base_url);
    let journey = asked.flight.map(|flight| Journey {
        shared: Arc::clone(shared),
        provider: Arc::clone(provider),
        flight,
    });
    let is_answerable = is_ours || question.is_answered_by_list(query);
    let known = match (asked.list, journey) {
        (list, Some(journey)) if !is_ours && (list.is_none() || !is_answerable) => {
            let is_whole = head.method == Method::GET && one.is_none() && question.asks_for_all(query);
            return Err(Some(Lesson::new(journey, is_whole)));
        }
        _ if !is_answerable => return Err(None),
        (Some(list), journey) => {
            journey.into_iter().for_each(Journey::begin);
            Some(list)
        }
        (None, journey) => {
            journey.into_iter().for_each(Journey::begin);
            if let Some(mut under_way) = asked.under_way {
                // Its end is that of the channel; nothing is ever sent.
                let _ = timeout(PATIENCE, under_way.changed()).await;
            }
            lists.known(&question, base_url)
        }
    };
    if known.is_none() && !is_ours {
        return Err(None);
    }
    let state = shared.replica_state.load();
    let routes = &state.table.routes;
    let mut aliases = routes.aliases(provider);
    if known.is_none() {
        aliases.extend(routes.models_at(provider));
    }
    let models = question.with_aliases(known.map(|models| models.to_vec()).unwrap_or_default(), &aliases);
    let body = match one {
        // A provider may know models, and names for them, that it does not list.
        Some(id) => entry_of(models, &id).ok_or(None)?,
        None => question.list(&models, query),
    };
    Ok(tagged(body, &head.headers))
}

fn entry_of(models: Vec<Model>, id: &str) -> Option<String> {
    models.into_iter().find(|model| model.id == id).map(|model| model.json)
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
