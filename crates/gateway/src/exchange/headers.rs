//! Which headers go on, in each direction.
//!
//! Not here: which credential goes upstream (`auth`, `routing::provider`).

mod lists;
mod packed;

pub(crate) use packed::PackedHeaders;

use crate::auth::credentials::{Outgoing, holds_own_secret};
use crate::routing::provider::Provider;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HeaderMap, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};
use lists::{names_payer, stays_behind, stays_here};
use lychgate_types::InterceptionId;
use lychgate_types::interception::CredentialKind;

/// Tells the client the id of its request's record.
pub(crate) const INTERCEPTION_ID: HeaderName = HeaderName::from_static("x-lychgate-interception-id");
/// By this a provider tells Codex that its list of models has changed.
const MODELS_ETAG: HeaderName = HeaderName::from_static("x-models-etag");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What is left of a client's headers once everything is taken out that does not go upstream: what belongs to the hop or to the
/// gateway, every header that any provider takes a credential in, and, whatever its name, every header with one of
/// Lychgate's own secrets in it. There is no other way to a request for a provider than by [`Self::with_credential`].
#[derive(Debug, Default)]
pub(crate) struct StrippedHeaders(HeaderMap);

impl StrippedHeaders {
    /// For a request whose answer is read on its way: the provider is asked not to compress it.
    pub(crate) fn of_recorded(headers: HeaderMap, credential: CredentialKind) -> Self {
        let mut stripped = Self::of_unrecorded(headers, credential);
        stripped.0.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        stripped
    }

    /// For a request that only passes through: the client's own `accept-encoding` stays.
    pub(crate) fn of_unrecorded(mut headers: HeaderMap, credential: CredentialKind) -> Self {
        strip_hop(&mut headers);
        let payer_stays = credential == CredentialKind::Centralized;
        remove(&mut headers, |name, value| {
            stays_here(name) || (payer_stays && names_payer(name)) || holds_own_secret(value.as_bytes())
        });
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

/// Turns the headers of this provider's answer into those for the client. `is_central` is whether it was asked with a central key.
pub(crate) fn answer_to_client(headers: &mut HeaderMap, body: AnswerBody, provider: &Provider, is_central: bool) {
    to_client(headers, body);
    // The list that the client has is not that one.
    if is_central && provider.keeps_model_lists() {
        headers.remove(MODELS_ETAG);
    }
}

/// The same for what is no answer of a provider with lists of models.
pub(crate) fn to_client(headers: &mut HeaderMap, body: AnswerBody) {
    strip_hop(headers);
    remove(headers, stays_behind);
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

/// Removes headers in one pass: header maps are searched by hash, so asking for each name in turn would cost more.
fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName, &HeaderValue) -> bool) {
    let found = headers.iter().filter(|(name, value)| unwanted(name, value));
    let names: Vec<HeaderName> = found.map(|(name, _)| name.clone()).collect();
    for name in names {
        headers.remove(name);
    }
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
    use lychgate_types::Ambient;
    use lychgate_types::provider::ProviderType;
    use lychgate_types::secret::{GatewayKeySecret, ProviderSecret, UserTokenSecret};
    use lychgate_wire::provider::credential_headers;

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
            let sent = StrippedHeaders::of_unrecorded(headers, CredentialKind::Centralized).with_credential(&outgoing);
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
            ("x_lychgate_token", "t"),
            ("x-original-url", "/v1/files"),
            ("x-rewrite-url", "/v1/files"),
            ("x-http-method-override", "DELETE"),
            ("http2-settings", "AAMAAABk"),
            ("x-real-ip", "1.2.3.4"),
            ("via", "1.1 proxy"),
            ("openai-organization", "org-of-the-client"),
            ("openai-project", "proj-of-the-client"),
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
        let passed =
            StrippedHeaders::of_unrecorded(headers.clone(), CredentialKind::Centralized).with_credential(&central());
        let recorded = StrippedHeaders::of_recorded(headers, CredentialKind::Centralized).with_credential(&central());
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
    fn a_secret_of_ours_never_goes_upstream_whatever_the_name() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let key = GatewayKeySecret::generate(&Ambient::system());
        for secret in [token.expose(), key.expose()] {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("api-token", secret.to_owned()),
                ("x-custom", format!("a, {secret}")),
                ("user-agent", format!("x/1 ({secret})")),
                ("anthropic-beta", "first".to_owned()),
                ("anthropic-beta", secret.to_owned()),
                ("x-kept", format!("{}!", &secret[..45])),
            ] {
                headers.append(name, value.parse().unwrap());
            }
            let sent = StrippedHeaders::of_unrecorded(headers, CredentialKind::Byok).with_credential(&central());
            assert_eq!(
                names(&sent),
                ["x-api-key: central".to_owned(), format!("x-kept: {}!", &secret[..45])]
            );
        }
    }

    #[test]
    fn who_pays_is_the_clients_choice_only_with_its_own_key() {
        let headers = map(&[
            ("openai-organization", "org-a"),
            ("openai-project", "proj-a"),
            ("openai-beta", "b"),
        ]);
        let sent = |kind| names(&StrippedHeaders::of_unrecorded(headers.clone(), kind).with_credential(&central()));
        assert_eq!(
            sent(CredentialKind::Centralized),
            ["openai-beta: b", "x-api-key: central"]
        );
        assert_eq!(sent(CredentialKind::Byok).len(), 4);
    }

    #[test]
    fn a_client_cant_have_the_credential_stripped() {
        let headers = map(&[("connection", "x-api-key, accept-encoding")]);
        let headers = StrippedHeaders::of_recorded(headers, CredentialKind::Centralized).with_credential(&central());
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
            ("alt-svc", "h3=\":443\""),
            ("strict-transport-security", "max-age=1"),
            ("access-control-allow-origin", "*"),
            ("x-lychgate-interception-id", "theirs"),
            ("location", "https://provider.example/v1/x"),
            ("content-location", "/v1/x"),
        ]);
        to_client(&mut headers, AnswerBody::Unchanged);
        let mut wanted = vec![
            "anthropic-ratelimit-tokens-remaining: 9",
            "content-length: 12",
            "content-location: /v1/x",
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
