//! One end of a relayed WebSocket: the next message from it, and the one that is on its way to it. There is one such message at a
//! time, and what is held of it, or has come of the next one, takes room like a request's body: who does not read holds no more.
//! Where there is none, a message of the client is refused, and one of the provider is read no further until there is some.

use super::Connection;
use crate::body_budget::{BodyBudget, MessageRoom};
use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use lychgate_types::Holder;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// Largest message of a client.
pub(crate) const CLIENT_MESSAGE: usize = 16 << 20;
/// Largest message of a provider.
pub(crate) const PROVIDER_MESSAGE: usize = 64 << 20;
/// A message is written in frames of so many bytes, since a buffer that once held a long one stays as long.
const FRAME: usize = 64 << 10;
const READ_BUFFER: usize = 8 << 10;
/// What waits to be written at most: a frame, and answers to pings. Of further answers that nobody takes, only the last is kept.
const WRITE_BUFFER: usize = 4 * FRAME;

/// One end.
pub(super) struct Peer {
    socket: WebSocketStream<Metered>,
    outgoing: Option<Outgoing>,
    /// Something was written that may not have been sent.
    flushing: bool,
    /// Since when the last message has been on its way.
    writes_since: Instant,
    /// What came could not be read, so that nothing behind it can.
    unreadable: bool,
}

/// What is still to be written.
enum Outgoing {
    Text {
        rest: Bytes,
        has_begun: bool,
        _room: Option<MessageRoom>,
    },
    Other(Message),
}

/// What has happened at an end.
pub(super) enum Turn {
    /// What was to be sent has been sent.
    Sent,
    Text(Utf8Bytes, MessageRoom),
    /// A message that is no text.
    Binary,
    /// A ping or a pong.
    Sign,
    Closed(Option<CloseFrame>),
    Failed(Error),
}

impl Peer {
    pub(super) async fn new(
        connection: Connection,
        role: Role,
        most: usize,
        budget: &Arc<BodyBudget>,
        holder: Holder,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let now = Instant::now();
        let metered = Metered {
            io: connection,
            room: budget.message_room(holder),
            came: 0,
            total: 0,
            heard: now,
            taken: now,
            waiting: None,
            waits: role == Role::Client,
            budget: Arc::clone(budget),
            holder,
        };
        Self {
            socket: WebSocketStream::from_raw_socket(metered, role, Some(config)).await,
            outgoing: None,
            flushing: false,
            writes_since: now,
            unreadable: false,
        }
    }

    /// Whether a message is on its way, so that there is no room for another.
    pub(super) fn is_writing(&self) -> bool {
        self.outgoing.is_some() || self.flushing
    }

    /// When a byte came last.
    pub(super) fn heard(&self) -> Instant {
        self.socket.get_ref().heard
    }

    /// It is not listened to at present, so that its silence means nothing.
    pub(super) fn excuse_silence(&mut self) {
        self.socket.get_mut().heard = Instant::now();
    }

    /// Since when it has taken nothing of what is on its way; `None` where nothing is.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        self.is_writing()
            .then(|| self.writes_since.max(self.socket.get_ref().taken))
    }

    /// Since when the message that is on its way has been so; `None` where none is.
    pub(super) fn writing_since(&self) -> Option<Instant> {
        self.is_writing().then_some(self.writes_since)
    }

    /// Whether there is no room for what it says, so that it is not read from.
    pub(super) fn waits_for_room(&self) -> bool {
        self.socket.get_ref().waiting.is_some()
    }

    /// How many bytes have come, those of pings, too.
    pub(super) fn came(&self) -> u64 {
        self.socket.get_ref().total
    }

    /// Sends a text, in as many frames as it takes. Only for an end that is not writing.
    pub(super) fn send_text(&mut self, text: impl Into<Utf8Bytes>, room: Option<MessageRoom>) {
        self.send(Outgoing::Text {
            rest: Bytes::from(text.into()),
            has_begun: false,
            _room: room,
        });
    }

    /// Asks whether anybody is there, where nothing else is being sent.
    pub(super) fn ping(&mut self) {
        if !self.is_writing() {
            self.send(Outgoing::Other(Message::Ping(Bytes::new())));
        }
    }

    pub(super) fn send_close(&mut self, frame: Option<CloseFrame>) {
        self.send(Outgoing::Other(Message::Close(frame)));
    }

    fn send(&mut self, outgoing: Outgoing) {
        self.writes_since = Instant::now();
        self.outgoing = Some(outgoing);
    }

    /// The next thing that happens. Nothing is lost if it is not awaited to its end.
    pub(super) async fn turn(&mut self, may_read: bool) -> Turn {
        std::future::poll_fn(|cx| self.poll_turn(cx, may_read)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Turn> {
        if self.is_writing()
            && let Poll::Ready(written) = self.poll_write(cx)
        {
            return Poll::Ready(written.map_or_else(Turn::Failed, |()| Turn::Sent));
        }
        if !may_read {
            return Poll::Pending;
        }
        let message = ready!(Pin::new(&mut self.socket).poll_next(cx));
        Poll::Ready(match message {
            None => Turn::Closed(None),
            Some(Err(error)) => {
                self.unreadable = true;
                Turn::Failed(error)
            }
            Some(Ok(message)) => {
                let metered = self.socket.get_mut();
                match message {
                    Message::Text(text) => Turn::Text(text, metered.message_came()),
                    Message::Binary(_) | Message::Frame(_) => {
                        drop(metered.message_came());
                        Turn::Binary
                    }
                    Message::Ping(payload) | Message::Pong(payload) => {
                        metered.sign_came(payload.len());
                        Turn::Sign
                    }
                    Message::Close(frame) => Turn::Closed(frame),
                }
            }
        })
    }

    /// Takes whatever still comes from an end that can't be read, until it hangs up: closed before, it might lose what it was told.
    pub(super) async fn discard(&mut self) {
        if self.unreadable {
            let mut piece = vec![0; READ_BUFFER];
            let io = &mut self.socket.get_mut().io;
            while matches!(io.read(&mut piece).await, Ok(1..)) {}
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut socket = Pin::new(&mut self.socket);
        while let Some(outgoing) = &mut self.outgoing {
            ready!(socket.as_mut().poll_ready(cx))?;
            let (message, is_last) = outgoing.next();
            let written = socket.as_mut().start_send(message);
            self.flushing = true;
            if is_last || written.is_err() {
                self.outgoing = None;
            }
            written?;
        }
        ready!(socket.poll_flush(cx))?;
        self.flushing = false;
        Poll::Ready(Ok(()))
    }
}

impl Outgoing {
    /// What is written next, and whether that is all.
    fn next(&mut self) -> (Message, bool) {
        match self {
            Self::Other(message) => (std::mem::replace(message, Message::Pong(Bytes::new())), true),
            Self::Text { rest, has_begun, .. } => {
                let piece = rest.split_to(rest.len().min(FRAME));
                let kind = if *has_begun { Data::Continue } else { Data::Text };
                *has_begun = true;
                let is_last = rest.is_empty();
                let frame = Frame::message(piece, OpCode::Data(kind), is_last);
                (Message::Frame(frame), is_last)
            }
        }
    }
}

/// A connection of which is counted what has come since the last whole message.
struct Metered {
    io: Connection,
    room: MessageRoom,
    came: usize,
    total: u64,
    /// When bytes came last, and when some were taken last.
    heard: Instant,
    taken: Instant,
    /// Until there is room.
    waiting: Option<Pin<Box<OwnedNotified>>>,
    /// Whether it waits for room, instead of failing.
    waits: bool,
    budget: Arc<BodyBudget>,
    holder: Holder,
}

/// There is no room for what comes.
#[derive(Debug, thiserror::Error)]
#[error("there is no room for this message")]
pub(super) struct Crowded(pub(super) crate::body_budget::NoRoom);

impl Metered {
    /// A message is whole: the room that it takes.
    fn message_came(&mut self) -> MessageRoom {
        self.came = 0;
        std::mem::replace(&mut self.room, self.budget.message_room(self.holder))
    }

    /// A ping or a pong came, perhaps amid the frames of a message: they are held on, and so is their room.
    fn sign_came(&mut self, payload: usize) {
        /// Two bytes lead each; the four of a client's mask are let be.
        const HEAD: usize = 2;
        self.came = self.came.saturating_sub(HEAD + payload);
    }

    /// Room for as much more.
    fn poll_room(&mut self, cx: &mut Context<'_>, more: usize) -> Poll<()> {
        while self.room.grow_past(self.came + more).is_err() {
            match &mut self.waiting {
                Some(waiting) => {
                    ready!(waiting.as_mut().poll(cx));
                    self.waiting = None;
                }
                // Asked again behind it, lest what is freed in between is missed.
                None => self.waiting = Some(Box::pin(self.budget.freed())),
            }
        }
        self.waiting = None;
        Poll::Ready(())
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.waits {
            ready!(this.poll_room(cx, buffer.remaining().min(READ_BUFFER)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        let came = buffer.filled().len() - before;
        this.came += came;
        this.total += came as u64;
        if came > 0 {
            this.heard = Instant::now();
        }
        if this.waits {
            return Poll::Ready(Ok(()));
        }
        let grown = this.room.grow(this.came);
        Poll::Ready(grown.map_err(|no_room| io::Error::other(Crowded(no_room))))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        if written > 0 {
            this.taken = Instant::now();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
