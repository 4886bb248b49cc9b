//! What surrounds every request to the data plane, in this order:
//!
//! 1. the time of arrival is taken, before anything costs some;
//! 2. the provider is looked up, since every answer from here on has the shape of that provider's answers;
//! 3. draining and the state of the control link are checked, because a refusal must stay cheap when there is most to refuse;
//! 4. panics are caught, so that one request's bug is that request's 500, which tells nothing of it;
//! 5. the request is admitted (`exchange::admit` has the order) and relayed (`exchange`).
//!
//! `/healthz` and `/readyz` are not served here: they must answer when nothing else does.

use crate::cors::Leave;
use crate::error::Refusal;
use crate::exchange::admit::Entered;
use crate::exchange::discard::{Sender, discard_request};
use crate::exchange::recorder::Arrival;
use crate::exchange::{relay, socket};
use crate::inbound::front::{Answering, DataPlane};
use crate::routing::allow_list;
use crate::shared::Shared;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::FutureExt as _;
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use lychgate_link::places::Source;
use lychgate_types::provider::WireFamily;
use lychgate_wire::provider::likely_family;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower_service::Service;

/// The data plane as a service for everything under `/ai/`.
#[derive(Debug, Clone)]
pub(crate) struct Stack(pub(crate) Arc<Shared>);

impl Service<Request<Body>> for Stack {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let source = peer.map(|ConnectInfo(peer)| peer.ip());
        DataPlane::answer(self, request, source)
    }
}

impl DataPlane for Stack {
    /// Boxed, so that it takes no memory once the answer's head is sent.
    fn answer(&self, request: Request<Body>, source: Option<IpAddr>) -> Answering {
        let source = source.map_or(Source::unknown(), Source::new);
        Box::pin(answer(Arc::clone(&self.0), request, source))
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Body>, source: Source) -> Result<Response<Body>, Infallible> {
    let arrival = Arrival {
        at: Instant::now(),
        wall: shared.ambient.now(),
    };
    let leave = Leave::of(&request, &shared.options.cors);
    let (family, entered) = enter(&shared, request.uri().path(), request.headers());
    let result = match entered {
        Ok(entered) if let Some(answer) = without_token(&entered, &request) => Ok(answer),
        Ok(entered) if allow_list::wants_websocket(request.headers()) => {
            let opening = AssertUnwindSafe(socket::open(entered, request, source));
            opening
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Refusal::internal()))
        }
        Ok(entered) => {
            // Not through a variable: the future would hold this one, which is large, twice.
            AssertUnwindSafe(relay(entered, arrival, request, source))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Refusal::internal()))
        }
        Err(refusal) => {
            let (head, mut body) = request.into_parts();
            let place = shared.refused_bodies.take(source);
            Box::pin(discard_request(&head, &mut body, Sender::Stranger(place))).await;
            Err(refusal)
        }
    };
    let mut answer = result.unwrap_or_else(|refusal| {
        shared.counts.refused.count(refusal.reason);
        refusal.into_response(family)
    });
    if let Some(leave) = leave {
        leave.tell(&mut answer);
    }
    Ok(answer)
}

/// What is answered to anybody, since it is about the gateway alone: whether it is there, and a path's methods. Which pages of
/// other origins may read answers is told by [`Leave`].
fn without_token(entered: &Entered, request: &Request<Body>) -> Option<Response<Body>> {
    let rest = allow_list::split(request.uri().path()).map_or("", |(_, rest)| rest);
    let mut answer = Response::new(Body::empty());
    match *request.method() {
        Method::HEAD if allow_list::is_probe(rest) => {}
        Method::OPTIONS => {
            let methods = allow_list::methods(entered.provider.config.provider_type, rest)?;
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        }
        _ => return None,
    }
    Some(answer)
}

/// Steps 2 and 3. Of the replica state, nothing is kept but the provider.
pub(crate) fn enter(shared: &Arc<Shared>, path: &str, headers: &HeaderMap) -> (WireFamily, Result<Entered, Refusal>) {
    let state = shared.replica_state.load();
    let (name, rest) = allow_list::split(path).unwrap_or_default();
    let provider = state.table.provider(name);
    let family = provider.map_or_else(
        || likely_family(rest, |name| headers.contains_key(name)),
        |provider| provider.config.provider_type.wire_family(),
    );
    (family, Entered::now(shared, &state, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_size<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// It is allocated for each request. A future that moves large values about holds each of them twice: this one was 19.7 KiB
    /// once.
    #[test]
    fn the_future_of_a_request_is_small() {
        let size = future_size(answer);
        assert!(size <= 2560, "{size}");
    }
}
