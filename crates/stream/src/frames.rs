//! A connection whose peer may not keep us busy with frames that ask for nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length of a frame's head: three bytes of length, type, flags, four of the stream.
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Frames that bring nothing, allowed at once.
pub const FRAMES_AT_ONCE: u64 = 4096;
/// Further ones by the second.
pub const FRAMES_PER_SECOND: u64 = 128;
/// Further ones with each request: a priority, a window, a reset.
const FRAMES_PER_REQUEST: u64 = 4;
/// One more for so many bytes in either direction: who is sent much has to give windows back.
const BYTES_PER_FRAME: u64 = 1024;

/// Fails reading from an HTTP/2 peer that sends more frames without content (`PRIORITY`, `WINDOW_UPDATE`, `PING`, `SETTINGS`,
/// empty `DATA`, types that nobody knows) than its traffic explains, which would cost us a core and it next to nothing.
/// Every byte is passed on unchanged, and other protocols are not looked at.
#[derive(Debug)]
pub struct Framed<T> {
    io: T,
    state: State,
    idle_frames: u64,
    bytes: u64,
    since: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// So many bytes of the preface have come.
    Preface(usize),
    /// So many bytes of a frame's head have come.
    Head([u8; HEAD], usize),
    /// So many bytes of a frame's content are still to come.
    Content(u64),
    /// It is not HTTP/2.
    Other,
}

impl<T> Framed<T> {
    /// Watches what is read.
    pub const fn new(io: T) -> Self {
        Self {
            io,
            state: State::Preface(0),
            idle_frames: 0,
            bytes: 0,
            since: None,
        }
    }

    fn look(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Other => return Ok(()),
                State::Preface(seen) => {
                    let wanted = &PREFACE[*seen..];
                    let count = wanted.len().min(bytes.len());
                    if bytes[..count] != wanted[..count] {
                        self.state = State::Other;
                        return Ok(());
                    }
                    *seen += count;
                    bytes = &bytes[count..];
                    if *seen == PREFACE.len() {
                        self.state = State::Head([0; HEAD], 0);
                    }
                }
                State::Head(head, seen) => {
                    let count = (HEAD - *seen).min(bytes.len());
                    head[*seen..*seen + count].copy_from_slice(&bytes[..count]);
                    *seen += count;
                    bytes = &bytes[count..];
                    if *seen == HEAD {
                        let [a, b, c, kind, ..] = *head;
                        let length = u64::from(u32::from_be_bytes([0, a, b, c]));
                        self.state = State::Content(length);
                        self.frame(kind, length)?;
                    }
                }
                State::Content(left) => {
                    let count = (*left).min(bytes.len() as u64);
                    *left -= count;
                    self.bytes += count;
                    bytes = &bytes[usize::try_from(count).unwrap_or(bytes.len())..];
                }
            }
            if let State::Content(0) = self.state {
                self.state = State::Head([0; HEAD], 0);
            }
        }
        Ok(())
    }

    fn frame(&mut self, kind: u8, length: u64) -> io::Result<()> {
        if kind == DATA && length > 0 {
            return Ok(());
        }
        // Requests are limited elsewhere, and some frames go with each.
        if kind == HEADERS {
            self.bytes += FRAMES_PER_REQUEST * BYTES_PER_FRAME;
            return Ok(());
        }
        self.idle_frames += 1;
        if self.idle_frames <= FRAMES_AT_ONCE {
            return Ok(());
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let allowed = FRAMES_AT_ONCE + self.bytes / BYTES_PER_FRAME + since.elapsed().as_secs() * FRAMES_PER_SECOND;
        if self.idle_frames <= allowed {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "too many frames that ask for nothing",
        ))
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.bytes += *count as u64;
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Framed<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        if matches!(this.state, State::Other) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(this.look(&buffer.filled()[before..]))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Framed<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bytes);
        this.wrote(written)
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
