//! From a request to a script: which API, which scenario, what is said.

use crate::ask::Ask;
use crate::body::ScriptBody;
use crate::error;
use crate::families::{Endpoint, Family, family};
use crate::host::{Host, Place};
use crate::perform::{chosen, perform};
use crate::provider::Shared;
use crate::scenario::Scenario;
use crate::script::Script;
use crate::seen::{SeenRequest, Sent};
use crate::socket::Breaker;
use crate::{bench, introspection, websocket};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::sync::Arc;

/// As much as Anthropic takes.
const BODY_LIMIT: usize = 32 << 20;
const NAME: &str = "x-scripted";
/// The official SDKs count their own retries in this header, from zero.
const RETRY_COUNT: &str = "x-stainless-retry-count";

/// Answers one request.
pub(crate) async fn answer(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
    breaker: Breaker,
) -> Result<Response<ScriptBody>, Infallible> {
    if let Some(response) = websocket::answer(&mut request, &shared, &breaker) {
        return Ok(response);
    }
    let (parts, body) = request.into_parts();
    if let Some(response) = bench::fast(&parts, breaker.clone()) {
        // The connection can be used again only when the request has been read.
        let _ = Limited::new(body, BODY_LIMIT).collect().await;
        return Ok(response);
    }
    let sent = Sent::default();
    let script = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => script(&parts, &body.to_bytes(), &shared, &sent),
        Err(_) => {
            let place = Place::of(parts.uri.path());
            family(Endpoint::at(&place.path), &parts.headers).error(413, "Request exceeds the maximum size")
        }
    };
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    Ok(response(script, breaker, sent))
}

pub(crate) fn response(script: Script, breaker: Breaker, sent: Sent) -> Response<ScriptBody> {
    let mut response = Response::new(ScriptBody::steps(script.steps, breaker, sent));
    *response.status_mut() = StatusCode::from_u16(script.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in script.headers {
        // A value that is no header's is left out: a caller's own script is a test's own mistake.
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The whole answer to a request whose body has been read.
fn script(parts: &Parts, body: &Bytes, shared: &Shared, sent: &Sent) -> Script {
    let path = parts.uri.path();
    if let Some(rest) = path.strip_prefix("/__scripted") {
        return introspection::answer(parts, rest, body, shared);
    }
    let place = Place::of(path);
    let seen = SeenRequest {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers.clone(),
        body: body.clone(),
        sent: sent.clone(),
    };
    shared.see(seen);
    if let Some(answer) = shared.authority.answer(parts, body) {
        return answer;
    }
    let endpoint = Endpoint::at(&place.path);
    let headers = &parts.headers;
    let family = match place.host {
        Host::Vertex => Endpoint::Messages.api().family(),
        _ => family(endpoint, headers),
    };
    let signature = family.check_signature(parts, body, shared.now());
    let script = match (signature, endpoint) {
        (Err(refusal), _) => refusal,
        _ if shared.authority.refuses(headers) => family.bad_key(),
        (_, Some(endpoint)) if parts.method == Method::POST => endpoint_script(endpoint, &place, parts, body, shared),
        (_, Some(_)) => family.error(405, "Method Not Allowed"),
        (_, None) => elsewhere(family, &place, parts, body),
    };
    family.with_headers(script, &String::from_utf8_lossy(body))
}

/// The answer to a request to an API.
pub(crate) fn endpoint_script(
    endpoint: Endpoint,
    place: &Place<'_>,
    parts: &Parts,
    body: &[u8],
    shared: &Shared,
) -> Script {
    let (family, headers) = (endpoint.api().family(), &parts.headers);
    if let Err(refusal) = place.check(family, parts) {
        return refusal;
    }
    let Ok(mut body @ serde_json::Value::Object(_)) = serde_json::from_slice(body) else {
        return family.not_json();
    };
    if let Err(refusal) = family.check_body(endpoint, &body) {
        return refusal;
    }
    let (path, query) = (&*place.path, parts.uri.query().unwrap_or_default());
    for (name, value) in endpoint.api().told_by(path, query) {
        body[name] = value;
    }
    if let Err(refusal) = place.check_body(family, &body) {
        return refusal;
    }
    if let Some(deployment) = place.deployment {
        body["model"] = deployment.into();
    }
    let ask = Ask {
        host: place.host,
        ..Ask::read(endpoint, body)
    };
    let named = named(headers);
    if let Some(script) = named
        .and_then(|name| shared.script(name))
        .or_else(|| shared.script(&ask.model))
    {
        return script;
    }
    if let Err(refusal) = error::check(&ask, headers) {
        return refusal;
    }
    match named {
        Some(name) => match Scenario::named(name) {
            Some(scenario) => perform(&ask, scenario),
            None => family.error(400, &format!("no scenario is called {name}; see /__scripted")),
        },
        None => perform(&ask, chosen(&ask)),
    }
}

/// The scenario that the header names. Of several, apart by commas, each try of an SDK gets the next, and the last one stays.
fn named(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let names = text(NAME)?.split(',');
    let tries: usize = text(RETRY_COUNT).and_then(|count| count.parse().ok()).unwrap_or(0);
    names.take(tries.saturating_add(1)).last().map(str::trim)
}

/// What lies beside the APIs.
fn elsewhere(family: &dyn Family, place: &Place<'_>, parts: &Parts, body: &[u8]) -> Script {
    if let Err(refusal) = place.check(family, parts) {
        return refusal;
    }
    let path = &*place.path;
    family
        .elsewhere(&parts.method, path, body)
        .unwrap_or_else(|| family.error(404, &format!("the scripted provider has no answer for {path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_of_an_sdk_may_get_a_scenario_of_its_own() {
        let chosen = |value: &'static str, tries: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(NAME, value.parse().unwrap());
            if let Some(tries) = tries {
                headers.insert(RETRY_COUNT, tries.parse().unwrap());
            }
            named(&headers).map(str::to_owned).unwrap()
        };
        let three = "error-429, error-500,text";
        for (tries, wanted) in [
            (None, "error-429"),
            (Some("0"), "error-429"),
            (Some("1"), "error-500"),
            (Some("2"), "text"),
            (Some("7"), "text"),
            (Some("nonsense"), "error-429"),
        ] {
            assert_eq!(chosen(three, tries), wanted);
            assert_eq!(chosen("crlf", tries), "crlf");
        }
        assert_eq!(named(&HeaderMap::new()), None);
    }
}
