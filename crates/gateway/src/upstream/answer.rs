//! The body of a provider's answer, and the connection that it arrives on.

use super::h1::H1Connection;
use super::h2::StreamPermit;
use super::pool::Pool;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A body as it arrives. At its end the connection returns to its pool; if it is dropped before, an HTTP/1.1 connection is
/// closed and an HTTP/2 stream reset.
pub(crate) struct Answer {
    body: Incoming,
    held: Held,
}

enum Held {
    H1(H1Connection, Arc<Pool>),
    H2(#[expect(dead_code, reason = "held until the body ends")] StreamPermit),
    Nothing,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Answer").field(&self.body).finish()
    }
}

impl Answer {
    pub(super) fn over_h1(body: Incoming, connection: H1Connection, pool: Arc<Pool>) -> Self {
        Self::new(body, Held::H1(connection, pool))
    }

    pub(super) fn over_h2(body: Incoming, permit: StreamPermit) -> Self {
        Self::new(body, Held::H2(permit))
    }

    fn new(body: Incoming, held: Held) -> Self {
        let mut answer = Self { body, held };
        // It may never be polled.
        if answer.body.is_end_stream() {
            answer.release();
        }
        answer
    }

    fn release(&mut self) {
        if let Held::H1(connection, pool) = std::mem::replace(&mut self.held, Held::Nothing) {
            pool.put_back(connection);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let mut polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending()
            && let Held::H1(connection, _) = &mut this.held
        {
            connection.drive(cx);
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(Some(Ok(_))) if this.body.is_end_stream() => this.release(),
            Poll::Ready(None) => this.release(),
            Poll::Ready(Some(Err(_))) => this.held = Held::Nothing,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
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
