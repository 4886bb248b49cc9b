//! Which base URLs a provider may have.
//!
//! Which addresses are private is the data plane's to say. A name that resolves to a private address can't be told here; the data plane checks what it connects to.

use crate::api::validate::Validations;
use lychgate_types::provider::{ProviderType, origin};
use std::net::IpAddr;
use url::{Host, Url};

/// As many as the database takes.
pub(crate) const MOST_BYTES: usize = 2000;
pub(super) const FORM: &str = "must be an absolute http or https URL such as https://api.example.com/v1";
const HTTPS: &str = "must be https, because provider keys are sent there; plain http needs `allow_private`";
const PRIVATE: &str = "names a loopback, private, link-local or metadata address, which needs `allow_private`";

/// Reads the base URL of a request. `provider_type` is `None` where that is no type.
pub(super) fn read(
    validations: &mut Validations,
    provider_type: Option<ProviderType>,
    text: &str,
    allow_private: bool,
) -> Option<String> {
    match parse(text, allow_private) {
        Ok(url) => match misplaced(provider_type, &url) {
            None => return Some(url),
            Some(right) => validations.refuse("base_url", format!("must be {right} at this host")),
        },
        Err(why @ (HTTPS | PRIVATE)) => validations.refuse("base_url", why),
        Err(why) => validations.add("base_url", why),
    }
    None
}

/// Checks a base URL and gives it its one form: without a slash at its end.
pub(super) fn parse(text: &str, allow_private: bool) -> Result<String, &'static str> {
    if text.len() > MOST_BYTES || text.contains(":///") || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(FORM);
    }
    let url = Url::parse(text).map_err(|_| FORM)?;
    let host = match (url.scheme(), url.host()) {
        ("http" | "https", Some(host)) => host,
        _ => return Err(FORM),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain credentials; use the provider's keys");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment");
    }
    if !allow_private && is_private(&host) {
        return Err(PRIVATE);
    }
    if !allow_private && url.scheme() == "http" {
        return Err(HTTPS);
    }
    let url = url.as_str().trim_end_matches('/');
    // It may have grown: what is no ASCII is written in ASCII.
    if url.len() > MOST_BYTES {
        return Err(FORM);
    }
    Ok(url.to_owned())
}

/// The public base URL of the type, if the URL is at its host and another: a version too many or too few would make every request a 404.
fn misplaced(provider_type: Option<ProviderType>, url: &str) -> Option<&'static str> {
    let right = provider_type?.default_base_url()?;
    (url != right && origin(url) == origin(right)).then_some(right)
}

fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost") || name == "metadata.google.internal"
        }
        Host::Ipv4(address) => lychgate_gateway::is_private(IpAddr::V4(*address)),
        Host::Ipv6(address) => lychgate_gateway::is_private(IpAddr::V6(*address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_https_is_good() {
        assert_eq!(
            parse("https://api.example.com/v1/", false).unwrap(),
            "https://api.example.com/v1"
        );
        assert_eq!(parse("https://8.8.8.8:8443", false).unwrap(), "https://8.8.8.8:8443");
        assert_eq!(parse("http://localhost:9000", true).unwrap(), "http://localhost:9000");
        assert_eq!(parse("http://example.com", false).unwrap_err(), HTTPS);
    }

    #[test]
    fn private_hosts_need_leave_however_they_are_written() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "192.0.0.192",
            "168.63.129.16",
            "198.18.0.1",
            "metadata.google.internal",
        ] {
            assert_eq!(
                parse(&format!("https://{host}/v1"), false).unwrap_err(),
                PRIVATE,
                "{host}"
            );
            assert!(parse(&format!("https://{host}/v1"), true).is_ok(), "{host}");
        }
    }

    #[test]
    fn at_its_own_host_a_type_has_one_base_url() {
        let openai = "https://api.openai.com/v1";
        for (provider_type, url, right) in [
            (Some(ProviderType::OpenAi), "https://api.openai.com", Some(openai)),
            (Some(ProviderType::OpenAi), "https://api.openai.com/v1/v1", Some(openai)),
            (
                Some(ProviderType::Anthropic),
                "https://api.anthropic.com/v1",
                Some("https://api.anthropic.com"),
            ),
            (Some(ProviderType::OpenAi), openai, None),
            (Some(ProviderType::OpenAi), "https://eu.api.openai.com/v1", None),
            (Some(ProviderType::OpenAi), "https://proxy.example.com", None),
            (Some(ProviderType::OpenAiCompatible), "https://api.openai.com", None),
            (None, "https://api.openai.com", None),
        ] {
            assert_eq!(misplaced(provider_type, url), right, "{url}");
        }
    }

    #[test]
    fn what_is_no_base_url() {
        for text in [
            "",
            "api.example.com",
            "/v1",
            "ftp://example.com",
            "https://",
            "https:///v1",
            "https://a b",
            "file:///etc",
            "https://x\n",
            &format!("https://example.com/{}", "x".repeat(MOST_BYTES)),
            &format!("https://example.com/{}", "é".repeat(MOST_BYTES / 3)),
        ] {
            assert_eq!(parse(text, true).unwrap_err(), FORM, "{text:?}");
        }
        for text in [
            "https://u@example.com",
            "https://u:p@example.com",
            "https://example.com?a=b",
            "https://example.com#x",
        ] {
            assert!(parse(text, true).is_err(), "{text:?}");
        }
    }
}
