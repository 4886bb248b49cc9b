//! One HTTP/1.1 connection, which serves one request at a time.
//!
//! There is no task per connection: waiting for the answer's head, or reading its body, drives it. That saves a task and two
//! task switches for each piece, and a connection whose request is dropped is closed at once. An idle one is polled only by the
//! sweep (`pool`) and by the request that takes it next.

use super::error::SendError;
use super::stream::Stream;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// Most header fields of an answer; some providers and the networks before them add dozens. Each costs every answer: the parser
/// clears room for all of them.
pub(crate) const ANSWER_FIELDS: usize = 160;

type Connection = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

/// An idle connection, or that of its owner's request.
pub(super) struct H1Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it is closed.
    connection: Option<Box<Connection>>,
    /// From when on it takes no more requests.
    pub(super) expires: Instant,
}

/// Why no head arrived, and the request, if it can't have been sent.
pub(super) struct Unanswered {
    pub(super) error: SendError,
    pub(super) unsent: Option<Request<Full<Bytes>>>,
}

impl H1Connection {
    pub(super) async fn open(stream: Stream, expires: Instant) -> Result<Self, SendError> {
        let (sender, connection) = http1::Builder::new()
            .max_headers(ANSWER_FIELDS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Broken)?;
        Ok(Self {
            sender,
            connection: Some(Box::new(connection)),
            expires,
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        let mut sending = std::pin::pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let sent = std::future::poll_fn(move |cx| {
            drive(connection, cx);
            sending.as_mut().poll(cx)
        });
        sent.await.map_err(|mut error| Unanswered {
            unsent: error.take_message(),
            error: SendError::Broken(error.into_error()),
        })
    }

    /// Drives the connection, while its body is being waited for.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Whether it can take a request. One that has not quite finished its last message is driven once.
    pub(super) fn is_ready(&mut self) -> bool {
        if self.connection.is_some() && !self.sender.is_ready() {
            self.poll();
        }
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Notices if the peer has closed it.
    pub(super) fn poll(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }
}

fn drive(connection: &mut Option<Box<Connection>>, cx: &mut Context<'_>) {
    // The request or the body gets the error as well; here it only means that the connection is closed.
    if let Some(open) = connection
        && let Poll::Ready(_) = Pin::new(&mut **open).poll(cx)
    {
        *connection = None;
    }
}
