//! A request's body that has to be there in time.

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tonic::Status;

/// A body that fails once its time is over, unless it has ended.
pub(super) struct Deadline {
    body: Body,
    over: Pin<Box<Sleep>>,
}

impl Deadline {
    /// The time begins now.
    pub(super) fn new(body: Body, time: Duration) -> Self {
        let over = Box::pin(sleep(time));
        Self { body, over }
    }
}

impl HttpBody for Deadline {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // Before the body: one that always has a byte more is late all the same.
        if self.over.as_mut().poll(cx).is_ready() {
            let late = "the message did not come in time";
            return Poll::Ready(Some(Err(Status::deadline_exceeded(late))));
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map_err(|error| Status::unavailable(error.to_string()))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
