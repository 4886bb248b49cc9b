//! The body of a provider's answer, and the connection that it comes on.

use super::h1::Lane;
use super::h2::Stay;
use super::pool::Pool;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A body as it comes. At its end the connection goes back to its pool; dropped before, an HTTP/1.1 connection is closed
/// and an HTTP/2 stream reset.
pub(crate) struct Answer {
    body: Incoming,
    held: Held,
}

enum Held {
    H1(Lane, Arc<Pool>),
    H2(#[expect(dead_code, reason = "held for its place until the body ends")] Stay),
    Nothing,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Answer").field(&self.body).finish()
    }
}

impl Answer {
    pub(super) fn over_h1(body: Incoming, lane: Lane, pool: Arc<Pool>) -> Self {
        Self::new(body, Held::H1(lane, pool))
    }

    pub(super) fn over_h2(body: Incoming, stay: Stay) -> Self {
        Self::new(body, Held::H2(stay))
    }

    fn new(body: Incoming, held: Held) -> Self {
        let mut answer = Self { body, held };
        // Nobody may ever poll it.
        if answer.body.is_end_stream() {
            answer.give_back();
        }
        answer
    }

    fn give_back(&mut self) {
        if let Held::H1(lane, pool) = std::mem::replace(&mut self.held, Held::Nothing) {
            pool.put_back(lane);
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
            && let Held::H1(lane, _) = &mut this.held
        {
            lane.drive(cx);
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(Some(Ok(_))) if this.body.is_end_stream() => this.give_back(),
            Poll::Ready(None) => this.give_back(),
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
