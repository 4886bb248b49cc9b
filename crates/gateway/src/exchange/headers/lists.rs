//! The headers that are not relayed, by name.
//!
//! Not here: those that belong to one hop (`headers`), and where providers take credentials (crate `wire`).

use http::{HeaderName, HeaderValue};
use lychgate_wire::provider::{credential_headers, payer_headers};
use std::sync::LazyLock;

/// The headers that carry some provider's credential, each once.
static CREDENTIALS: LazyLock<Vec<&'static str>> = LazyLock::new(|| each_once(credential_headers()));
/// The headers that tell some provider who pays, each once.
static PAYERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| each_once(payer_headers()));

fn each_once(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether a request's header does not go upstream. Many servers take `_` in a name for `-`, so it is none here either.
pub(super) fn stays_here(name: &HeaderName) -> bool {
    is_any(name, stays)
}

/// Whether a request's header names who pays, which a client may not choose for the platform's key.
pub(super) fn names_payer(name: &HeaderName) -> bool {
    is_any(name, |name| PAYERS.contains(&name))
}

fn is_any(name: &HeaderName, listed: impl Fn(&str) -> bool) -> bool {
    let name = name.as_str();
    match name.bytes().any(|byte| byte == b'_') {
        true => listed(&name.replace('_', "-")),
        false => listed(name),
    }
}

fn stays(name: &str) -> bool {
    match name {
        // The gateway's own business with the client.
        "host" | "content-length" | "cookie" | "expect" | "proxy-authorization" | "http2-settings" => true,
        // What a proxy says of the client and of the way here: the provider's own proxies would believe it.
        "forwarded" | "via" | "max-forwards" | "x-real-ip" | "x-client-ip" | "x-cluster-client-ip" => true,
        "true-client-ip" | "cf-connecting-ip" | "cf-connecting-ipv6" | "fastly-client-ip" | "x-azure-clientip" => true,
        // What some servers take for the request line or the host: the allow-list would count for nothing.
        "x-original-url" | "x-original-uri" | "x-original-host" | "x-original-method" | "x-original-path" => true,
        "x-rewrite-url" | "x-rewrite-uri" | "x-override-url" | "x-host" | "x-http-host-override" => true,
        // What would leave the usage out of an answer.
        "x-goog-fieldmask" => true,
        "x-http-method" | "x-http-method-override" | "x-method-override" => true,
        // A client's own signature (AWS SigV4) was made for this host, and with other credentials.
        "x-amz-date" | "x-amz-security-token" | "x-amz-content-sha256" => true,
        _ => {
            name.starts_with("x-forwarded-")
                || name == "x-forwarded"
                || name.starts_with("x-envoy-")
                || name.starts_with("x-lychgate-")
                || CREDENTIALS.contains(&name)
        }
    }
}

/// Whether an answer's header does not go to the client: what a provider says of its own origin would be believed of the
/// gateway's, and which pages may read an answer is not its to say.
pub(super) fn stays_behind(name: &HeaderName, value: &HeaderValue) -> bool {
    match name.as_str() {
        "alt-svc" | "strict-transport-security" | "public-key-pins" | "public-key-pins-report-only" | "expect-ct" => {
            true
        }
        "clear-site-data" | "nel" | "report-to" | "reporting-endpoints" | "refresh" | "service-worker-allowed" => true,
        // It would lead the client past the gateway, with its user token.
        "location" | "content-location" => !is_below(value.as_bytes()),
        name => name.starts_with("access-control-") || name.starts_with("x-lychgate-"),
    }
}

/// Whether a reference stays on the host that it is given by.
fn is_below(reference: &[u8]) -> bool {
    match reference {
        // Clients take spaces and control characters out before they read it.
        other if other.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) => false,
        [b'/', b'/' | b'\\', ..] | [b'\\', ..] => false,
        [b'/' | b'?' | b'#', ..] => true,
        other => !other.contains(&b':') && !other.contains(&b'\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_hide_nothing() {
        for (name, stays) in [
            ("x_lychgate_token", true),
            ("x_forwarded_for", true),
            ("x_http-method_override", true),
            ("x_api_key", true),
            ("session_id", false),
            ("x-forwarded", true),
            ("x-forward", false),
            ("x-amz-date", true),
            ("x-amz-security-token", true),
            ("x-amz-content-sha256", true),
            ("x-amzn-bedrock-guardrailidentifier", false),
            ("x-stainless-lang", false),
        ] {
            assert_eq!(stays_here(&HeaderName::from_static(name)), stays, "{name}");
        }
        assert!(names_payer(&HeaderName::from_static("openai_organization")));
        assert!(!names_payer(&HeaderName::from_static("openai-beta")));
    }

    #[test]
    fn only_references_to_the_same_host_go_to_the_client() {
        for (reference, stays) in [
            ("/v1/x", false),
            ("/v1/x?to=https://a", false),
            ("?a=b:c", false),
            ("x/y", false),
            ("", false),
            ("https://provider.example/v1/x", true),
            ("//provider.example/v1/x", true),
            ("/\\provider.example/v1/x", true),
            ("\\\\provider.example/v1/x", true),
            ("https:\\\\provider.example", true),
            ("mailto:x", true),
            ("/\t/provider.example/v1/x", true),
            ("/v1/x y", true),
        ] {
            for name in ["location", "content-location"] {
                let found = stays_behind(&HeaderName::from_static(name), &reference.parse().unwrap());
                assert_eq!(found, stays, "{name}: {reference}");
            }
        }
    }
}
