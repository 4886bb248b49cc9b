//! Serves HTTP/1.1 and HTTP/2 without TLS (gRPC needs the latter) on a listener, with limits on what a connection may cost.

use crate::inbound::front::{Answering, Front};
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use lychgate_stream::Paced;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Longest wait for a request's head, from the opening of the connection or the end of the request before. Load balancers
/// usually keep idle connections for less, so that they are the ones to close them.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// Largest head of an HTTP/1.1 request, and largest piece of a body that is read at once.
const BUFFER: usize = 256 << 10;
/// Most header fields of an HTTP/1.1 request.
const REQUEST_FIELDS: usize = 256;
/// Largest header list of an HTTP/2 request.
const HEADER_LIST: u32 = 64 << 10;
/// Concurrent requests on one HTTP/2 connection. A replica makes all its look-ups over a single one.
const STREAMS: u32 = 1024;
/// Longest wait for a peer to accept the next byte.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that wait in the kernel to be accepted; it may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
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
/// closes what is left. Where requests need longer, drain first. Handlers find the peer as `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, front: impl Into<Front>, shutdown: impl Future<Output = ()>) {
    let front = front.into();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER)
        .max_headers(REQUEST_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_LIST)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING_EVERY);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let begun = Arc::new(AtomicBool::new(false));
                    let service = service(front.clone(), peer, Arc::clone(&begun));
                    let connection = builder.serve_connection(TokioIo::new(Paced::new(prepared(stream), WRITE_TIMEOUT)), service);
                    connections.spawn(attend(graceful.watch(connection.into_owned()), begun));
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

/// Drives a connection to its end. One that sends no request in time is closed: until its version of HTTP is known, nothing
/// else has a timeout.
async fn attend<E: std::fmt::Display>(connection: impl Future<Output = Result<(), E>>, begun: Arc<AtomicBool>) {
    let mut connection = std::pin::pin!(connection);
    let ended = match tokio::time::timeout(HEAD_TIMEOUT, &mut connection).await {
        Ok(ended) => ended,
        Err(_) if begun.load(Ordering::Relaxed) => connection.await,
        Err(_) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

fn service(
    front: Front,
    peer: SocketAddr,
    begun: Arc<AtomicBool>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future = Answering,
> + Clone {
    hyper::service::service_fn(move |mut request: Request<Incoming>| {
        begun.store(true, Ordering::Relaxed);
        if let Some(data_plane) = front.data_plane(request.uri().path()) {
            return data_plane.answer(request.map(Body::new), Some(peer.ip()));
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        front.other(request.map(Body::new))
    })
}
