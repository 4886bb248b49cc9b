//! A body whose small pieces go on together.

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A piece of this size goes on as it is: copying it would cost more than a further piece does.
const LARGE: usize = 4 << 10;
/// Joined pieces grow no further beyond this.
const ENOUGH: usize = 16 << 10;

/// Joins the small pieces that are there at the same moment: everybody on a body's way works per piece, and a fast stream of
/// events comes in thousands of them. Nothing is waited for, and the bytes are the same.
#[derive(Debug)]
pub struct Joined<B: Body> {
    body: B,
    /// What came behind the last piece and is no data.
    next: Option<Result<Frame<B::Data>, B::Error>>,
    /// The end came behind the last piece.
    ended: bool,
}

impl<B: Body> Joined<B> {
    /// Joins the pieces of `body`.
    pub const fn new(body: B) -> Self {
        Self {
            body,
            next: None,
            ended: false,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Joined<B>
where
    B::Error: Unpin,
{
    fn join(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut joined = BytesMut::new();
        let mut length = first.len();
        while length < ENOUGH && !self.body.is_end_stream() {
            let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(cx) else {
                break;
            };
            match next.map(|next| next.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    if joined.is_empty() {
                        joined.reserve((8 * (length + data.len())).min(ENOUGH + data.len()));
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&data);
                    length = joined.len();
                }
                Some(Ok(Err(trailers))) => {
                    self.next = Some(Ok(trailers));
                    break;
                }
                Some(Err(error)) => {
                    self.next = Some(Err(error));
                    break;
                }
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        if joined.is_empty() { first } else { joined.freeze() }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Joined<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if this.ended || this.next.is_some() {
            return Poll::Ready(this.next.take());
        }
        match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(data) if data.len() < LARGE => Frame::data(this.join(data, cx)),
                Ok(data) => Frame::data(data),
                Err(trailers) => trailers,
            }))),
            other => Poll::Ready(other),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
