//! Which headers go on, in each direction.
//!
//! Not here: which credential is put in (`auth`, `provider`).

use crate::auth::credentials::X_API_KEY;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};
use lychgate_types::InterceptionId;

pub(crate) const INTERCEPTION_ID: HeaderName = HeaderName::from_static("x-lychgate-interception-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Turns a client's headers into those for the provider: its own, less what belongs to the hop, to the gateway or to nobody
/// else, with `credential` put in.
///
/// `readable` asks the provider for an uncompressed answer, since the tee has to read it; where nothing is read the client's
/// own `accept-encoding` stands.
#[cfg(any(test, fuzzing))]
pub(crate) fn to_provider(headers: &mut HeaderMap, credential: &crate::auth::credentials::Outgoing, readable: bool) {
    strip(headers, readable);
    headers.insert(credential.name.clone(), credential.value.clone());
}

/// The same without a credential.
pub(crate) fn strip(headers: &mut HeaderMap, readable: bool) {
    strip_hop(headers);
    // One pass: header maps are searched by hash, so asking for each name in turn would cost more.
    let unwanted: Vec<HeaderName> = headers.keys().filter(|name| stays_here(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
    if readable {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

/// Turns a provider's headers into those for the client. The length goes on only where the body is the provider's own.
pub(crate) fn to_client(headers: &mut HeaderMap, keeps_length: bool) {
    strip_hop(headers);
    if !keeps_length {
        headers.remove(CONTENT_LENGTH);
    }
}

/// The id as a header value.
pub(crate) fn id_value(id: InterceptionId) -> HeaderValue {
    let mut text = [0; 36];
    let text = id.as_uuid().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn stays_here(name: &HeaderName) -> bool {
    const ALWAYS: [HeaderName; 8] = [
        HOST,
        CONTENT_LENGTH,
        COOKIE,
        AUTHORIZATION,
        X_API_KEY,
        FORWARDED,
        EXPECT,
        PROXY_AUTHORIZATION,
    ];
    ALWAYS.contains(name) || name.as_str().starts_with("x-forwarded-") || name.as_str().starts_with("x-lychgate-")
}

/// Takes out what is between two neighbours only: the fixed list, and whatever `Connection` names.
fn strip_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|b| *b == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [
        TRANSFER_ENCODING,
        KEEP_ALIVE,
        TE,
        TRAILER,
        UPGRADE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::credentials::Outgoing;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<String> {
        let mut names: Vec<String> = map
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn to_the_provider_go_the_clients_own() {
        let mut headers = map(&[
            ("host", "gw"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("content-length", "3"),
            ("cookie", "session=1"),
            ("expect", "100-continue"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-lychgate-token", "t"),
            ("x-lychgate-anything", "t"),
            ("authorization", "Bearer user"),
            ("x-api-key", "user"),
            ("accept-encoding", "gzip"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("user-agent", "x/1"),
            ("content-type", "application/json"),
        ]);
        let central = Outgoing {
            name: X_API_KEY,
            value: HeaderValue::from_static("central"),
            hint: String::new(),
        };
        let mut passed = headers.clone();
        to_provider(&mut headers, &central, true);
        let mut wanted = vec![
            "accept-encoding: identity",
            "anthropic-beta: a",
            "anthropic-beta: b",
            "content-type: application/json",
            "user-agent: x/1",
            "x-api-key: central",
        ];
        assert_eq!(names(&headers), wanted);
        to_provider(&mut passed, &central, false);
        wanted[0] = "accept-encoding: gzip";
        assert_eq!(names(&passed), wanted);
    }

    #[test]
    fn a_client_cant_have_the_credential_stripped() {
        let mut headers = map(&[("connection", "x-api-key, accept-encoding")]);
        let central = Outgoing {
            name: X_API_KEY,
            value: HeaderValue::from_static("central"),
            hint: String::new(),
        };
        to_provider(&mut headers, &central, true);
        assert_eq!(names(&headers), ["accept-encoding: identity", "x-api-key: central"]);
    }

    #[test]
    fn to_the_client_goes_all_but_the_hop() {
        let mut headers = map(&[
            ("connection", "close, x-internal"),
            ("x-internal", "1"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "timeout=5"),
            ("content-length", "12"),
            ("request-id", "req_1"),
            ("retry-after", "3"),
            ("anthropic-ratelimit-tokens-remaining", "9"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ]);
        to_client(&mut headers, true);
        let mut wanted = vec![
            "anthropic-ratelimit-tokens-remaining: 9",
            "content-length: 12",
            "request-id: req_1",
            "retry-after: 3",
            "set-cookie: a=1",
            "set-cookie: b=2",
        ];
        assert_eq!(names(&headers), wanted);
        to_client(&mut headers, false);
        wanted.remove(1);
        assert_eq!(names(&headers), wanted);
    }
}
