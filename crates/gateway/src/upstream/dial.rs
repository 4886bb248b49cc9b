//! Making connections: DNS, TCP, outbound proxy, TLS.
//!
//! Not here: pooling connections (`pool`), and which addresses are private (`private_address`).

use super::error::SendError;
use super::resolver::Resolver;
use super::stream::Stream;
use crate::upstream::private_address::{AddressPolicy, PrivateAddress, is_inner_name, is_private, literal};
use crate::upstream::proxy::OutboundProxy;
use crate::upstream::tls_roots::{CaCertificates, roots};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use lychgate_link::ProviderConfig;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

/// TCP keepalive: the silence after which the system probes the peer, how often, and how many times.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// What a connection is made to: all connections to one target are interchangeable.
#[derive(Debug)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    addresses: AddressPolicy,
    http2: bool,
    /// `Host` of a request over HTTP/1.1.
    pub(super) host: HeaderValue,
    route: Route,
}

/// How the target is reached.
#[derive(Debug)]
enum Route {
    Direct,
    /// By CONNECT through a proxy, which then sees nothing but TLS.
    Tunnel(Intercept),
    /// Through a proxy that reads the request.
    Forward(Intercept),
}

impl Target {
    /// The target of a URL that a provider's requests go to. `None` for one that is not absolute.
    pub(super) fn new(provider: &ProviderConfig, url: &Uri, proxy: &OutboundProxy) -> Option<Self> {
        let (scheme, authority) = (url.scheme()?.clone(), url.authority()?.clone());
        let secure = scheme == Scheme::HTTPS;
        let route = match proxy.intercept(url) {
            None => Route::Direct,
            Some(intercept) if secure => Route::Tunnel(intercept),
            Some(intercept) => Route::Forward(intercept),
        };
        Some(Self {
            host: host(&scheme, &authority)?,
            addresses: AddressPolicy::of(provider),
            http2: provider.policy.http2 && secure,
            scheme,
            authority,
            route,
        })
    }

    /// The same for a connection that is to speak another protocol: over HTTP/1.1 at first, and through whatever proxy there is by a
    /// tunnel, since a proxy that reads requests does not change protocols.
    pub(super) fn tunnelled(provider: &ProviderConfig, url: &Uri, proxy: &OutboundProxy) -> Option<Self> {
        let target = Self::new(provider, url, proxy)?;
        let route = match target.route {
            Route::Forward(proxy) => Route::Tunnel(proxy),
            route => route,
        };
        Some(Self {
            http2: false,
            route,
            ..target
        })
    }

    /// Whether it is still where the provider's requests go to.
    pub(super) fn fits(&self, provider: &ProviderConfig, url: &Uri) -> bool {
        url.scheme() == Some(&self.scheme)
            && url.authority() == Some(&self.authority)
            && self.addresses == AddressPolicy::of(provider)
            && self.http2 == (provider.policy.http2 && self.scheme == Scheme::HTTPS)
    }

    pub(super) fn offers_h2(&self) -> bool {
        self.http2
    }

    /// For requests that a proxy reads, which have to name the whole URL: the proxy's credential, if it needs one.
    pub(super) fn forwarding(&self) -> Option<Option<&HeaderValue>> {
        match &self.route {
            Route::Forward(proxy) => Some(proxy.basic_auth()),
            Route::Direct | Route::Tunnel(_) => None,
        }
    }

    /// Checks the address as far as possible before DNS. Behind a proxy there is no later check: the proxy resolves names.
    fn check(&self) -> Result<(), PrivateAddress> {
        if self.addresses == AddressPolicy::Any {
            return Ok(());
        }
        let name = self.authority.host();
        let refused = match (literal(name), &self.route) {
            (Some(address), _) => is_private(address),
            (None, Route::Direct) => false,
            (None, _) => is_inner_name(name),
        };
        if refused { Err(PrivateAddress) } else { Ok(()) }
    }

    fn url(&self) -> Uri {
        self.url_of(self.authority.clone())
    }

    /// The same with its port, which a tunnel has to name.
    fn url_with_port(&self) -> Uri {
        let authority = match self.authority.port() {
            Some(_) => None,
            None => format!("{}:{}", self.authority, default_port(&self.scheme))
                .parse()
                .ok(),
        };
        self.url_of(authority.unwrap_or_else(|| self.authority.clone()))
    }

    fn url_of(&self, authority: Authority) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(authority);
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        // Three parts that came from a URI make one again.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// `Host` without the scheme's default port.
fn host(scheme: &Scheme, authority: &Authority) -> Option<HeaderValue> {
    let default = default_port(scheme);
    let text = match authority.port_u16() {
        Some(port) if port != default => authority.as_str(),
        _ => authority.host(),
    };
    HeaderValue::from_str(text).ok()
}

fn default_port(scheme: &Scheme) -> u16 {
    if *scheme == Scheme::HTTPS { 443 } else { 80 }
}

/// Makes connections.
#[derive(Debug)]
pub(super) struct Dialer {
    h1_only: Arc<ClientConfig>,
    h2_too: Arc<ClientConfig>,
}

impl Dialer {
    pub(super) fn new(cas: &CaCertificates) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .with_root_certificates(roots(cas))
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut h2_too = tls.clone();
        h2_too.alpn_protocols.insert(0, b"h2".to_vec());
        Ok(Self {
            h1_only: Arc::new(tls),
            h2_too: Arc::new(h2_too),
        })
    }

    /// Connects. `timeout` is divided among the addresses of a name, so that a dead one does not use up the time of the others;
    /// the caller has to bound the whole.
    pub(super) async fn dial(&self, target: &Target, timeout: Duration) -> Result<Stream, SendError> {
        target.check()?;
        let url = target.url();
        let tcp = match &target.route {
            Route::Direct => plain(target.addresses, timeout, url.clone())
                .await
                .map_err(SendError::Connect)?,
            // The operator named the proxy: it may be anywhere.
            Route::Forward(proxy) => plain(AddressPolicy::Any, timeout, proxy.uri().clone())
                .await
                .map_err(SendError::Proxy)?,
            Route::Tunnel(proxy) => tunnel(proxy, timeout, target.url_with_port()).await?,
        };
        if target.scheme != Scheme::HTTPS {
            return Ok(Stream::Plain(tcp));
        }
        let name = target.authority.host();
        let name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| SendError::Connect(error.into()))?;
        let config = if target.http2 { &self.h2_too } else { &self.h1_only };
        let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await;
        Ok(Stream::Tls(Box::new(tls.map_err(SendError::Tls)?)))
    }
}

async fn plain(
    addresses: AddressPolicy,
    timeout: Duration,
    url: Uri,
) -> Result<TcpStream, Box<dyn std::error::Error + Send + Sync>> {
    let stream = tcp(addresses, timeout).call(url).await?;
    Ok(stream.into_inner())
}

async fn tunnel(proxy: &Intercept, timeout: Duration, url: Uri) -> Result<TcpStream, SendError> {
    let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp(AddressPolicy::Any, timeout));
    if let Some(credential) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credential.clone());
    }
    let stream: TokioIo<TcpStream> = tunnel.call(url).await.map_err(|error| SendError::Proxy(error.into()))?;
    Ok(stream.into_inner())
}

fn tcp(addresses: AddressPolicy, timeout: Duration) -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver::new(addresses));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp.set_connect_timeout(Some(timeout));
    tcp
}
