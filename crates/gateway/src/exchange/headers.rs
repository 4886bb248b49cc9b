//! Which headers go on, in each direction.
//!
//! Not here: which credential goes upstream (`auth`, `routing::provider`).

mod packed;

pub(crate) use packed::PackedHeaders;

use crate::auth::credentials::Outgoing;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};
use lychgate_types::InterceptionId;
use lychgate_wire::provider::credential_headers;
use std::sync::LazyLock;

/// Tells the client the id of its request's record.
pub(crate) const INTERCEPTION_ID: HeaderName = HeaderName::from_static("x-lychgate-interception-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What is left of a client's headers once everything is taken out that does not go upstream: what belongs to the hop or to the
/// gateway, and every header that any provider takes a credential in. There is no other way to a request for
/// a provider than by [`Self::with_credential`].
#[derive(Debug, Default)]
pub(crate) struct StrippedHeaders(HeaderMap);

impl StrippedHeaders {
    /// For a request whose answer is read on its way: the provider is asked not to compress it.
    pub(crate) fn of_recorded(headers: HeaderMap) -> Self {
        let mut stripped = Self::of_unrecorded(headers);
        stripped.0.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        stripped
    }

    /// For a request that only passes through: the client's own `accept-encoding` stays.
    pub(crate) fn of_unrecorded(mut headers: HeaderMap) -> Self {
        strip_hop(&mut headers);
        // One pass: header maps are searched by hash, so asking for each name in turn would cost more.
        let unwanted: Vec<HeaderName> = headers.keys().filter(|name| stays_here(name)).cloned().collect();
        for name in unwanted {
            headers.remove(name);
        }
        Self(headers)
    }

    /// The headers of a request to a provider.
    pub(crate) fn with_credential(mut self, credential: &Outgoing) -> HeaderMap {
        self.0.insert(credential.name.clone(), credential.value.clone());
        self.0
    }
}

/// Whether an answer's body goes to the client as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerBody {
    Unchanged,
    /// Something may be taken out, so that its length is not known.
    Changed,
}

/// Turns a provider's headers into those for the client.
pub(crate) fn to_client(headers: &mut HeaderMap, body: AnswerBody) {
    strip_hop(headers);
    match body {
        AnswerBody::Unchanged => {}
        AnswerBody::Changed => drop(headers.remove(CONTENT_LENGTH)),
    }
}

/// The id as a header value.
pub(crate) fn id_value(id: InterceptionId) -> HeaderValue {
    let mut text = [0; 36];
    let text = id.as_uuid().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// The headers that carry some provider's credential, each once.
static CREDENTIALS: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let mut names: Vec<_> = credential_headers().map(HeaderName::from_static).collect();
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    names
});

fn stays_here(name: &HeaderName) -> bool {
    const ALWAYS: [HeaderName; 6] = [HOST, CONTENT_LENGTH, COOKIE, FORWARDED, EXPECT, PROXY_AUTHORIZATION];
    let text = name.as_str();
    ALWAYS.contains(name)
        || CREDENTIALS.contains(name)
        || text.starts_with("x-forwarded-")
        || text.starts_with("x-lychgate-")
}

/// Takes out hop-by-hop headers: the fixed list, and whatever `Connection` names.
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
    use lychgate_types::provider::ProviderType;
    use lychgate_types::secret::ProviderSecret;

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

    fn central() -> Outgoing {
        Outgoing::central(ProviderType::Anthropic, &ProviderSecret::new("central".to_owned())).unwrap()
    }

    #[test]
    fn whatever_the_type_exactly_one_credential_goes_upstream() {
        let key = ProviderSecret::new("central".to_owned());
        for provider_type in ProviderType::ALL {
            let outgoing = Outgoing::central(*provider_type, &key).unwrap();
            let mut headers = HeaderMap::new();
            for name in credential_headers() {
                headers.append(name, HeaderValue::from_static("stray"));
            }
            let sent = StrippedHeaders::of_unrecorded(headers).with_credential(&outgoing);
            assert_eq!(
                names(&sent),
                [format!("{}: {}", outgoing.name, outgoing.value.to_str().unwrap())]
            );
        }
    }

    #[test]
    fn to_the_provider_go_the_clients_own() {
        let headers = map(&[
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
            ("api-key", "user"),
            ("x-goog-api-key", "user"),
            ("accept-encoding", "gzip"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("user-agent", "x/1"),
            ("content-type", "application/json"),
        ]);
        let passed = StrippedHeaders::of_unrecorded(headers.clone()).with_credential(&central());
        let recorded = StrippedHeaders::of_recorded(headers).with_credential(&central());
        let mut wanted = vec![
            "accept-encoding: identity",
            "anthropic-beta: a",
            "anthropic-beta: b",
            "content-type: application/json",
            "user-agent: x/1",
            "x-api-key: central",
        ];
        assert_eq!(names(&recorded), wanted);
        wanted[0] = "accept-encoding: gzip";
        assert_eq!(names(&passed), wanted);
    }

    #[test]
    fn a_client_cant_have_the_credential_stripped() {
        let headers = map(&[("connection", "x-api-key, accept-encoding")]);
        let headers = StrippedHeaders::of_recorded(headers).with_credential(&central());
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
        to_client(&mut headers, AnswerBody::Unchanged);
        let mut wanted = vec![
            "anthropic-ratelimit-tokens-remaining: 9",
            "content-length: 12",
            "request-id: req_1",
            "retry-after: 3",
            "set-cookie: a=1",
            "set-cookie: b=2",
        ];
        assert_eq!(names(&headers), wanted);
        to_client(&mut headers, AnswerBody::Changed);
        wanted.remove(1);
        assert_eq!(names(&headers), wanted);
    }
}
