//! Looking at the beginning of an answer before its head goes to the client: a success without a body is a failure.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Longest wait for the first piece. A connection that closes after the head does so at once; a slow answer is not delayed
/// by more than this, and its first piece not at all.
pub(crate) const GRACE: Duration = Duration::from_millis(25);

/// A body whose first frame may have been read already, or its failure.
#[derive(Debug)]
pub(crate) struct Peeked<B: Body> {
    first: Option<Result<Frame<Bytes>, B::Error>>,
    /// What came behind that, where more than one was read.
    second: Option<Box<Result<Frame<Bytes>, B::Error>>>,
    rest: B,
}

impl<B: Body> Peeked<B> {
    pub(crate) fn new(first: Option<Result<Frame<Bytes>, B::Error>>, rest: B) -> Self {
        Self {
            first,
            second: None,
            rest,
        }
    }

    pub(crate) fn with_second(
        first: Result<Frame<Bytes>, B::Error>,
        second: Option<Result<Frame<Bytes>, B::Error>>,
        rest: B,
    ) -> Self {
        Self {
            first: Some(first),
            second: second.map(Box::new),
            rest,
        }
    }

    /// What was read already.
    pub(crate) fn first(&self) -> Option<&Bytes> {
        self.first.as_ref()?.as_ref().ok()?.data_ref()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Peeked<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        match this.first.take().or_else(|| this.second.take().map(|second| *second)) {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut this.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.second.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.rest.size_hint();
        let held = self.first().map_or(0, Bytes::len) as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + held);
        }
        hint.set_lower(hint.lower() + held);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Full};

    #[tokio::test]
    async fn what_was_looked_at_is_still_there() {
        let second = Frame::data(Bytes::from_static(b"-second"));
        let first = Frame::data(Bytes::from_static(b"first"));
        let rest = Full::new(Bytes::from_static(b"-rest"));
        let body = Peeked::with_second(Ok(first), Some(Ok(second)), rest);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "first-second-rest");
        let rest = Full::new(Bytes::from_static(b"-rest"));
        let first = Frame::data(Bytes::from_static(b"first"));
        let body = Peeked::new(Some(Ok(first)), rest);
        assert_eq!(body.size_hint().exact(), Some(10));
        assert!(!body.is_end_stream());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "first-rest");
        let mut body = Peeked::new(Some(Ok(Frame::data(Bytes::from_static(b"all")))), Full::default());
        assert!(!body.is_end_stream());
        body.frame().await;
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }
}
