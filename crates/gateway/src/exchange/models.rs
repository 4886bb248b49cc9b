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
use crate::model_lists::{KeptList, ListAnswer};
use crate::routing::allow_list;
use aws_lc_rs::digest;
use axum::body::Body;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use learning::{Journey, Lesson};
use lychgate_wire::RequestFacts;
use lychgate_wire::client::identify;
use lychgate_wire::model_list::{Model, ModelQuestion};
use lychgate_wire::provider::describe;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How long a client waits for a list of which nothing is known yet.
const PATIENCE: Duration = Duration::from_millis(700);
/// Whether this is a request for models that is answered from here.
pub(super) fn are_asked_for(entered: &Entered, received: &Received) -> bool {
    let admission = &received.admission;
    admission.path.shows_models && admission.own.is_none() && entered.provider.keeps_model_lists()
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

/// What is asked for.
struct Asked<'a> {
    question: ModelQuestion,
    /// Without what belongs to the provider's type.
    query: Option<String>,
    /// The one model that the path names.
    one: Option<Cow<'a, str>>,
}

/// The answer from here; otherwise the request is to be relayed, and its answer may teach something.
async fn answer(entered: &Entered, received: &Received) -> Result<Response<Body>, Option<Lesson>> {
    let provider = &entered.provider;
    let head = &received.head;
    let header = |name: &str| head.headers.get(name)?.to_str().ok();
    let description = describe(provider.config.provider_type);
    let query = parameters(head.uri.query(), |parameter| !description.is_own_parameter(parameter));
    let family = provider.config.provider_type.wire_family();
    let (_, rest) = allow_list::split(head.uri.path()).unwrap_or_default();
    let asked = Asked {
        question: ModelQuestion::new(family, identify(header, None).client, query.as_deref()).ok_or(None)?,
        query,
        one: received.admission.path.model_in(rest),
    };
    // Without a key nothing is ever learnt, and relaying says so.
    provider.pool.key(0).ok_or(None)?;
    let place = provider.state.models.place(&asked.question, &provider.config.base_url);
    let known = known(entered, &place, &asked, &head.method).await?;
    let answer = written(entered, &place, &asked, known.as_ref()).ok_or(None)?;
    Ok(response(&answer, &head.headers))
}

/// The list that the answer is made of; none where the routes alone have to do.
async fn known(
    entered: &Entered,
    place: &Arc<KeptList>,
    asked: &Asked<'_>,
    method: &Method,
) -> Result<Option<Arc<Vec<Model>>>, Option<Lesson>> {
    let Entered { shared, provider, .. } = entered;
    let (question, query) = (&asked.question, asked.query.as_deref());
    let is_ours = !question.may_be_relayed() || {
        let state = shared.replica_state.load();
        let routes = &state.table.routes;
        !(routes.aliases(provider).is_empty() && routes.models_at(provider).is_empty())
    };
    let is_answerable = is_ours || question.is_answered_by_list(query);
    let known = place.known().filter(|_| is_answerable);
    if let Some(flight) = place.flight() {
        let journey = Journey {
            shared: Arc::clone(shared),
            provider: Arc::clone(provider),
            flight,
        };
        if known.is_none() && !is_ours {
            let is_whole = *method == Method::GET && asked.one.is_none() && question.asks_for_all(query);
            return Err(Some(Lesson::new(journey, is_whole)));
        }
        journey.begin();
    }
    let known = match known {
        None if is_answerable => place.known_within(PATIENCE).await,
        known => known,
    };
    match known {
        None if !is_ours => Err(None),
        known => Ok(known),
    }
}

/// The answer to what is asked; `None` where it is for a model that is not known here.
fn written(
    entered: &Entered,
    place: &KeptList,
    asked: &Asked<'_>,
    known: Option<&Arc<Vec<Model>>>,
) -> Option<Arc<ListAnswer>> {
    let Asked { question, query, one } = asked;
    let state = entered.shared.replica_state.load();
    let table = &state.table;
    let list = known.filter(|_| one.is_none());
    let last = list.and_then(|list| place.answer(list, query.as_deref(), table.version));
    if last.is_some() {
        return last;
    }
    let mut aliases = table.routes.aliases(&entered.provider);
    if known.is_none() {
        aliases.extend(table.routes.models_at(&entered.provider));
    }
    let models = known.map_or(&[][..], |models| models);
    let added = question.aliases(models, &aliases);
    let mut all = models.iter().chain(&added);
    let body = match one {
        // A provider may know models, and names for them, that it does not list.
        Some(id) => all.find(|model| model.id == **id)?.json.clone(),
        None => question.list(&all.collect::<Vec<_>>(), query.as_deref()),
    };
    let answer = Arc::new(ListAnswer {
        query: query.clone(),
        configuration: table.version,
        tag: tag(body.as_bytes()),
        body: body.into(),
    });
    if let Some(list) = list {
        place.keep(list, Arc::clone(&answer));
    }
    Some(answer)
}

/// Made of the content, so that it is the same on every replica.
fn tag(body: &[u8]) -> HeaderValue {
    let digest = digest::digest(&digest::SHA256, body);
    let digits: String = digest
        .as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{digits}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn response(answer: &ListAnswer, asked: &HeaderMap) -> Response<Body> {
    let is_had = asked.get_all(IF_NONE_MATCH).iter().any(|tags| {
        let mut tags = tags.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        tags.any(|had| had == b"*" || had.strip_prefix(b"W/").unwrap_or(had) == answer.tag.as_bytes())
    });
    let mut response = Response::new(if is_had {
        Body::empty()
    } else {
        Body::from(answer.body.clone())
    });
    let headers = response.headers_mut();
    headers.insert(ETAG, answer.tag.clone());
    if is_had {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
