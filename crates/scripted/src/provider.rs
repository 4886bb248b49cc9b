//! The listening server.

use crate::authority::Authority;
use crate::script::Script;
use crate::seen::{Seen, SeenRequest};
use crate::service;
use crate::socket::{Breaker, Socket};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A running scripted provider. It stops when dropped.
#[derive(Debug)]
pub struct ScriptedProvider {
    addr: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What all connections of one provider share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    seen: Mutex<Seen>,
    scripts: Mutex<HashMap<String, Script>>,
    pub(crate) authority: Authority,
    /// Seconds by which its clock is ahead.
    clock_ahead: AtomicI64,
}

impl Shared {
    /// Keeps a request for the listing.
    pub(crate) fn see(&self, request: SeenRequest) {
        self.seen.lock().push(request);
    }

    /// The requests kept, oldest first.
    pub(crate) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().all()
    }

    /// The time by which signatures are judged.
    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + time::Duration::seconds(self.clock_ahead.load(Ordering::Relaxed))
    }

    /// The script that someone added under this name.
    pub(crate) fn script(&self, name: &str) -> Option<Script> {
        self.scripts.lock().get(name).cloned()
    }
}

impl ScriptedProvider {
    /// Listens on the address; port 0 lets the kernel choose.
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The newest requests, oldest first, without those of the fast path for `bench/`.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.seen()
    }

    /// The same, and forgets them: whoever takes them often enough gets every request once.
    pub fn take_requests(&self) -> Vec<SeenRequest> {
        self.shared.seen.lock().take()
    }

    /// Adds a scenario of the caller's own, or replaces it; it is chosen like the others, on every API.
    pub fn add_script(&self, name: &str, script: Script) {
        self.shared.scripts.lock().insert(name.to_owned(), script);
    }

    /// Sets its clock ahead of this machine's by so many seconds: it judges signatures by it.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.shared.clock_ahead.store(seconds, Ordering::Relaxed);
    }

    /// Stops listening and breaks every connection.
    pub async fn stop(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for ScriptedProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections live in this set, so they end with the listener.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                // Out of file descriptors, as a rule: let some connections end first.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    let breaker = Breaker::default();
    let io = TokioIo::new(Socket::new(stream, breaker.clone()));
    let service = service_fn(move |request| service::answer(request, Arc::clone(&shared), breaker.clone()));
    // A broken connection is the client's business, or was asked for.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(io, service)
        .with_upgrades()
        .await;
}
