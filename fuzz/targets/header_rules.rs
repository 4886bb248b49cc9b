//! A request's head: first line `METHOD /path?query`, then one header a line. What goes upstream of it, whose token it came
//! with, which client sent it (the first line stands for the body's `user_id` too), and what goes to the client when the same
//! headers come from a provider.
//!
//! `$U`, `$V`, `$G`, `$P` in the input stand for credentials (`lychgate_fuzz::tokens`).
#![no_main]

use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use lychgate_fuzz::paths::{decoded, normal};
use lychgate_fuzz::providers::{CREDENTIALS, Expected, OTHER_TOKEN, SIGNATURE, expected};
use lychgate_fuzz::tokens::{PROVIDER_KEY, TOKENS};
use lychgate_fuzz::{clients, keys};
use lychgate_gateway::harness::fuzzing::{Forwarded, Provider, Refused, to_client, to_client_changed};
use lychgate_link::{ProviderConfig, ProviderKeyConfig};
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{GatewayKeyKind, ProviderSecret, UserTokenKind};
use lychgate_types::{Name, ProviderId, ProviderKeyId};
use std::sync::LazyLock;

const CENTRAL: &str = "sk-central-0123456789abcdef";
/// What is between two neighbours only, in either direction.
const HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What is the gateway's or the client's own business.
const OURS: &[&str] = &[
    "host",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "proxy-authorization",
    "http2-settings",
    "via",
    "max-forwards",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "x-azure-clientip",
    "x-forwarded",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-original-path",
    "x-rewrite-url",
    "x-rewrite-uri",
    "x-override-url",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];
/// Who pays: the client's choice only with a key of its own.
const PAYER: &[&str] = &["openai-organization", "openai-project"];
/// What a provider says of its own origin, in an answer.
const ORIGIN: &[&str] = &[
    "alt-svc",
    "strict-transport-security",
    "public-key-pins",
    "public-key-pins-report-only",
    "expect-ct",
    "clear-site-data",
    "nel",
    "report-to",
    "reporting-endpoints",
    "refresh",
    "service-worker-allowed",
];
static PROVIDERS: LazyLock<Vec<(ProviderType, Provider)>> = LazyLock::new(|| {
    let provider = |provider_type: &ProviderType| {
        let key = ProviderKeyConfig {
            id: ProviderKeyId::from_uuid(Default::default()),
            secret: ProviderSecret::new(CENTRAL.to_owned()),
        };
        let config = ProviderConfig {
            id: ProviderId::from_uuid(Default::default()),
            name: Name::parse("p").expect("a name"),
            provider_type: *provider_type,
            base_url: "https://provider.example/base".to_owned(),
            enabled: true,
            allow_private: false,
            settings: Default::default(),
            policy: Default::default(),
            keys: vec![key],
        };
        (*provider_type, Provider::new(config))
    };
    ProviderType::ALL.iter().map(provider).collect()
});

fuzz_target!(|input: &[u8]| {
    let input = TOKENS.put_in(input);
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let headers = headers(lines);
    answer(&headers, &to_client(headers.clone()), &[]);
    answer(&headers, &to_client_changed(headers.clone()), &[CONTENT_LENGTH]);
    client(&headers, &String::from_utf8_lossy(first));
    let Some((method, uri)) = request_line(first) else {
        return;
    };
    for (provider_type, provider) in PROVIDERS.iter() {
        let expected = expected(*provider_type);
        let token = token(&expected, &headers);
        match provider.forward(&method, &uri, headers.clone()) {
            Ok(forwarded) => {
                target(&expected, &uri, &forwarded);
                upstream(&expected, &headers, &forwarded);
                assert_eq!(
                    Some(*forwarded.token.as_bytes()),
                    token.map(keys::hash),
                    "nobody's token"
                );
            }
            Err(refused) => {
                refusal(&refused);
                let own_is_missing = headers.contains_key("x-lychgate-token");
                let in_url = refused.message.contains("in this request's URL");
                assert!(
                    refused.status != 401 || token.is_none() || own_is_missing || in_url,
                    "a good token was refused: {}",
                    refused.message
                );
            }
        }
    }
});

fn request_line(line: &[u8]) -> Option<(Method, Uri)> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let method = Method::from_bytes(&line[..space]).ok()?;
    Some((method, Uri::try_from(&line[space + 1..]).ok()?))
}

fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    let mut map = HeaderMap::new();
    for (name, value) in lines.filter_map(header) {
        map.append(name, value);
    }
    map
}

/// The names that `Connection` holds.
fn named(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION);
    let names = values
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .collect()
}

fn all<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a HeaderValue> {
    headers.get_all(name).iter().collect()
}

/// Every header but those of `made` has gone on as it came, or is one that does not.
fn only_unwanted_are_gone(from: &HeaderMap, to: &HeaderMap, made: &[HeaderName], stays: impl Fn(&str) -> bool) {
    let named = named(from);
    for name in from.keys().chain(to.keys()).filter(|name| !made.contains(name)) {
        let unwanted =
            HOP.contains(&name.as_str()) || named.iter().any(|named| named == name.as_str()) || stays(name.as_str());
        let wanted = if unwanted { Vec::new() } else { all(from, name) };
        assert_eq!(all(to, name), wanted, "{name}");
    }
}

fn answer(from: &HeaderMap, to: &HeaderMap, gone: &[HeaderName]) {
    // Whether a reference stays is for the crate's own tests; it goes on unchanged or not at all.
    let references = [LOCATION, CONTENT_LOCATION];
    for name in &references {
        let all = all(to, name);
        assert!(all.is_empty() || all == self::all(from, name));
    }
    only_unwanted_are_gone(from, to, &references, |name| {
        gone.iter().any(|gone| gone == name)
            || ORIGIN.contains(&name)
            || name.starts_with("access-control-")
            || name.starts_with("x-lychgate-")
    });
}

fn upstream(expected: &Expected, from: &HeaderMap, forwarded: &Forwarded) {
    let to = &forwarded.headers;
    let credentials = CREDENTIALS.iter().map(|name| HeaderName::from_static(name));
    let mut made: Vec<HeaderName> = credentials.clone().collect();
    if forwarded.api.is_some() {
        assert_eq!(all(to, &ACCEPT_ENCODING), ["identity"]);
        made.push(ACCEPT_ENCODING);
    }
    only_unwanted_are_gone(from, to, &made, |name| {
        let sent = name;
        let plain = name.replace('_', "-");
        let name = plain.as_str();
        let has_secret = |value: &HeaderValue| TOKENS.ours().iter().any(|token| holds(value, token));
        OURS.contains(&name)
            || CREDENTIALS.contains(&name)
            || SIGNATURE.contains(&name)
            || (!forwarded.own && PAYER.contains(&name))
            || ["x-forwarded-", "x-envoy-", "x-lychgate-"]
                .iter()
                .any(|beginning| name.starts_with(beginning))
            || from
                .iter()
                .any(|(name, value)| name.as_str() == sent && has_secret(value))
    });
    for (name, value) in to {
        assert!(
            !TOKENS.ours().iter().any(|token| holds(value, token)),
            "a secret goes upstream in {name}"
        );
    }

    // Exactly one credential, the central one or the user's own, and none of Lychgate's.
    let sent: Vec<_> = credentials
        .flat_map(|name| to.get_all(&name).iter().map(move |value| (name.clone(), value)))
        .collect();
    let [(name, value)] = &sent[..] else {
        panic!("{} credentials go upstream", sent.len())
    };
    assert!(value.is_sensitive());
    if forwarded.own {
        assert!(from.contains_key("x-lychgate-token"));
        assert!(
            all(from, name).contains(value),
            "a credential that the client did not send"
        );
        assert!(
            expected.own_key.contains(&name.as_str()),
            "a stray {name} goes upstream"
        );
        assert!(
            !is_ours(value.as_bytes()),
            "a Lychgate token goes upstream as a credential"
        );
    } else {
        let (wanted, scheme) = expected.central_key;
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            (wanted, format!("{scheme}{CENTRAL}").as_bytes())
        );
    }
}

/// The user token that counts, where it is one.
fn token<'a>(expected: &Expected, headers: &'a HeaderMap) -> Option<&'a str> {
    let sent = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let bearer = sent("authorization").filter(|value| {
        let value = value.to_ascii_lowercase();
        value.starts_with(b"bearer ") || value.starts_with(b"bearer\t")
    });
    let usual = expected.token.iter().chain(OTHER_TOKEN).filter_map(|name| match *name {
        "authorization" => bearer.map(|value| value[7..].trim_ascii()),
        name => sent(name),
    });
    let sent: Vec<&[u8]> = match sent("x-lychgate-token") {
        Some(token) => vec![token],
        None => usual.collect(),
    };
    for text in sent.iter().filter_map(|text| std::str::from_utf8(text).ok()) {
        let kinds = [keys::check::<UserTokenKind>(text), keys::check::<GatewayKeyKind>(text)];
        assert_ne!(kinds, [true; 2], "one kind passes for the other");
    }
    // A stray provider key does not hide a token, whatever the order.
    let counts = sent.iter().find(|text| text.starts_with(b"lgu_")).or(sent.first())?;
    std::str::from_utf8(counts)
        .ok()
        .filter(|text| keys::is_one::<UserTokenKind>(text))
}

fn holds(value: &HeaderValue, token: &str) -> bool {
    let value = value.as_bytes();
    value.windows(token.len()).any(|part| part == token.as_bytes())
}

/// Whether a credential is one of Lychgate's, alone or as a bearer token.
fn is_ours(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).into_owned();
    let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let text = text[scheme.map_or(0, str::len)..].trim();
    TOKENS.ours().iter().any(|token| text.starts_with(token))
}

/// The request goes to the provider's host, below its base path, to what is on the list, however often a server decodes it.
fn target(expected: &Expected, uri: &Uri, forwarded: &Forwarded) {
    let url = &forwarded.url;
    assert_eq!(
        (url.scheme_str(), url.authority().map(|host| host.as_str())),
        (Some("https"), Some("provider.example"))
    );
    assert_eq!(url.query(), uri.query());
    let mut path = url.path().as_bytes().to_vec();
    for _ in 0..3 {
        let plain = normal(&path);
        let tail = plain
            .strip_prefix("/base")
            .unwrap_or_else(|| panic!("{plain} leaves the base URL"));
        assert!(
            expected
                .paths
                .iter()
                .any(|(root, entries)| below(root, tail).any(|rest| entries.iter().any(|entry| is_on(entry, rest)))),
            "{plain} is not on the list"
        );
        path = decoded(&path);
    }
}

/// What may stand behind a root. The name of a model that is its last segment may have come to be several.
fn below<'p>(root: &str, path: &'p str) -> Box<dyn Iterator<Item = &'p str> + 'p> {
    let Some(before) = root.strip_suffix('*') else {
        return Box::new(path.strip_prefix(root).into_iter());
    };
    let name = path.strip_prefix(before).unwrap_or_default();
    let ends = name.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    Box::new(ends.map(move |at| &name[at..]))
}

/// Whether a path fits an entry of the list. The name of a model may have come to be several segments.
fn is_on(entry: &str, path: &str) -> bool {
    if let Some(rest) = entry.strip_prefix("/VERSION") {
        let versions = ["/v1beta", "/v1", "/v1alpha"];
        return versions.iter().any(|version| path.strip_prefix(version).is_some_and(|path| is_on(rest, path)));
    }
    if let Some((collection, verb)) = entry.split_once("/*:") {
        let name = path.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
        let name = name.and_then(|name| name.strip_suffix(verb)?.strip_suffix(':'));
        return name.is_some_and(|name| name.split('/').all(|segment| !segment.is_empty()));
    }
    if let Some(models) = entry.strip_suffix("/models/*") {
        let name = path.strip_prefix(models).and_then(|rest| rest.strip_prefix("/models/"));
        return name.is_some_and(|name| name.split('/').all(|segment| !segment.is_empty()));
    }
    if let Some((before, after)) = entry.split_once("**") {
        let name = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        return name.is_some_and(|name| name.split('/').all(|segment| !segment.is_empty()));
    }
    let (mut wanted, mut found) = (entry.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

/// As the gateway calls it, and with header values that it would pass over: the table holds for any text.
fn client(headers: &HeaderMap, user_id: &str) {
    clients::check(|name| headers.get(name)?.to_str().ok(), user_id);
    clients::check(|name| std::str::from_utf8(headers.get(name)?.as_bytes()).ok(), user_id);
}

fn refusal(refused: &Refused) {
    assert!(
        (400..500).contains(&refused.status),
        "{} for {}",
        refused.status,
        refused.message
    );
    let secrets = TOKENS.ours().into_iter().chain([PROVIDER_KEY, CENTRAL]);
    assert!(
        !secrets.into_iter().any(|secret| refused.message.contains(secret)),
        "{}",
        refused.message
    );
}
