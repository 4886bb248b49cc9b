//! Which outbound proxy a provider is reached through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, interpreted as by
//! curl.
//!
//! Not here: connecting to it (`dial`).

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use std::sync::Arc;

/// Outbound proxies; none by default. Its `Debug` shows addresses, but no passwords.
#[derive(Debug, Clone, Default)]
pub struct OutboundProxy(Option<Arc<Matcher>>);

/// A variable with an unusable proxy. Its value is not repeated, since it may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not a URL.
    #[error("{variable} is not a proxy's URL; write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")]
    NotUrl {
        /// The variable.
        variable: &'static str,
    },
    /// A kind of proxy that is not supported.
    #[error(
        "{variable} names a proxy of the kind `{scheme}`; only http:// proxies are supported (they carry https, too)"
    )]
    Scheme {
        /// The variable.
        variable: &'static str,
        /// The URL's scheme.
        scheme: String,
    },
}

impl OutboundProxy {
    /// Reads the environment; `variable` looks one up. A name in lower case counts if the one in upper case is not set.
    pub fn from_variables<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ProxyError> {
        let find = |names: [&'static str; 2]| {
            let set = |name: &'static str| variable(name).filter(|text| !text.is_empty()).map(|text| (name, text));
            names.into_iter().find_map(set)
        };
        let proxy = |names| match find(names) {
            Some((name, text)) => check(name, text).map(|()| text),
            None => Ok(""),
        };
        let https = proxy(["HTTPS_PROXY", "https_proxy"])?;
        let http = proxy(["HTTP_PROXY", "http_proxy"])?;
        let all = proxy(["ALL_PROXY", "all_proxy"])?;
        if [https, http, all].iter().all(|text| text.is_empty()) {
            return Ok(Self::default());
        }
        let no = find(["NO_PROXY", "no_proxy"]).map_or("", |(_, text)| text);
        let matcher = Matcher::builder().https(https).http(http).all(all).no(no).build();
        Ok(Self(Some(Arc::new(matcher))))
    }

    /// The proxy for a target, if there is one.
    pub(crate) fn intercept(&self, target: &Uri) -> Option<Intercept> {
        self.0.as_ref()?.intercept(target)
    }
}

fn check(variable: &'static str, text: &str) -> Result<(), ProxyError> {
    let bad = ProxyError::NotUrl { variable };
    let uri: Uri = text.parse().map_err(|_| bad.clone())?;
    match uri.scheme() {
        // `host:port` is read as an http proxy.
        None => {}
        Some(scheme) if *scheme == Scheme::HTTP => {}
        Some(scheme) => {
            let scheme = scheme.to_string();
            return Err(ProxyError::Scheme { variable, scheme });
        }
    }
    match uri.host() {
        Some(host) if !host.is_empty() => Ok(()),
        _ => Err(bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn read(variables: &[(&str, &'static str)]) -> Result<OutboundProxy, ProxyError> {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        OutboundProxy::from_variables(|name| variables.get(name).copied())
    }

    fn route(proxy: &OutboundProxy, target: &str) -> Option<String> {
        let intercept = proxy.intercept(&target.parse().unwrap())?;
        Some(intercept.uri().to_string())
    }

    #[test]
    fn targets_and_their_proxies() {
        let proxy = read(&[
            ("HTTPS_PROXY", "http://user:pass%20word@secure.example:3128"),
            ("http_proxy", "plain.example:8080"),
            ("NO_PROXY", "inside.example, 10.0.0.0/8"),
        ])
        .unwrap();
        for (target, wanted) in [
            ("https://api.example.com", Some("http://secure.example:3128/")),
            ("http://api.example.com", Some("http://plain.example:8080/")),
            ("https://inside.example", None),
            ("https://deep.inside.example", None),
            ("https://notinside.example", Some("http://secure.example:3128/")),
            ("https://10.1.2.3", None),
        ] {
            assert_eq!(route(&proxy, target).as_deref(), wanted, "{target}");
        }
        let intercept = proxy.intercept(&"https://a.example".parse().unwrap()).unwrap();
        assert_eq!(intercept.basic_auth().unwrap(), "Basic dXNlcjpwYXNzIHdvcmQ=");
        assert!(!format!("{proxy:?}{intercept:?}").contains("pass"));
    }

    #[test]
    fn all_proxy_is_the_fallback_and_none_the_default() {
        let proxy = read(&[("ALL_PROXY", "http://p.example:1")]).unwrap();
        assert_eq!(
            route(&proxy, "https://a.example").as_deref(),
            Some("http://p.example:1/")
        );
        assert_eq!(
            route(&proxy, "http://a.example").as_deref(),
            Some("http://p.example:1/")
        );
        let none = read(&[("NO_PROXY", "*"), ("HTTPS_PROXY", "")]).unwrap();
        assert_eq!(route(&none, "https://a.example"), None);
    }

    #[test]
    fn errors_do_not_repeat_the_value() {
        let error = |name: &str, text: &'static str| read(&[(name, text)]).unwrap_err().to_string();
        assert!(error("HTTPS_PROXY", "http://user:hunter2@").starts_with("HTTPS_PROXY is not a proxy's URL"));
        assert!(error("https_proxy", "http://bad host:1").starts_with("https_proxy is not"));
        let socks = error("ALL_PROXY", "socks5://user:hunter2@h:1");
        assert!(socks.contains("`socks5`") && !socks.contains("hunter2"), "{socks}");
        assert!(error("HTTPS_PROXY", "https://h:1").contains("`https`"));
    }
}
