//! Leave for pages of other origins to call the data plane from a browser; off unless an operator names the origins.
//!
//! Credentials that the browser adds by itself (cookies, passwords) are never allowed: a page has to know a token. What a provider says of
//! origins is hidden (`exchange::headers`).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use std::str::FromStr;
use url::Url;

const ANY: HeaderValue = HeaderValue::from_static("*");
/// For so many seconds a browser need not ask again: two hours are the most that any of them takes.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// An origin whose pages may call, or (`*`) those of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

/// Text that no browser sends as an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorsOriginError {
    /// It has not the form of one.
    #[error(
        "write an origin as browsers send it, for example https://app.example.com or http://localhost:3000, or * for any"
    )]
    Form,
    /// It is meant for several.
    #[error("there are no wildcards within an origin: name each one, or write * for any")]
    Wildcard,
    /// Browsers leave this port out.
    #[error("leave the port out: browsers do not send the one that the scheme has by default")]
    DefaultPort,
}

impl FromStr for CorsOrigin {
    type Err = CorsOriginError;

    fn from_str(text: &str) -> Result<Self, CorsOriginError> {
        let value = HeaderValue::from_str(text).map_err(|_| CorsOriginError::Form)?;
        if value == ANY {
            return Ok(Self(value));
        }
        if text.contains('*') {
            return Err(CorsOriginError::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| CorsOriginError::Form)?;
        let origin = url.origin().ascii_serialization();
        match url.scheme() {
            "http" | "https" if origin == text => Ok(Self(value)),
            "http" | "https" if text.strip_prefix(&origin).is_some_and(is_port) => Err(CorsOriginError::DefaultPort),
            _ => Err(CorsOriginError::Form),
        }
    }
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a browser is told with an answer.
#[derive(Debug)]
pub(crate) struct Leave {
    /// Whose pages may read it; `None` where the request comes from no page, or from one that may not.
    origin: Option<HeaderValue>,
    /// What it asks beforehand: the headers that it means to send.
    preflight: Option<Option<HeaderValue>>,
}

impl Leave {
    /// `None` where no origin has leave.
    pub(crate) fn of<B>(request: &Request<B>, origins: &[CorsOrigin]) -> Option<Box<Self>> {
        if origins.is_empty() {
            return None;
        }
        let headers = request.headers();
        let origin = headers.get(ORIGIN).and_then(|origin| {
            let found = origins.iter().find(|CorsOrigin(one)| *one == ANY);
            let found = found.or_else(|| origins.iter().find(|CorsOrigin(one)| one == origin))?;
            Some(found.0.clone())
        });
        let asks = *request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Some(Box::new(Self {
            preflight: (asks && origin.is_some()).then(|| headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned()),
            origin,
        }))
    }

    /// Tells the browser, and caches that another origin may be told otherwise.
    pub(crate) fn tell<B>(self, answer: &mut Response<B>) {
        let is_good = answer.status() == StatusCode::NO_CONTENT;
        let headers = answer.headers_mut();
        if self.origin.as_ref() != Some(&ANY) {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = self.origin else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        match self.preflight {
            None => {
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
            }
            Some(asked) if is_good => grant(headers, asked),
            Some(_) => {}
        }
    }
}

/// The methods are those of the path. Headers are not the gateway's to choose: clients send what they need.
fn grant(headers: &mut HeaderMap, asked: Option<HeaderValue>) {
    if let Some(methods) = headers.get(ALLOW).cloned() {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(asked) = asked {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_spelled_as_browsers_do() {
        for good in [
            "*",
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:81",
            "https://xn--bcher-kva.example",
        ] {
            assert_eq!(
                good.parse::<CorsOrigin>().map(|it| it.0),
                Ok(HeaderValue::from_static(good))
            );
        }
        use CorsOriginError::{DefaultPort, Form, Wildcard};
        for (bad, why) in [
            ("", Form),
            ("null", Form),
            ("app.example.com", Form),
            ("https://app.example.com/", Form),
            ("https://App.example.com", Form),
            ("https://b\u{fc}cher.example", Form),
            ("https://a@b", Form),
            ("ftp://a", Form),
            ("https://a b", Form),
            ("https://a:", Form),
            ("https://a:0443", DefaultPort),
            ("https://127.1", Form),
            ("http://[0::1]", Form),
            ("https://*.example.com", Wildcard),
            ("https://app.example.com:443", DefaultPort),
            ("http://a:80", DefaultPort),
            ("http://[::1]:80", DefaultPort),
        ] {
            assert_eq!(bad.parse::<CorsOrigin>(), Err(why), "{bad}");
        }
    }
}
