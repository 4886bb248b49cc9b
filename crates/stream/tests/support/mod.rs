//! A scripted body.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) enum Step {
    Data(&'static str),
    Trailers,
    Broken,
    /// Nothing more, forever.
    Silence,
}

/// A body that follows a script.
pub(crate) struct Scripted {
    pub(crate) steps: VecDeque<Step>,
    pub(crate) knows_length: bool,
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.steps.pop_front() {
            Some(Step::Data(text)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))),
            Some(Step::Trailers) => Poll::Ready(Some(Ok(Frame::trailers(Default::default())))),
            Some(Step::Broken) => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
            Some(Step::Silence) => {
                self.steps.push_front(Step::Silence);
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_length && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self
            .steps
            .iter()
            .map(|step| {
                if let Step::Data(text) = step {
                    text.len() as u64
                } else {
                    0
                }
            })
            .sum();
        if self.knows_length {
            SizeHint::with_exact(length)
        } else {
            SizeHint::default()
        }
    }
}

/// A body of unknown length.
pub(crate) fn scripted(steps: Vec<Step>) -> Scripted {
    Scripted {
        steps: steps.into(),
        knows_length: false,
    }
}
