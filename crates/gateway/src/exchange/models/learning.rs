//! How a replica comes to know a provider's models: by asking, page by page, or from the answer to a client's own request, which is
//! relayed while nothing is known.
//!
//! Not here: when it has to (`model_lists`), and what clients are told (`models`).

use crate::exchange::attempt::head_within;
use crate::exchange::body_kind::BodyKind;
use crate::exchange::headers::StrippedHeaders;
use crate::model_lists::{ASK_AGAIN, Flight};
use crate::routing::allow_list;
use crate::routing::provider::Provider;
use crate::shared::Shared;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use lychgate_stream::{ReadLimits, read_bounded};
use lychgate_types::interception::CredentialKind;
use lychgate_wire::limits::MODELS;
use lychgate_wire::model_list::{Model, ModelPage, ModelQuestion};
use lychgate_wire::provider::describe;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a provider may take for the whole of a list, and how much of it is kept.
pub(crate) const LIST: ReadLimits = ReadLimits {
    bytes: 4 << 20,
    idle: Duration::from_secs(10),
    total: ASK_AGAIN,
};
/// Pages of a list that are asked for.
pub(crate) const PAGES: usize = 10;

/// The right to ask a provider for its models, and where to ask.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(super) shared: Arc<Shared>,
    pub(super) provider: Arc<Provider>,
    pub(super) flight: Flight,
}

/// What the answer to a client's own request teaches while it is relayed. What it does not teach is asked for once the answer is
/// over, unless it says that there is no list.
#[derive(Debug)]
pub(crate) struct Lesson {
    journey: Option<Journey>,
    /// What came of the list; `None` where what comes is not the whole list, or can't be read here.
    list: Option<Vec<u8>>,
}

impl Journey {
    /// Asks the provider in the background.
    pub(super) fn begin(self) {
        // Without a runtime the process ends.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Some(models)) = timeout(LIST.total, self.ask()).await {
                    self.flight.landed(models);
                }
            });
        }
    }

    async fn ask(&self) -> Option<Vec<Model>> {
        let (mut models, mut seen) = (Vec::new(), HashSet::new());
        let mut room = LIST.bytes;
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let page = self.page(after.as_deref()).await?;
            for model in page.models {
                let Some(rest) = room.checked_sub(model.json.len()) else {
                    return Some(models);
                };
                if models.len() < MODELS && seen.insert(model.id.clone()) {
                    room = rest;
                    models.push(model);
                }
            }
            if page.next.is_none() || page.next == after {
                break;
            }
            after = page.next;
        }
        Some(models)
    }

    async fn page(&self, after: Option<&str>) -> Option<ModelPage> {
        let (provider, question) = (&self.provider, self.question());
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
        let sending = self.shared.upstream.send(&provider.config, request);
        let (head, mut body) = head_within(LIST.total, sending).await.ok()?.into_parts();
        // A key that may not list models serves all the same.
        if !head.status.is_success() || !BodyKind::of(head.status, &head.headers).is_plain() {
            return None;
        }
        let body = read_bounded(&mut body, LIST, |_| Ok::<_, ()>(())).await.ok()?;
        question.read(&body)
    }

    fn question(&self) -> &ModelQuestion {
        self.flight.question()
    }
}

impl Lesson {
    /// Of the answer to a request for the whole list, or (`is_whole` is false) for something else about the models.
    pub(super) fn new(journey: Journey, is_whole: bool) -> Self {
        Self {
            journey: Some(journey),
            list: is_whole.then(Vec::new),
        }
    }

    /// The answer's head came.
    pub(crate) fn head(&mut self, status: StatusCode, body: BodyKind) {
        if self.list.is_some() && !status.is_success() {
            self.journey = None;
        }
        if !body.is_plain() {
            self.list = None;
        }
    }

    /// Bytes of its body came.
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        if let Some(list) = &mut self.list {
            if list.len() + bytes.len() <= LIST.bytes {
                list.extend_from_slice(bytes);
            } else {
                self.list = None;
            }
        }
    }
}

/// No more comes.
impl Drop for Lesson {
    fn drop(&mut self) {
        let Some(journey) = self.journey.take() else {
            return;
        };
        let page = self.list.take().and_then(|list| journey.question().read(&list));
        match page {
            Some(page) if page.next.is_none() => journey.flight.landed(page.models),
            _ => journey.begin(),
        }
    }
}
