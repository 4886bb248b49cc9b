//! Steady streams of requests, each with the moment when it was sent, the moment when its answer had ended, and the status.

use crate::targets::api::connect;
use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use parking_lot::{Mutex, MutexGuard};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// A request that takes longer counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection to one replica.
pub(crate) struct Lane {
    pub(crate) replica: usize,
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) replica: usize,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    /// 0: no whole answer came.
    pub(crate) status: u16,
}

impl Lane {
    /// Opens a connection.
    pub(crate) async fn open(replica: usize, address: SocketAddr) -> anyhow::Result<Self> {
        let sender = Some(connect(address).await?);
        Ok(Self {
            replica,
            address,
            sender,
        })
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Seen {
        let start = Instant::now();
        let status = match timeout(PATIENCE, self.attempt(request)).await {
            Ok(Ok(status)) => status,
            Ok(Err(_)) | Err(_) => {
                self.sender = None;
                0
            }
        };
        Seen {
            replica: self.replica,
            start,
            end: Instant::now(),
            status,
        }
    }

    async fn attempt(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<u16> {
        let sender = match &mut self.sender {
            Some(sender) => sender,
            none => none.insert(connect(self.address).await?),
        };
        sender.ready().await.context("the connection was closed")?;
        let response = sender.send_request(request).await.context("no answer")?;
        let status = response.status().as_u16();
        response.into_body().collect().await.context("the answer broke off")?;
        Ok(status)
    }
}

/// Requests under way on many lanes. Dropping it ends them.
pub(crate) struct Stream {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: JoinSet<Lane>,
}

impl Stream {
    /// On each lane a request every `period`, the lanes evenly one after the other. A lane whose answer takes longer sends its
    /// next request when it has come.
    pub(crate) fn start(lanes: Vec<(Lane, Request<Full<Bytes>>)>, period: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (mut tasks, begin) = (JoinSet::new(), Instant::now());
        let step = period / u32::try_from(lanes.len()).unwrap_or(u32::MAX).max(1);
        for (at, (mut lane, request)) in (0u32..).zip(lanes) {
            let (over, seen) = (Arc::clone(&over), Arc::clone(&seen));
            tasks.spawn(async move {
                let mut due = interval_at(begin + step * at, period);
                due.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    due.tick().await;
                    if over.load(Ordering::Acquire) {
                        return lane;
                    }
                    let one = lane.ask(request.clone()).await;
                    lock(&seen).push(one);
                }
            });
        }
        Self { over, seen, tasks }
    }

    /// All requests so far, in the order in which they ended.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        lock(&self.seen)
    }

    /// Lets all requests end; gives the lanes back, and what was seen.
    pub(crate) async fn stop(mut self) -> anyhow::Result<(Vec<Lane>, Vec<Seen>)> {
        self.over.store(true, Ordering::Release);
        let mut lanes = Vec::new();
        while let Some(lane) = self.tasks.join_next().await {
            lanes.push(lane.context("a lane broke")?);
        }
        let seen = std::mem::take(&mut *self.seen());
        Ok((lanes, seen))
    }
}

fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock()
}
