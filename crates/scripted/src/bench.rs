//! The bench's path: fixed answers that cost next to nothing, so that a measurement measures what stands before the provider.
//!
//! `x-scripted: bench` gets a small blocking answer; `x-scripted-events: 1000`, with `x-scripted-interval-ms: 20` if wanted,
//! gets a stream of that many events. What the request's body says does not matter.

use crate::body::{Repeat, ScriptBody};
use crate::families::Endpoint;
use crate::script::Step;
use crate::seen::Sent;
use crate::socket::Breaker;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use std::time::Duration;

const NAME: &str = "x-scripted";
const EVENTS: &str = "x-scripted-events";
const INTERVAL: &str = "x-scripted-interval-ms";
/// The name under which the small blocking answer is asked for.
const BENCH: &str = "bench";

/// The answer, where the headers ask for this path: no body is read as JSON, nothing is kept, nothing is built per event.
pub(crate) fn fast(parts: &Parts, breaker: Breaker) -> Option<Response<ScriptBody>> {
    let bench = || Endpoint::at(parts.uri.path())?.api().bench();
    if let Some(events) = number(&parts.headers, EVENTS) {
        let (head, event, tail) = bench()?.stream;
        let repeat = Repeat {
            head: Some(Bytes::from_static(head)),
            event: Bytes::from_static(event),
            left: events,
            interval: Duration::from_millis(number(&parts.headers, INTERVAL).unwrap_or(0)),
            tail: Some(Bytes::from_static(tail)),
            due: None,
        };
        let mut response = Response::new(ScriptBody::repeat(repeat, breaker));
        response.headers_mut().insert(
            "content-type",
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        );
        return Some(response);
    }
    if parts.headers.get(NAME)?.as_bytes() != BENCH.as_bytes() {
        return None;
    }
    let body = bench()?.whole;
    let mut response = Response::new(ScriptBody::steps(
        vec![Step::Send(Bytes::from_static(body))],
        breaker,
        Sent::default(),
    ));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert("content-length", HeaderValue::from(body.len()));
    Some(response)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
