//! One connection of the load, and one request over it.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// A connection, and the request that is sent over it again and again.
pub(crate) struct Connection {
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The whole answer came.
    Answered(Answered),
    /// 503 with `Retry-After`: an orderly refusal.
    Refused,
    /// Anything else.
    Failed(String),
}

/// A whole answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// Until the first byte of the body, from when the request should have been sent.
    pub(crate) first: Duration,
    /// Until the body's end.
    pub(crate) whole: Duration,
    /// Bytes of the body.
    pub(crate) bytes: u64,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Self> {
        let sender = Some(crate::targets::api::connect(address).await?);
        Ok(Self {
            address,
            request,
            sender,
        })
    }

    /// Sends the request and reads the answer to its end. Time counts from `start`, which may be past: that is when the
    /// request should have been sent.
    pub(crate) async fn exchange(&mut self, start: Instant) -> Outcome {
        match self.attempt(start).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.sender = None;
                Outcome::Failed(format!("{error:#}"))
            }
        }
    }

    async fn attempt(&mut self, start: Instant) -> anyhow::Result<Outcome> {
        let sender = match &mut self.sender {
            Some(sender) => sender,
            none => none.insert(crate::targets::api::connect(self.address).await?),
        };
        sender.ready().await.context("the connection was closed")?;
        let response = sender.send_request(self.request.clone()).await.context("no answer")?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let text = body.collect().await.context("the answer broke off")?.to_bytes();
            if head.status == StatusCode::SERVICE_UNAVAILABLE && head.headers.contains_key("retry-after") {
                return Ok(Outcome::Refused);
            }
            let text: String = String::from_utf8_lossy(&text).chars().take(200).collect();
            return Ok(Outcome::Failed(format!("{}: {text}", head.status)));
        }
        let mut first = None;
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the answer broke off")?;
            first.get_or_insert_with(|| start.elapsed());
            bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        let whole = start.elapsed();
        Ok(Outcome::Answered(Answered {
            first: first.unwrap_or(whole),
            whole,
            bytes,
        }))
    }
}
