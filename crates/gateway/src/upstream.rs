//! The way to providers: pooled HTTP/1.1 connections, TLS with the system's CAs, no redirects followed, nothing unpacked.
//!
//! HTTP/2 is not offered: the pool would keep one connection a host, on which long streams queue behind one another.
//!
//! Not here: what is sent (`relay`) and where to (`provider`).

use crate::address::{PrivateAddress, ResolveError, Resolver};
use crate::options::Options;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Https = HttpsConnector<HttpConnector<Resolver>>;

/// The clients.
#[derive(Debug)]
pub(crate) struct Upstream {
    public: Client<Connector, Full<Bytes>>,
    /// For providers that may live on private addresses. A pool of its own, so that no connection made here serves others.
    private: Client<Connector, Full<Bytes>>,
}

impl Upstream {
    pub(crate) fn new(options: &Options) -> Result<Self, rustls::Error> {
        let tls = tls()?;
        let client = |allow_private| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(60))
                .build(Connector::new(&tls, allow_private, options.connect_timeout))
        };
        Ok(Self {
            public: client(false),
            private: client(true),
        })
    }

    /// Sends a request; the answer's head comes from the future. It needs nobody's borrow and may outlive its client.
    pub(crate) fn send(&self, allow_private: bool, request: Request<Full<Bytes>>) -> ResponseFuture {
        if allow_private {
            self.private.request(request)
        } else {
            self.public.request(request)
        }
    }
}

/// Why no head came. Safe to show: it names neither addresses nor the system's words.
pub(crate) fn explain(error: &Error) -> String {
    let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let found = causes.find_map(|cause| {
        if let Some(private) = cause.downcast_ref::<PrivateAddress>() {
            return Some(private.to_string());
        }
        if let Some(resolve) = cause.downcast_ref::<ResolveError>() {
            return Some(resolve.to_string());
        }
        if cause.is::<ConnectTimeout>() {
            return Some(ConnectTimeout.to_string());
        }
        let io = cause.downcast_ref::<std::io::Error>()?;
        if let Some(tls) = tls_error(io) {
            return Some(format!("the TLS handshake failed: {tls}"));
        }
        match io.kind() {
            std::io::ErrorKind::ConnectionRefused => Some("connection refused".to_owned()),
            std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => Some("connection reset".to_owned()),
            std::io::ErrorKind::TimedOut => Some(ConnectTimeout.to_string()),
            std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable => {
                Some("its network can't be reached".to_owned())
            }
            _ => None,
        }
    });
    found.unwrap_or_else(|| {
        if error.is_connect() {
            "no connection could be made"
        } else {
            "the connection broke before an answer came"
        }
        .to_owned()
    })
}

/// The TLS error inside an I/O error. They are wrapped more than once, and `source` passes over what is wrapped.
fn tls_error(io: &std::io::Error) -> Option<&rustls::Error> {
    let inner = io.get_ref()?;
    inner
        .downcast_ref::<rustls::Error>()
        .or_else(|| tls_error(inner.downcast_ref::<std::io::Error>()?))
}

fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        tracing::warn!(
            "no CA certificates found on this system, so no https provider can be reached; install ca-certificates or set SSL_CERT_FILE"
        );
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::DEFAULT_VERSIONS)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Connects within one deadline for name look-up, TCP and TLS together.
#[derive(Debug, Clone)]
struct Connector {
    https: Https,
    timeout: Duration,
}

/// Connecting took too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("connecting took too long")]
struct ConnectTimeout;

impl Connector {
    fn new(tls: &rustls::ClientConfig, allow_private: bool, timeout: Duration) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver::new(allow_private));
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        // Shared out among a name's addresses, so that a dead one does not use up the time of the others.
        http.set_connect_timeout(Some(timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Self { https, timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.https.call(uri);
        let timeout = self.timeout;
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(result) => result,
                Err(_) => Err(ConnectTimeout.into()),
            }
        })
    }
}
