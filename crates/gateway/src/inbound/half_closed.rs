//! Clients that close their half of an HTTP/1.1 connection behind their request and still want the answer. One that is gone looks
//! the same until something is sent to it, so a `100 Continue` is, which says nothing and which whoever is gone answers by a
//! reset.
//!
//! Not here: clients that leave once their answer has begun, HTTP/2, where the end of a connection is the end, and a connection that
//! has changed its protocol, in which a probe would be a part of a message.

use crate::inbound::listener::{Came, Use};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

const PROBE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// How long after the client's end to check for a reset: at first, and at most (the wait doubles). Nothing else would tell of one.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Hides the end of what the client sends for as long as its last request is being answered, unless that did not come whole.
#[derive(Debug)]
pub(super) struct HalfClosed {
    io: TcpStream,
    use_made: Arc<Use>,
    /// Something was sent behind the last byte that came.
    answering: bool,
    hidden: Option<Hidden>,
}

/// An end that came.
#[derive(Debug)]
struct Hidden {
    has_probed: bool,
    look: Pin<Box<Sleep>>,
    wait: Duration,
}

impl HalfClosed {
    pub(super) fn new(io: TcpStream, use_made: Arc<Use>) -> Self {
        Self {
            io,
            use_made,
            answering: false,
            hidden: None,
        }
    }

    /// An error where the client turns out to be gone.
    fn probe(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.use_made.takes_interim_answers()
            && let Poll::Ready(sent) = Pin::new(&mut self.io).poll_write(cx, PROBE)
            && sent? < PROBE.len()
        {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }
}

impl Hidden {
    fn new() -> Self {
        Self {
            has_probed: false,
            look: Box::pin(sleep(FIRST_LOOK)),
            wait: FIRST_LOOK,
        }
    }
}

impl AsyncRead for HalfClosed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        loop {
            ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
            if buffer.filled().len() > before {
                this.answering = false;
                return Poll::Ready(Ok(()));
            }
            let came = this.use_made.came();
            if came == Came::Unknown || (this.answering && this.hidden.is_none()) {
                return Poll::Ready(Ok(()));
            }
            // Not before: within a request, nothing may be sent to a client that does not expect it. Behind this end, no more comes.
            let hidden = this.hidden.get_or_insert_with(Hidden::new);
            if came != Came::Awaited && !std::mem::replace(&mut hidden.has_probed, true) {
                this.probe(cx)?;
            }
            // Reading tells of nothing but the end any more.
            if let Some(error) = this.io.take_error()? {
                return Poll::Ready(Err(error));
            }
            if let Some(hidden) = &mut this.hidden {
                ready!(hidden.look.as_mut().poll(cx));
                hidden.wait = (2 * hidden.wait).min(LAST_LOOK);
                hidden.look.as_mut().reset(Instant::now() + hidden.wait);
            }
            // The end may come with the rest of a body, of which the handler learns only after this. One that has had time to
            // take it and still waits for more gets no more.
            if came == Came::Awaited {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for HalfClosed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answering = true;
        Pin::new(&mut this.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answering = true;
        Pin::new(&mut this.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
