//! From a request to a script: which API, which scenario, what is said.

use crate::ask::{Ask, Endpoint};
use crate::body::ScriptBody;
use crate::error::{self, Family};
use crate::families::anthropic::messages as anthropic;
use crate::perform::{chosen, perform};
use crate::provider::Shared;
use crate::scenario::Scenario;
use crate::script::Script;
use crate::seed::Seed;
use crate::seen::SeenRequest;
use crate::socket::Breaker;
use crate::{bench, models, told};
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
    request: Request<Incoming>,
    shared: Arc<Shared>,
    breaker: Breaker,
) -> Result<Response<ScriptBody>, Infallible> {
    let (parts, body) = request.into_parts();
    if let Some(response) = bench::fast(&parts, breaker.clone()) {
        // The connection can be used again only when the request has been read.
        let _ = Limited::new(body, BODY_LIMIT).collect().await;
        return Ok(response);
    }
    let script = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => script(&parts, &body.to_bytes(), &shared),
        Err(_) => Endpoint::ALL
            .iter()
            .find(|e| e.path() == parts.uri.path())
            .map_or(Family::OpenAi, |e| e.family())
            .error(413, "Request exceeds the maximum size"),
    };
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    Ok(response(script, breaker))
}

fn response(script: Script, breaker: Breaker) -> Response<ScriptBody> {
    let mut response = Response::new(ScriptBody::steps(script.steps, breaker));
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
fn script(parts: &Parts, body: &Bytes, shared: &Shared) -> Script {
    let path = parts.uri.path();
    if let Some(rest) = path.strip_prefix("/__scripted") {
        return told::told(parts, rest, body, shared);
    }
    let path = path.to_owned();
    let seen = SeenRequest {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers.clone(),
        body: body.clone(),
    };
    shared.see(seen);
    let endpoint = Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path);
    let headers = &parts.headers;
    let family = match endpoint {
        Some(endpoint) => endpoint.family(),
        None if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") => Family::Anthropic,
        None => Family::OpenAi,
    };
    let script = match endpoint {
        Some(endpoint) if parts.method == Method::POST => endpoint_script(endpoint, headers, body, shared),
        Some(_) => family.error(405, "Method Not Allowed"),
        None => elsewhere(family, parts, &path, body),
    };
    with_headers(script, family, body)
}

fn endpoint_script(endpoint: Endpoint, headers: &HeaderMap, body: &[u8], shared: &Shared) -> Script {
    if let Err(refusal) = error::credential(endpoint.family(), headers) {
        return refusal;
    }
    let Ok(body @ serde_json::Value::Object(_)) = serde_json::from_slice(body) else {
        return error::not_json(endpoint.family());
    };
    let ask = Ask::read(endpoint, body);
    let named = named(headers);
    if let Some(script) = named
        .and_then(|name| shared.script(name))
        .or_else(|| shared.script(&ask.model))
    {
        return script;
    }
    if let Err(refusal) = error::body(&ask, headers) {
        return refusal;
    }
    match named {
        Some(name) => match Scenario::named(name) {
            Some(scenario) => perform(&ask, scenario),
            None => endpoint
                .family()
                .error(400, &format!("no scenario is called {name}; see /__scripted")),
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

/// What lies beside the four APIs.
fn elsewhere(family: Family, parts: &Parts, path: &str, body: &[u8]) -> Script {
    if let Err(refusal) = error::credential(family, &parts.headers) {
        return refusal;
    }
    let found = match (family, &parts.method, path) {
        (Family::Anthropic, &Method::GET, "/v1/models") => Some(models::anthropic_list()),
        (Family::OpenAi, &Method::GET, "/v1/models") => Some(models::openai_list()),
        (Family::Anthropic, &Method::POST, "/v1/messages/count_tokens") => match serde_json::from_slice(body) {
            Ok(body) => Some(anthropic::token_count(&Ask::read(Endpoint::Messages, body))),
            Err(_) => return error::not_json(family),
        },
        (Family::Anthropic, &Method::POST, path) if path.starts_with("/api/event_logging/") => Some("{}".to_owned()),
        (_, &Method::GET, path) => path.strip_prefix("/v1/models/").and_then(|id| match family {
            Family::Anthropic => models::anthropic_one(id),
            Family::OpenAi => models::openai_one(id),
        }),
        _ => None,
    };
    match found {
        Some(text) => Script::json(200, text),
        None => family.error(404, &format!("Not Found: {path}")),
    }
}

/// The headers that the providers send with every answer.
fn with_headers(script: Script, family: Family, body: &[u8]) -> Script {
    let mut seed = Seed::new(&["request", &String::from_utf8_lossy(body)]);
    match family {
        Family::Anthropic => script
            .header("request-id", seed.id("req_011C", 20))
            .header("anthropic-organization-id", "00000000-0000-4000-8000-000000000000")
            .header("anthropic-ratelimit-requests-limit", "4000")
            .header("anthropic-ratelimit-requests-remaining", "3999")
            .header("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z")
            .header("anthropic-ratelimit-tokens-limit", "2400000")
            .header("anthropic-ratelimit-tokens-remaining", "2399000"),
        Family::OpenAi => script
            .header("x-request-id", seed.hex("req_", 32))
            .header("openai-organization", "scripted")
            .header("openai-processing-ms", "7")
            .header("openai-version", "2020-10-01")
            .header("x-ratelimit-limit-requests", "10000")
            .header("x-ratelimit-remaining-requests", "9999")
            .header("x-ratelimit-reset-requests", "6ms"),
    }
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
