//! Providers with TLS: one that speaks both HTTP versions and answers when told to, and one that speaks HTTP/2 frame by frame.

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use lychgate_gateway::CaCertificates;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A CA, and a certificate issued by it for `127.0.0.1` and `api.example.com`.
pub(crate) struct Identity {
    pub(crate) ca: CaCertificates,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::CertifiedIssuer::self_signed(authority, ca_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["127.0.0.1".to_owned(), "api.example.com".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        Self {
            ca: CaCertificates::from_pem(issuer.pem().as_bytes()).unwrap(),
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        }
    }

    fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.clone()],
                PrivateKeyDer::Pkcs8(self.key.clone_key()),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What the provider saw of a request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    /// Connections are counted from 1.
    pub(crate) connection: usize,
    pub(crate) host: Option<String>,
}

/// A provider that answers each request once there is a permit for it.
#[derive(Clone)]
pub(crate) struct Secure {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) permits: Arc<Semaphore>,
}

impl Secure {
    /// `protocols` as ALPN names them, the preferred one first; `streams` is the limit of an HTTP/2 connection.
    pub(crate) async fn start(identity: &Identity, protocols: &[&str], streams: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
        };
        let acceptor = identity.acceptor(protocols);
        let this = provider.clone();
        tokio::spawn(async move {
            for connection in 1.. {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, this) = (acceptor.clone(), this.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let service = hyper::service::service_fn(move |request| this.clone().answer(connection, request));
                    let mut builder = Builder::new(TokioExecutor::new());
                    builder.http2().max_concurrent_streams(streams);
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        provider
    }

    async fn answer(self, connection: usize, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let host = request
            .headers()
            .get("host")
            .map(|host| host.to_str().unwrap().to_owned());
        self.seen.lock().unwrap().push(Seen {
            version: request.version(),
            connection,
            host,
        });
        self.permits.acquire().await.unwrap().forget();
        Ok(Response::new(Full::from("{}")))
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A provider's HTTP/2 connections under the test's control.
pub(crate) struct Frames {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

pub(crate) type FramesConnection = h2::server::Connection<TlsStream<TcpStream>, Bytes>;

impl Frames {
    pub(crate) async fn start(identity: &Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener,
            acceptor: identity.acceptor(&["h2"]),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The next connection.
    pub(crate) async fn next(&self) -> FramesConnection {
        let (socket, _) = self.listener.accept().await.unwrap();
        h2::server::handshake(self.acceptor.accept(socket).await.unwrap())
            .await
            .unwrap()
    }
}
