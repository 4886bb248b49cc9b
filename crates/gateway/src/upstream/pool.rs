//! The connections to one target: kept, handed out, swept.
//!
//! Not here: how they are made (`dial`) and how they are used (`h1`, `h2`).

use super::answer::Answer;
use super::dial::{Dialer, Target};
use super::error::SendError;
use super::h1::{H1Connection, Unanswered};
use super::h2::{Acquired, H2Connections, StreamPermit};
use super::stream::Stream;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Request, Response, Uri};
use http_body_util::Full;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long an idle connection is kept: less than load balancers keep theirs (usually 60 s), so that they rarely close it just
/// when a request is sent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a connection takes requests: each new one resolves the name again, so that changes in DNS are followed. The jitter
/// keeps all connections from being renewed at the same time.
const MAX_AGE: Duration = Duration::from_secs(240);
const MAX_AGE_JITTER_SECONDS: u64 = 120;
/// How often a request that the provider has not begun to process is sent again, over another HTTP/2 connection.
const RESENDS: usize = 2;

/// The connections to one target.
pub(super) struct Pool {
    pub(super) target: Target,
    dialer: Arc<Dialer>,
    /// HTTP/1.1 connections without a request; the one used last is last.
    idle: Mutex<Vec<Idle>>,
    h2: Arc<H2Connections>,
    /// HTTP/2 is not offered, or was not accepted.
    h1_only: AtomicBool,
    made: AtomicU64,
}

struct Idle {
    connection: H1Connection,
    since: Instant,
}

/// A connection for one request.
enum Connection {
    H1(Option<H1Connection>),
    H2(StreamPermit),
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({:?})", self.target)
    }
}

impl Pool {
    pub(super) fn new(target: Target, dialer: Arc<Dialer>) -> Self {
        Self {
            h1_only: AtomicBool::new(!target.offers_h2()),
            target,
            dialer,
            idle: Mutex::default(),
            h2: Arc::default(),
            made: AtomicU64::new(0),
        }
    }

    /// Sends a request; `connect_timeout` is how long getting a connection may take.
    pub(super) async fn exchange(
        self: Arc<Self>,
        request: Request<Full<Bytes>>,
        connect_timeout: Duration,
    ) -> Result<Response<Answer>, SendError> {
        if self.speaks_h1_only() {
            self.over_h1(request, None, connect_timeout).await
        } else {
            Box::pin(self.over_either(request, connect_timeout)).await
        }
    }

    fn speaks_h1_only(&self) -> bool {
        self.h1_only.load(Ordering::Acquire)
    }

    async fn over_h1(
        self: Arc<Self>,
        mut request: Request<Full<Bytes>>,
        mut opened: Option<H1Connection>,
        connect_timeout: Duration,
    ) -> Result<Response<Answer>, SendError> {
        self.address(&mut request);
        loop {
            let (mut connection, reused) = match opened.take() {
                Some(connection) => (connection, false),
                None => match self.take_idle() {
                    Some(connection) => (connection, true),
                    None => (Box::pin(self.open_h1(connect_timeout)).await?, false),
                },
            };
            match connection.send(request).await {
                Ok(response) => return Ok(response.map(|body| Answer::over_h1(body, connection, self))),
                // It was closed while idle, and the request has not been sent.
                Err(Unanswered {
                    unsent: Some(unsent), ..
                }) if reused => request = unsent,
                Err(unanswered) => return Err(unanswered.error),
            }
        }
    }

    async fn over_either(
        self: Arc<Self>,
        mut request: Request<Full<Bytes>>,
        connect_timeout: Duration,
    ) -> Result<Response<Answer>, SendError> {
        let mut avoided = None;
        let mut resends = RESENDS;
        loop {
            let permit = match self.connection(avoided.as_ref(), connect_timeout).await? {
                Connection::H1(connection) => return self.over_h1(request, connection, connect_timeout).await,
                Connection::H2(permit) => permit,
            };
            let copy = request.clone();
            match permit.sender().try_send_request(request).await {
                Ok(response) => return Ok(response.map(|body| Answer::over_h2(body, permit))),
                Err(mut error) => {
                    let unsent = error.take_message();
                    let error = error.into_error();
                    if resends == 0 || (unsent.is_none() && !SendError::is_unprocessed(&error)) {
                        return Err(SendError::Broken(error));
                    }
                    resends -= 1;
                    request = unsent.unwrap_or(copy);
                    avoided = Some(permit);
                }
            }
        }
    }

    /// Makes it an HTTP/1.1 request: with the target in the form that the next hop expects, and a `Host`.
    fn address(&self, request: &mut Request<Full<Bytes>>) {
        if let Some(credential) = self.target.forwarding() {
            if let Some(credential) = credential {
                request.headers_mut().insert(PROXY_AUTHORIZATION, credential.clone());
            }
        } else if let Some(path) = request.uri().path_and_query() {
            *request.uri_mut() = Uri::from(path.clone());
        }
        request.headers_mut().insert(HOST, self.target.host.clone());
    }

    /// A connection that can take one more request.
    async fn connection(
        &self,
        avoided: Option<&StreamPermit>,
        connect_timeout: Duration,
    ) -> Result<Connection, SendError> {
        let acquiring = async {
            match self.h2.acquire(avoided, || self.speaks_h1_only()).await {
                None => Ok(Connection::H1(None)),
                Some(Acquired::Stream(permit)) => Ok(Connection::H2(permit)),
                Some(Acquired::Dial(permit)) => {
                    let stream = self.dialer.dial(&self.target, connect_timeout).await?;
                    if stream.speaks_h2() {
                        return permit.open(stream, self.expiry()).await.map(Connection::H2);
                    }
                    self.h1_only.store(true, Ordering::Release);
                    self.h2.wake_all();
                    Ok(Connection::H1(Some(self.over_stream(stream).await?)))
                }
            }
        };
        timeout_at(Instant::now() + connect_timeout, acquiring)
            .await
            .unwrap_or(Err(SendError::ConnectTimeout))
    }

    async fn open_h1(&self, connect_timeout: Duration) -> Result<H1Connection, SendError> {
        let opening = async {
            self.over_stream(self.dialer.dial(&self.target, connect_timeout).await?)
                .await
        };
        timeout_at(Instant::now() + connect_timeout, opening)
            .await
            .unwrap_or(Err(SendError::ConnectTimeout))
    }

    async fn over_stream(&self, stream: Stream) -> Result<H1Connection, SendError> {
        H1Connection::open(stream, self.expiry()).await
    }

    fn expiry(&self) -> Instant {
        let jitter = self.made.fetch_add(1, Ordering::Relaxed) * 37 % MAX_AGE_JITTER_SECONDS;
        Instant::now() + MAX_AGE + Duration::from_secs(jitter)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock()
    }

    fn take_idle(&self) -> Option<H1Connection> {
        let mut idle = self.idle();
        let Idle { connection, since } = idle.pop()?;
        let now = Instant::now();
        if now < since + IDLE_TIMEOUT && now < connection.expires {
            return Some(connection);
        }
        // Those below it have been idle for even longer. One that is merely too old says nothing about the others.
        let expired = if now < since + IDLE_TIMEOUT {
            Vec::new()
        } else {
            std::mem::take(&mut *idle)
        };
        drop(idle);
        drop((connection, expired));
        None
    }

    /// Takes back a connection whose answer is complete.
    pub(super) fn put_back(&self, mut connection: H1Connection) {
        let now = Instant::now();
        if now < connection.expires && connection.is_ready() {
            self.idle().push(Idle { connection, since: now });
        }
    }

    /// Closes expired connections; returns whether any are left.
    pub(super) fn sweep(&self) -> bool {
        self.h2.sweep();
        let now = Instant::now();
        let keep = |idle: &mut Idle| {
            idle.connection.poll();
            now < idle.since + IDLE_TIMEOUT && now < idle.connection.expires && idle.connection.is_ready()
        };
        let mut idle = self.idle();
        idle.retain_mut(keep);
        !idle.is_empty() || !self.h2.is_empty()
    }
}
