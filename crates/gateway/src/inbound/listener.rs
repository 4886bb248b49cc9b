//! Serves HTTP/1.1 and HTTP/2 without TLS (gRPC needs the latter) on a listener, with limits on what a connection may cost.

use crate::exchange::socket::Onward;
use crate::inbound::access::Access;
use crate::inbound::front::{Answering, Front};
use crate::inbound::half_closed::HalfClosed;
use crate::inbound::proxies::name_the_client;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use lychgate_link::places::{PlaceLimits, Places, Source};
use lychgate_stream::{Framed, Paced};
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Longest wait for a request's head, from the opening of the connection or the end of the request before. Load balancers
/// usually keep idle connections for less, so that they are the ones to close them.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// A connection on which no request was open for this long is closed; over HTTP/1.1 that is sooner.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Most header fields of an HTTP/1.1 request. Each costs every request: the parser clears room for all of them.
pub(crate) const REQUEST_FIELDS: usize = 160;
/// Largest header list of an HTTP/2 request.
pub(crate) const HEADER_LIST: u32 = 64 << 10;
/// Concurrent requests on one HTTP/2 connection. A replica makes all its look-ups over a single one.
pub(crate) const STREAMS: u32 = 1024;
/// Longest wait for a peer to accept the next byte.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that wait in the kernel to be accepted; it may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
/// Connections, and those of one source; a further one is closed at once. More than there may be requests in flight, so that idle
/// ones have room.
pub(crate) const CONNECTIONS: PlaceLimits = PlaceLimits {
    all: 20_000,
    one: 15_000,
};
/// Pings detect peers that vanished.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long connections may take to finish at shutdown.
const GRACE: Duration = Duration::from_secs(5);
/// Wait after a connection could not be accepted, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens, with a backlog for bursts of connections.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart finds its port free at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `front` until `shutdown` is ready; then accepts no more connections, lets requests finish for a few seconds, and
/// closes what is left. Where requests need longer, drain first. Handlers find the client as `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, front: impl Into<Front>, shutdown: impl Future<Output = ()>) {
    serve_within(CONNECTIONS, listener, front.into(), shutdown).await;
}

async fn serve_within(most: PlaceLimits, listener: TcpListener, front: Front, shutdown: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(front.head_limit)
        .max_headers(REQUEST_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(front.head_limit).unwrap_or(HEADER_LIST).min(HEADER_LIST))
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING_EVERY);
    let graceful = GracefulShutdown::new();
    let places = Places::new(most);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = places.take(Source::new(peer.ip())) else {
                        tracing::debug!(%peer, "there are too many connections; this one is closed");
                        continue;
                    };
                    let use_made = Arc::new(Use::default());
                    let service = service(front.clone(), peer, Arc::clone(&use_made));
                    let stream = HalfClosed::new(prepared(stream), Arc::clone(&use_made));
                    let stream = Framed::new(Paced::new(stream, WRITE_TIMEOUT));
                    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    let connection = graceful.watch(connection.into_owned());
                    connections.spawn(async move {
                        attend(connection, &use_made).await;
                        let goes_on = use_made.upgraded.lock().take();
                        if let Some((upgrade, onward)) = goes_on {
                            Box::pin(go_on(upgrade, onward)).await;
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let finished = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!("connections were still open at the end of the shutdown and are closed");
        connections.shutdown().await;
    }
}

fn prepared(stream: TcpStream) -> TcpStream {
    // Without it, small events wait for acknowledgements of those before. It is not worth failing for.
    let _ = stream.set_nodelay(true);
    stream
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Came {
    /// Nobody wants to know: it is none, or none of HTTP/1.
    Unknown,
    /// More of it may have come than its handler has taken.
    InPart,
    /// Its handler waits for more of it.
    Awaited,
    Whole,
}

/// The use that is made of a connection.
#[derive(Default)]
pub(super) struct Use {
    requests: AtomicU64,
    /// Requests whose answers have not ended.
    open: AtomicU64,
    /// How far the last request has come, as a [`Came`].
    came: AtomicU8,
    /// Its client reads interim answers, as all do but those of HTTP/1.0.
    takes_interim_answers: AtomicBool,
    /// What goes on with the connection once it has changed its protocol.
    upgraded: Mutex<Option<(OnUpgrade, Onward)>>,
}

impl std::fmt::Debug for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Use")
    }
}

impl Use {
    /// How far the request has come whose answer has not ended.
    pub(super) fn came(&self) -> Came {
        if self.open.load(Ordering::Relaxed) == 0 {
            return Came::Unknown;
        }
        let came = self.came.load(Ordering::Relaxed);
        [Came::InPart, Came::Awaited, Came::Whole]
            .into_iter()
            .find(|known| *known as u8 == came)
            .unwrap_or(Came::Unknown)
    }

    pub(super) fn takes_interim_answers(&self) -> bool {
        self.takes_interim_answers.load(Ordering::Relaxed)
    }

    fn asks(&self, version: Version, came: Came) {
        let came = if version < Version::HTTP_2 { came } else { Came::Unknown };
        self.came.store(came as u8, Ordering::Relaxed);
        self.takes_interim_answers
            .store(version > Version::HTTP_10, Ordering::Relaxed);
    }

    /// The protocol changes, if that is what the answer says: what comes from here on is no request.
    fn changes<B>(&self, upgrade: OnUpgrade, answer: &mut hyper::Response<B>) {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(onward) = answer.extensions_mut().remove::<Onward>()
        {
            self.came.store(Came::Unknown as u8, Ordering::Relaxed);
            *self.upgraded.lock() = Some((upgrade, onward));
        }
    }
}

/// A request's body, which tells how far it has come.
struct AskedBody {
    body: Incoming,
    version: Version,
    use_made: Arc<Use>,
}

impl http_body::Body for AskedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let came = match &polled {
            Poll::Pending => Came::Awaited,
            Poll::Ready(Some(_)) if !this.body.is_end_stream() => Came::InPart,
            Poll::Ready(_) => Came::Whole,
        };
        this.use_made.asks(this.version, came);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request that is open until its answer's body is dropped.
struct OpenRequest(Arc<Use>);

impl OpenRequest {
    fn new(use_made: &Arc<Use>) -> Self {
        use_made.requests.fetch_add(1, Ordering::Relaxed);
        use_made.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(use_made))
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body, which keeps its request open.
struct OpenBody {
    body: Body,
    access: Option<Box<Access>>,
    _request: OpenRequest,
}

impl http_body::Body for OpenBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let this = &mut *self;
        if let (Some(access), Poll::Ready(frame)) = (&mut this.access, &polled) {
            access.sent(frame.as_ref(), frame.is_none() || this.body.is_end_stream());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Drives a connection to its end. One that sends no request in time is closed: until its version of HTTP is known, nothing
/// else has a timeout. So is one that is not used, which over HTTP/2 nothing else would notice while its peer answers pings.
async fn attend<E: std::fmt::Display>(connection: impl Future<Output = Result<(), E>>, use_made: &Use) {
    let mut connection = std::pin::pin!(connection);
    let (mut wait, mut before) = (HEAD_TIMEOUT, 0);
    let ended = loop {
        if let Ok(ended) = tokio::time::timeout(wait, &mut connection).await {
            break ended;
        }
        let requests = use_made.requests.load(Ordering::Relaxed);
        if requests == before && use_made.open.load(Ordering::Relaxed) == 0 {
            return;
        }
        (wait, before) = (IDLE_TIMEOUT, requests);
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// What comes behind the change of a connection's protocol. In a box, so that other connections need no room for it.
async fn go_on(upgrade: OnUpgrade, onward: Onward) {
    match upgrade.await {
        Ok(connection) => onward.with(TokioIo::new(connection)).await,
        Err(error) => tracing::debug!(%error, "a connection broke while it changed its protocol"),
    }
}

fn service(
    front: Front,
    peer: SocketAddr,
    use_made: Arc<Use>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = hyper::Response<OpenBody>,
    Error = std::convert::Infallible,
    Future = impl Future<Output = Result<hyper::Response<OpenBody>, std::convert::Infallible>> + Send,
> + Clone {
    hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let open = OpenRequest::new(&use_made);
        let client = name_the_client(peer, request.headers(), &front.trusted_proxies);
        let mut access = front
            .access_log
            .as_ref()
            .map(|log| Box::new(Access::new(log, &request, client)));
        let version = request.version();
        let upgrade = hyper::upgrade::on(&mut request);
        let is_whole = request.body().is_end_stream();
        use_made.asks(version, if is_whole { Came::Whole } else { Came::InPart });
        let body = |body| AskedBody {
            body,
            version,
            use_made: Arc::clone(&use_made),
        };
        let answering: Answering = match front.data_plane(request.uri().path()) {
            Some(data_plane) => data_plane.answer(request.map(|asked| Body::new(body(asked))), Some(client.ip())),
            None => {
                request.extensions_mut().insert(ConnectInfo(client));
                front.other(request.map(|asked| Body::new(body(asked))))
            }
        };
        async move {
            let mut answer = answering.await?;
            open.0.changes(upgrade, &mut answer);
            if let Some(access) = &mut access {
                access.answered(&answer);
            }
            Ok(answer.map(|body| OpenBody {
                body,
                access,
                _request: open,
            }))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A connection from this address of this machine, if it gets an answer.
    async fn answered(to: SocketAddr, from: [u8; 4]) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        let mut stream = socket.connect(to).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: gw\r\n\r\n").await.ok()?;
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).await.ok()?;
        assert_eq!(&begun, b"HTTP/1.1 404");
        Some(stream)
    }

    #[tokio::test]
    async fn a_connection_too_many_is_closed_at_once() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let most = PlaceLimits { all: 3, one: 2 };
        tokio::spawn(serve_within(
            most,
            listener,
            Router::new().into(),
            std::future::pending(),
        ));
        let first = answered(address, [127, 0, 0, 1]).await.unwrap();
        let _second = answered(address, [127, 0, 0, 1]).await.unwrap();
        assert!(
            answered(address, [127, 0, 0, 1]).await.is_none(),
            "one address has its share"
        );
        let _third = answered(address, [127, 0, 0, 2]).await.unwrap();
        assert!(answered(address, [127, 0, 0, 3]).await.is_none(), "there are no more");
        drop(first);
        while answered(address, [127, 0, 0, 3]).await.is_none() {}
    }
}
