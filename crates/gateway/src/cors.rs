//! Leave for pages of other origins to call the data plane from a browser; off unless an operator names the origins.
//!
//! Credentials that the browser adds by itself (cookies, passwords) are never allowed: a page has to know a token. What a provider says of
//! origins is hidden (`exchange::headers`).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN, VARY,
};
use http::uri::Uri;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use std::str::FromStr;

const ANY: HeaderValue = HeaderValue::from_static("*");
/// For so many seconds a browser need not ask again: two hours are the most that any of them takes.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// An origin whose pages may call, or (`*`) those of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

/// Text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an origin as browsers send it, for example https://app.example.com or http://localhost:3000, or * for any"
)]
pub struct CorsOriginError;

impl FromStr for CorsOrigin {
    type Err = CorsOriginError;

    fn from_str(text: &str) -> Result<Self, CorsOriginError> {
        let value = HeaderValue::from_str(text).map_err(|_| CorsOriginError)?;
        if value == ANY {
            return Ok(Self(value));
        }
        let uri: Uri = text.parse().map_err(|_| CorsOriginError)?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let (Some(scheme), Some(authority)) = (scheme, authority) else {
            return Err(CorsOriginError);
        };
        // Nothing but the two, in the spelling of browsers.
        let is_spelled = text == format!("{scheme}://{authority}") && text == text.to_ascii_lowercase();
        if is_spelled && !authority.contains('@') {
            Ok(Self(value))
        } else {
            Err(CorsOriginError)
        }
    }
}

/// A request of a page that may call.
#[derive(Debug)]
pub(crate) struct Allowed {
    origin: HeaderValue,
    /// What it asks beforehand: the headers that it means to send.
    preflight: Option<Option<HeaderValue>>,
}

impl Allowed {
    /// `None`: it comes from no page, or from one that has no leave.
    pub(crate) fn of<B>(request: &Request<B>, origins: &[CorsOrigin]) -> Option<Box<Self>> {
        if origins.is_empty() {
            return None;
        }
        let headers = request.headers();
        let origin = headers.get(ORIGIN)?;
        let found = origins.iter().find(|CorsOrigin(one)| *one == ANY || one == origin)?;
        let asks = *request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        Some(Box::new(Self {
            origin: found.0.clone(),
            preflight: asks.then(|| headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned()),
        }))
    }

    /// Tells the browser.
    pub(crate) fn tell<B>(self, answer: &mut Response<B>) {
        let is_good = answer.status() == StatusCode::NO_CONTENT;
        let headers = answer.headers_mut();
        headers.append(VARY, HeaderValue::from_static("origin"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
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
            "http://[::1]:80",
        ] {
            assert_eq!(
                good.parse::<CorsOrigin>().map(|it| it.0),
                Ok(HeaderValue::from_static(good))
            );
        }
        for bad in [
            "",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://a@b",
            "ftp://a",
            "https://*.example.com/x",
            "https://a b",
        ] {
            assert_eq!(bad.parse::<CorsOrigin>(), Err(CorsOriginError), "{bad}");
        }
    }
}
