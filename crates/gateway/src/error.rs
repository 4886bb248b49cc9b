//! Answers that the gateway makes itself, in the shape of the provider's own errors.
//!
//! Not here: errors that a provider gives, which are relayed as they are, and the shapes (crate `wire`).

use axum::body::Body;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::provider::WireFamily;
use std::borrow::Cow;

/// Tells clients whether sending the same again may help.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Names the reason, as `docs/errors.md` lists it; provider errors, which are relayed, don't have it.
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-lychgate-reason");

/// What a client is told whose request ran into a fault of the gateway itself.
pub(crate) const INTERNAL: &str = "the gateway failed inside";

/// Why a request is refused. The message says what went wrong and what to do, and holds no secret.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// For the metrics.
    pub(crate) reason: Refused,
    pub(crate) message: Cow<'static, str>,
    extra: Extra,
}

#[derive(Debug)]
enum Extra {
    None,
    RetryAfter(u32),
    Allow(&'static str),
    Upgrade,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: Refused, message: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(reason.statuses().contains(&status.as_u16()), "{reason} with {status}");
        Self {
            status,
            reason,
            message: message.into(),
            extra: Extra::None,
        }
    }

    pub(crate) fn unauthorized(reason: Refused, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, reason, message)
    }

    /// 500: a fault of the gateway itself.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Refused::Internal, INTERNAL)
    }

    /// 503 with `Retry-After`.
    pub(crate) fn unavailable(
        reason: Refused,
        message: impl Into<Cow<'static, str>>,
        retry_after_seconds: u32,
    ) -> Self {
        Self {
            extra: Extra::RetryAfter(retry_after_seconds),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, message)
        }
    }

    /// 429 with `Retry-After`.
    pub(crate) fn too_many(reason: Refused, message: impl Into<Cow<'static, str>>, retry_after_seconds: u32) -> Self {
        Self {
            extra: Extra::RetryAfter(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, reason, message)
        }
    }

    /// 405; `allow` lists the allowed methods.
    pub(crate) fn method(allow: &'static str) -> Self {
        let message = format!("this path takes {allow} only");
        Self {
            extra: Extra::Allow(allow),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, Refused::UnknownPath, message)
        }
    }

    /// 426, upon which clients fall back to plain HTTP.
    pub(crate) fn websocket() -> Self {
        let message = "no WebSocket is relayed here; use HTTP requests with server-sent events";
        Self {
            extra: Extra::Upgrade,
            ..Self::new(StatusCode::UPGRADE_REQUIRED, Refused::WebSocket, message)
        }
    }

    /// The same as an event of the Responses API, for a message in this lane.
    pub(crate) fn into_event(self, lane: Option<&str>) -> String {
        let (status, message) = (self.status.as_u16(), self.message.clone());
        let answer = self.into_response(WireFamily::OpenAi);
        let headers = answer.headers().iter();
        let told = headers.filter(|(name, _)| ![CONTENT_TYPE, CONNECTION, UPGRADE].contains(*name));
        let told = told.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        lychgate_wire::socket::error_event(status, &message, lane, told)
    }

    /// The answer, as an error of this wire family.
    pub(crate) fn into_response(self, family: WireFamily) -> Response<Body> {
        let retry_after_seconds = match self.extra {
            Extra::RetryAfter(seconds) => Some(seconds),
            _ => None,
        };
        let body = lychgate_wire::error::body(family, self.status.as_u16(), &self.message, retry_after_seconds);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(name) = lychgate_wire::error::type_header(family) {
            let error_type = lychgate_wire::error::error_type(family, self.status.as_u16());
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(error_type));
        }
        if matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            // Some clients try a refused credential for minutes otherwise.
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        headers.insert(REASON, HeaderValue::from_static(self.reason.as_str()));
        match self.extra {
            Extra::None => {}
            Extra::RetryAfter(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Extra::Allow(methods) => {
                headers.insert(ALLOW, HeaderValue::from_static(methods));
            }
            Extra::Upgrade => {
                headers.insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
        }
        response
    }
}
