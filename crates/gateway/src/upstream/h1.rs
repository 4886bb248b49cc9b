//! One HTTP/1.1 connection, which serves one request at a time.
//!
//! Nothing runs beside the request: whoever waits for the answer's head, or reads its body, moves the connection on. That
//! saves a task and two changes between tasks for each piece, and a connection whose request is dropped is closed at once.
//! An idle one is looked after by nobody but the sweep (`pool`) and whoever takes it next.

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

type Connection = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

/// A connection that has no request, or the one of its owner.
pub(super) struct Lane {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has come to its end.
    connection: Option<Box<Connection>>,
    /// From when on it takes no further request.
    pub(super) expires: Instant,
}

/// Why no head came on this connection, and the request, if it can't have been sent.
pub(super) struct Unanswered {
    pub(super) error: SendError,
    pub(super) unsent: Option<Request<Full<Bytes>>>,
}

impl Lane {
    pub(super) async fn open(stream: Stream, expires: Instant) -> Result<Self, SendError> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
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

    /// Moves the connection on, for somebody who waits for its body.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Whether it can take a request. One that is still about its last message gets a push to finish it.
    pub(super) fn is_free(&mut self) -> bool {
        if self.connection.is_some() && !self.sender.is_ready() {
            self.look();
        }
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Sees whether the other side has closed it meanwhile.
    pub(super) fn look(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }
}

fn drive(connection: &mut Option<Box<Connection>>, cx: &mut Context<'_>) {
    // An error is told to the request or the body as well; here it only means that the connection is over.
    if let Some(open) = connection
        && let Poll::Ready(_) = Pin::new(&mut **open).poll(cx)
    {
        *connection = None;
    }
}
