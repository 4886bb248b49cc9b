//! Making connections: where a provider is reached, name look-up, TCP, outbound proxy, TLS.
//!
//! Not here: keeping connections (`pool`), and which addresses are private (`address`).

use super::error::SendError;
use super::stream::Stream;
use crate::upstream::private_address::{PrivateAddress, Resolver, is_inner_name, is_private, literal};
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

/// Silence after which the system asks whether the other side is still there, and how often and how many times it asks.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// What makes connections alike: those to one target serve any request to it.
#[derive(Debug)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    allow_private: bool,
    http2: bool,
    /// `Host` of a request over HTTP/1.1.
    pub(super) host: HeaderValue,
    way: Way,
}

/// How the target is reached.
#[derive(Debug)]
enum Way {
    Direct,
    /// By a CONNECT to a proxy, which then sees nothing but TLS.
    Tunnel(Intercept),
    /// By a proxy that reads the request.
    Forward(Intercept),
}

impl Target {
    /// The target of a URL that a provider's requests go to. `None` for one that is not absolute.
    pub(super) fn new(provider: &ProviderConfig, url: &Uri, proxy: &OutboundProxy) -> Option<Self> {
        let (scheme, authority) = (url.scheme()?.clone(), url.authority()?.clone());
        let secure = scheme == Scheme::HTTPS;
        let way = match proxy.intercept(url) {
            None => Way::Direct,
            Some(intercept) if secure => Way::Tunnel(intercept),
            Some(intercept) => Way::Forward(intercept),
        };
        Some(Self {
            host: host(&authority, secure)?,
            allow_private: provider.allow_private,
            http2: provider.policy.http2 && secure,
            scheme,
            authority,
            way,
        })
    }

    /// Whether it is still where the provider's requests go to.
    pub(super) fn fits(&self, provider: &ProviderConfig, url: &Uri) -> bool {
        url.scheme() == Some(&self.scheme)
            && url.authority() == Some(&self.authority)
            && self.allow_private == provider.allow_private
            && self.http2 == (provider.policy.http2 && self.scheme == Scheme::HTTPS)
    }

    pub(super) fn offers_h2(&self) -> bool {
        self.http2
    }

    /// For requests that a proxy reads: they name the whole URL. Its credential, if it wants one.
    pub(super) fn forwarding(&self) -> Option<Option<&HeaderValue>> {
        match &self.way {
            Way::Forward(proxy) => Some(proxy.basic_auth()),
            Way::Direct | Way::Tunnel(_) => None,
        }
    }

    /// What can be checked of the address before any look-up. Behind a proxy there is none: the proxy looks names up.
    fn check(&self) -> Result<(), PrivateAddress> {
        if self.allow_private {
            return Ok(());
        }
        let name = self.authority.host();
        let refused = match (literal(name), &self.way) {
            (Some(address), _) => is_private(address),
            (None, Way::Direct) => false,
            (None, _) => is_inner_name(name),
        };
        if refused { Err(PrivateAddress) } else { Ok(()) }
    }

    fn url(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        // Three parts that came from a URI make one again.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

fn host(authority: &Authority, secure: bool) -> Option<HeaderValue> {
    let usual = if secure { 443 } else { 80 };
    let text = match authority.port_u16() {
        Some(port) if port != usual => authority.as_str(),
        _ => authority.host(),
    };
    HeaderValue::from_str(text).ok()
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

    /// Connects. `limit` is shared out among a name's addresses, so that a dead one does not use up the time of the others;
    /// the whole is for the caller to bound.
    pub(super) async fn dial(&self, target: &Target, limit: Duration) -> Result<Stream, SendError> {
        target.check()?;
        let url = target.url();
        let tcp = match &target.way {
            Way::Direct => plain(target.allow_private, limit, url.clone())
                .await
                .map_err(SendError::Connect)?,
            // The operator named the proxy: it may be anywhere.
            Way::Forward(proxy) => plain(true, limit, proxy.uri().clone())
                .await
                .map_err(SendError::Proxy)?,
            Way::Tunnel(proxy) => tunnel(proxy, limit, url.clone()).await?,
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
    allow_private: bool,
    limit: Duration,
    url: Uri,
) -> Result<TcpStream, Box<dyn std::error::Error + Send + Sync>> {
    let stream = tcp(allow_private, limit).call(url).await?;
    Ok(stream.into_inner())
}

async fn tunnel(proxy: &Intercept, limit: Duration, url: Uri) -> Result<TcpStream, SendError> {
    let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp(true, limit));
    if let Some(credential) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credential.clone());
    }
    let stream: TokioIo<TcpStream> = tunnel.call(url).await.map_err(|error| SendError::Proxy(error.into()))?;
    Ok(stream.into_inner())
}

fn tcp(allow_private: bool, limit: Duration) -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver::new(allow_private));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp.set_connect_timeout(Some(limit));
    tcp
}
