//! The connections to one target: kept, handed out, looked through for those that are over.
//!
//! Not here: how they are made (`dial`) and what goes over them (`h1`, `h2`).

use super::answer::Answer;
use super::dial::{Dialer, Target};
use super::error::SendError;
use super::h1::{Lane, Unanswered};
use super::h2::{Lanes, Room, Stay};
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

/// How long an idle connection is kept: less than load balancers keep theirs (60 s as a rule), so that it is seldom they
/// who close it, just when a request goes out.
const IDLE: Duration = Duration::from_secs(45);
/// How long a connection takes requests: each new one looks the name up again, so a name that has moved is followed. The
/// second is spread over the connections, lest all be made anew at once.
const LIFE: Duration = Duration::from_secs(240);
const LIFE_SPREAD_SECONDS: u64 = 120;
/// How often a request that the provider did not begin with is sent again, over another HTTP/2 connection.
const RESENDS: usize = 2;

/// The connections to one target.
pub(super) struct Pool {
    pub(super) target: Target,
    dialer: Arc<Dialer>,
    /// HTTP/1.1 connections without a request; the one used last is last.
    idle: Mutex<Vec<Idle>>,
    lanes: Arc<Lanes>,
    /// HTTP/2 was offered and not taken.
    h1_only: AtomicBool,
    made: AtomicU64,
}

struct Idle {
    lane: Lane,
    since: Instant,
}

/// A connection for one request.
enum Found {
    H1(Option<Lane>),
    H2(Stay),
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
            lanes: Arc::default(),
            made: AtomicU64::new(0),
        }
    }

    /// Sends a request; `patience` is how long it may take until a connection can be used.
    pub(super) async fn exchange(
        self: Arc<Self>,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Response<Answer>, SendError> {
        if self.speaks_h1_only() {
            self.over_h1(request, None, patience).await
        } else {
            Box::pin(self.over_either(request, patience)).await
        }
    }

    fn speaks_h1_only(&self) -> bool {
        self.h1_only.load(Ordering::Acquire)
    }

    async fn over_h1(
        self: Arc<Self>,
        mut request: Request<Full<Bytes>>,
        mut opened: Option<Lane>,
        patience: Duration,
    ) -> Result<Response<Answer>, SendError> {
        self.address(&mut request);
        loop {
            let (mut lane, used) = match opened.take() {
                Some(lane) => (lane, false),
                None => match self.take_idle() {
                    Some(lane) => (lane, true),
                    None => (Box::pin(self.open_h1(patience)).await?, false),
                },
            };
            match lane.send(request).await {
                Ok(response) => return Ok(response.map(|body| Answer::over_h1(body, lane, self))),
                // It was closed while nobody looked, and the request has not left.
                Err(Unanswered {
                    unsent: Some(unsent), ..
                }) if used => request = unsent,
                Err(unanswered) => return Err(unanswered.error),
            }
        }
    }

    async fn over_either(
        self: Arc<Self>,
        mut request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Response<Answer>, SendError> {
        let mut avoided = None;
        let mut left = RESENDS;
        loop {
            let stay = match self.find(avoided.as_ref(), patience).await? {
                Found::H1(lane) => return self.over_h1(request, lane, patience).await,
                Found::H2(stay) => stay,
            };
            let copy = request.clone();
            match stay.sender().try_send_request(request).await {
                Ok(response) => return Ok(response.map(|body| Answer::over_h2(body, stay))),
                Err(mut error) => {
                    let unsent = error.take_message();
                    let error = error.into_error();
                    if left == 0 || (unsent.is_none() && !SendError::is_unprocessed(&error)) {
                        return Err(SendError::Broken(error));
                    }
                    left -= 1;
                    request = unsent.unwrap_or(copy);
                    avoided = Some(stay);
                }
            }
        }
    }

    /// Makes the request one of HTTP/1.1: its target as the next hop wants it, and a `Host`.
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

    /// A connection with room for one more request.
    async fn find(&self, avoided: Option<&Stay>, patience: Duration) -> Result<Found, SendError> {
        let finding = async {
            match self.lanes.room(avoided, || self.speaks_h1_only()).await {
                None => Ok(Found::H1(None)),
                Some(Room::Stay(stay)) => Ok(Found::H2(stay)),
                Some(Room::Dial(dialing)) => {
                    let stream = self.dialer.dial(&self.target, patience).await?;
                    if stream.speaks_h2() {
                        return dialing.open(stream, self.expiry()).await.map(Found::H2);
                    }
                    self.h1_only.store(true, Ordering::Release);
                    self.lanes.changed();
                    Ok(Found::H1(Some(self.over_stream(stream).await?)))
                }
            }
        };
        timeout_at(Instant::now() + patience, finding)
            .await
            .unwrap_or(Err(SendError::ConnectTimeout))
    }

    async fn open_h1(&self, patience: Duration) -> Result<Lane, SendError> {
        let opening = async { self.over_stream(self.dialer.dial(&self.target, patience).await?).await };
        timeout_at(Instant::now() + patience, opening)
            .await
            .unwrap_or(Err(SendError::ConnectTimeout))
    }

    async fn over_stream(&self, stream: Stream) -> Result<Lane, SendError> {
        Lane::open(stream, self.expiry()).await
    }

    fn expiry(&self) -> Instant {
        let spread = self.made.fetch_add(1, Ordering::Relaxed) * 37 % LIFE_SPREAD_SECONDS;
        Instant::now() + LIFE + Duration::from_secs(spread)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock()
    }

    fn take_idle(&self) -> Option<Lane> {
        let mut idle = self.idle();
        let Idle { lane, since } = idle.pop()?;
        let now = Instant::now();
        if now < since + IDLE && now < lane.expires {
            return Some(lane);
        }
        // Those below have been idle even longer, and the others' turn comes with the sweep.
        let over = if now < since + IDLE {
            Vec::new()
        } else {
            std::mem::take(&mut *idle)
        };
        drop(idle);
        drop((lane, over));
        None
    }

    /// Takes back a connection whose answer has come to its end.
    pub(super) fn put_back(&self, mut lane: Lane) {
        let now = Instant::now();
        if now < lane.expires && lane.is_free() {
            self.idle().push(Idle { lane, since: now });
        }
    }

    /// Closes what is over; says whether anything is left.
    pub(super) fn sweep(&self) -> bool {
        self.lanes.sweep();
        let now = Instant::now();
        let keep = |idle: &mut Idle| {
            idle.lane.look();
            now < idle.since + IDLE && now < idle.lane.expires && idle.lane.is_free()
        };
        let mut idle = self.idle();
        idle.retain_mut(keep);
        !idle.is_empty() || !self.lanes.is_empty()
    }
}
