//! Opens a WebSocket: the client's head is admitted as a request's is, then attempts are made at the provider until one changes the
//! protocol. A provider that speaks none is remembered, and the client told at once by 426, upon which it sends HTTP requests.

use super::handshake::{self, UPGRADE_TIMEOUT};
use super::message::Context;
use super::session::Session;
use super::{Connection, Onward};
use crate::auth::credentials::{self, Credentials, Outgoing};
use crate::auth::target;
use crate::body_budget::HeldBody;
use crate::error::Refusal;
use crate::exchange::admit::{self, Entered};
use crate::exchange::attempt::{AttemptError, error_end};
use crate::exchange::headers::{AnswerBody, answer_to_client};
use crate::exchange::request_body::RequestBody;
use crate::exchange::selector::{AttemptPlan, UpstreamSelector};
use crate::exchange::upstream_request::UpstreamRequest;
use crate::resilience::decision::AttemptEnd;
use crate::routing::allow_list;
use crate::routing::provider::Provider;
use crate::routing::routes::Candidates;
use crate::upstream::Upgrade;
use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use lychgate_link::places::Source;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Holder;
use lychgate_types::interception::CredentialKind;
use lychgate_types::provider::Api;
use lychgate_wire::RequestFacts;
use lychgate_wire::provider::AllowedPath;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// So much of an answer that is no WebSocket is forwarded, read within so long: an error.
const ERROR_BYTES: usize = 64 << 10;
const ERROR_TIME: Duration = Duration::from_secs(5);

/// In a box, so that the futures of other requests need no room for it.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Response<Body>, Refusal>> + Send>>;

/// Answers a request for a WebSocket: by a 101 with what goes on behind it, or by what there is instead.
pub(crate) fn open(entered: Entered, request: Request<Body>, source: Source) -> Opening {
    Box::pin(opened(entered, request, source))
}

async fn opened(entered: Entered, request: Request<Body>, source: Source) -> Result<Response<Body>, Refusal> {
    // Before anything is asked, so that nothing is missed that is told meanwhile.
    let news = entered.shared.sockets.news();
    let (head, _) = request.into_parts();
    let Entered { shared, provider, .. } = &entered;
    target::check(provider.config.provider_type, &head.uri)?;
    let rest = allow_list::split(head.uri.path()).map_or("", |(_, rest)| rest);
    let found = allow_list::find_websocket(provider.config.provider_type, rest);
    let (Some((api, path)), Some(accept), true) = (found, handshake::accepted(&head), provider.speaks_websocket())
    else {
        return Err(Refusal::websocket());
    };
    let credentials = credentials::read(provider.config.provider_type, &head.headers)?;
    let holder = admit::authorize(shared, credentials.token, source)
        .await?
        .or_of(&credentials.token);
    // While it is opened, it counts as a request; then only what is asked for in it does.
    let _guard = shared.enter()?;
    provider.usable()?;
    let pays = pays(credentials.own.as_ref());
    // Which models will be asked for is not known, and all of them have to be there.
    let leads_elsewhere = |entered: &Entered| {
        let state = entered.shared.replica_state.load();
        state.table.routes.lead_elsewhere(entered.provider.config.id)
    };
    if pays == CredentialKind::Centralized && leads_elsewhere(&entered) {
        return Err(Refusal::websocket());
    }
    let place = shared.sockets.places.take(holder).ok_or_else(|| {
        let message =
            "you, or all users together, have as many WebSockets open as there may be; close one, or use HTTP requests";
        Refusal::too_many(Refused::SocketsTooMany, message, 5)
    })?;
    let client_headers = head.headers.clone();
    let token = credentials.token;
    let asking = Asking::new(&entered, (api, path), credentials, holder, head);
    let opened = match asking.attempts(&entered).await? {
        Asked::Opened(opened) => *opened,
        Asked::Answered(answer) => return Ok(answer),
    };
    let context = Arc::new(Context {
        shared: Arc::clone(shared),
        provider: Arc::clone(provider),
        api,
        plan: opened.plan,
        pays,
        token,
        holder,
        source,
        headers: client_headers,
    });
    let upstream = opened.upstream;
    let onward = Onward::new(move |client| async move {
        Session::new(context, client, upstream, news, place).await.run().await;
    });
    let mut answer = handshake::answer(opened.headers, accept);
    answer.extensions_mut().insert(onward);
    Ok(answer)
}

/// What came of asking the provider.
enum Asked {
    Opened(Box<Opened>),
    /// Its refusal, for the client.
    Answered(Response<Body>),
}

/// A WebSocket of the provider.
struct Opened {
    plan: AttemptPlan,
    headers: HeaderMap,
    upstream: Connection,
}

/// What is asked of the provider.
struct Asking {
    selector: UpstreamSelector,
    request: UpstreamRequest,
    /// Nothing in it is the client's own but its headers: no query, and a central key goes with it. So what the provider says of it, it
    /// would say to anybody.
    is_plain: bool,
    api: Api,
}

impl Asking {
    fn new(
        entered: &Entered,
        (api, path): (Api, &'static AllowedPath),
        credentials: Credentials,
        holder: Holder,
        mut head: Parts,
    ) -> Self {
        let Entered { shared, provider, .. } = entered;
        let own = credentials.own;
        handshake::strip(&mut head.headers);
        let nothing = HeldBody::new(Bytes::new(), shared.body_budget.room(holder));
        let facts = RequestFacts::default();
        let body = RequestBody::new(api, &facts, nothing, &shared.body_budget, holder);
        let pays = pays(own.as_ref());
        let is_plain = pays == CredentialKind::Centralized && head.uri.query().is_none();
        let (candidates, model) = (Candidates::only(provider), shared.breakers.model(&facts.model));
        Self {
            selector: UpstreamSelector::new(candidates, own.map(Arc::new), None, api, model, body),
            request: UpstreamRequest::recorded(head, provider, path, pays),
            is_plain,
            api,
        }
    }

    /// Makes attempts until one changes the protocol, or there is none to be made any more.
    async fn attempts(mut self, entered: &Entered) -> Result<Asked, Refusal> {
        let Entered { shared, provider, .. } = entered;
        let mut last = None;
        loop {
            let mut plan = match (self.selector.next(&shared.breakers, &self.request), last.take()) {
                (Ok(plan), _) => plan,
                (Err(_), Some((result, is_central))) => return answered(result, provider, is_central),
                (Err(unavailable), None) => return Err(unavailable.refusal),
            };
            let (result, end) = self.attempt(entered, &mut plan).await;
            let is_central = plan.uses_central_key();
            let decision = plan.settle(end, &shared.breakers);
            let result = match result {
                Ok(Upgraded::Changed(mut headers, upstream)) => {
                    answer_to_client(&mut headers, AnswerBody::Unchanged, &plan.provider, is_central);
                    return Ok(Asked::Opened(Box::new(Opened {
                        plan,
                        headers,
                        upstream,
                    })));
                }
                Ok(Upgraded::Refused(answer, _)) if speaks_none(answer.status) => {
                    // A client's own mistake may be behind a 400.
                    if self.is_plain && answer.status != StatusCode::BAD_REQUEST {
                        provider.has_no_websocket();
                    }
                    return Err(Refusal::websocket());
                }
                Ok(Upgraded::Refused(head, body)) => Ok((head, body)),
                Err(error) => Err(error),
            };
            match self.selector.wait_before_next(decision, &shared.ambient) {
                Some(wait) => {
                    last = Some((result, is_central));
                    sleep(wait).await;
                }
                None => return answered(result, provider, is_central),
            }
        }
    }

    async fn attempt(&mut self, entered: &Entered, plan: &mut AttemptPlan) -> (Attempted, AttemptEnd) {
        let (url, _) = plan.take_target();
        let mut asked = self.request.build(
            url,
            Bytes::new(),
            &plan.credential,
            plan.position,
            &entered.shared.ambient,
        );
        let accept = handshake::ask(asked.headers_mut());
        let limit = plan.limit.min(UPGRADE_TIMEOUT);
        let sending = entered.shared.upstream.upgrade(&plan.provider.config, asked);
        let result = match timeout(limit, sending).await {
            Ok(Ok(Upgrade::Changed(head, upstream)))
                if handshake::is_proper(head.status(), head.headers(), &accept) =>
            {
                Ok(Upgraded::Changed(head.into_parts().0.headers, upstream))
            }
            Ok(Ok(Upgrade::Changed(..))) => Err(AttemptError::ProtocolSwitched),
            Ok(Ok(Upgrade::Refused(answer))) => Ok(refused(answer).await),
            Ok(Err(error)) => Err(AttemptError::Connection(error)),
            Err(_) => Err(AttemptError::Timeout(limit)),
        };
        let ambient = &entered.shared.ambient;
        let end = match &result {
            Ok(Upgraded::Changed(headers, _)) => {
                AttemptEnd::answered(StatusCode::SWITCHING_PROTOCOLS, headers, ambient)
            }
            Ok(Upgraded::Refused(head, body)) => error_end(self.api, head.status, &head.headers, body, ambient),
            Err(error) => error.end(),
        };
        (result, end)
    }
}

type Attempted = Result<Upgraded, AttemptError>;

enum Upgraded {
    Changed(HeaderMap, Connection),
    /// What came of the answer's body in time is there too.
    Refused(response::Parts, Bytes),
}

/// An answer that is no WebSocket. One that says that none is spoken there is not read.
async fn refused(answer: Response<Incoming>) -> Upgraded {
    let (mut head, body) = answer.into_parts();
    if speaks_none(head.status) {
        return Upgraded::Refused(head, Bytes::new());
    }
    let body = timeout(ERROR_TIME, Limited::new(body, ERROR_BYTES).collect()).await;
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes());
    // What did not come whole is left out.
    let body = body.unwrap_or_else(|| {
        head.headers.remove(CONTENT_LENGTH);
        Bytes::new()
    });
    Upgraded::Refused(head, body)
}

fn pays(own: Option<&Outgoing>) -> CredentialKind {
    match own {
        Some(_) => CredentialKind::Byok,
        None => CredentialKind::Centralized,
    }
}

/// Whether the status says that no WebSocket is spoken there: a page, another place, or that the request is none of those known.
fn speaks_none(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection() || matches!(status.as_u16(), 400 | 404 | 405 | 426 | 501)
}

/// The provider's refusal as the client gets it.
fn answered(
    result: Result<(response::Parts, Bytes), AttemptError>,
    provider: &Provider,
    is_central: bool,
) -> Result<Asked, Refusal> {
    let (mut head, body) = result?;
    answer_to_client(&mut head.headers, AnswerBody::Unchanged, provider, is_central);
    Ok(Asked::Answered(Response::from_parts(head, Body::from(body))))
}
