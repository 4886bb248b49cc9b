//! Finds out when the peer's settings have arrived, which the HTTP/2 client does not tell.

use crate::upstream::stream::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// A stream that signals when the first frame, the peer's SETTINGS, has been read and processed: when more is read.
pub(super) struct SettingsStream {
    stream: Stream,
    read: usize,
    received: Option<Arc<Notify>>,
}

impl SettingsStream {
    /// The head of a frame; no peer sends less of the first frame and then waits.
    const FRAME_HEAD: usize = 9;

    pub(super) fn new(stream: Stream, received: Arc<Notify>) -> Self {
        Self {
            stream,
            read: 0,
            received: Some(received),
        }
    }
}

impl AsyncRead for SettingsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read >= Self::FRAME_HEAD
            && let Some(received) = this.received.take()
        {
            received.notify_one();
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.received.is_some() {
            this.read += buffer.filled().len() - before;
        }
        polled
    }
}

impl AsyncWrite for SettingsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
