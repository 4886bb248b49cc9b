//! An HTTP/1.1 client that exposes every byte.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    socket: TcpStream,
    /// Read but not parsed yet.
    pending: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

/// How a body ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing requires.
    Proper,
    /// The connection was closed before.
    Cut,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Over a connection that is there already.
    pub(crate) fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            pending: Vec::new(),
        }
    }

    /// The connection, and what was read of it and not parsed.
    pub(crate) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.pending)
    }

    /// `line` is method and target; `headers` whole lines.
    pub(crate) async fn send(&mut self, line: &str, headers: &str, body: &[u8]) {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        self.write(format!("{line} HTTP/1.1\r\nhost: gw\r\n{headers}{length}\r\n").as_bytes())
            .await;
        self.write(body).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Says that nothing more will be sent; what comes is still read.
    pub(crate) async fn close_half(&mut self) {
        self.socket.shutdown().await.unwrap();
    }

    /// Like [`Self::write`], to a peer that may have closed the connection.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes).await
    }

    pub(crate) async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = find(&self.pending, b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.more().await,
                "closed before the head: {:?}",
                String::from_utf8_lossy(&self.pending)
            );
        };
        let head = String::from_utf8(self.pending.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Answer { status, headers }
    }

    /// The head, and the body to its end.
    pub(crate) async fn answer(&mut self) -> (Answer, Vec<u8>) {
        let head = self.head().await;
        let (body, end) = self.rest(&head).await;
        assert_eq!(end, End::Proper);
        (head, body)
    }

    /// The body to its end, without framing.
    pub(crate) async fn rest(&mut self, head: &Answer) -> (Vec<u8>, End) {
        if let Some(length) = head.header("content-length") {
            return self.exactly(length.parse().unwrap()).await;
        }
        let mut body = Vec::new();
        loop {
            match self.chunk().await {
                None => return (body, End::Cut),
                Some(chunk) if chunk.is_empty() => return (body, End::Proper),
                Some(chunk) => body.extend(chunk),
            }
        }
    }

    /// At least `count` bytes of a chunked body, in whole chunks.
    pub(crate) async fn at_least(&mut self, count: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < count {
            let chunk = self.chunk().await.expect("cut");
            assert!(
                !chunk.is_empty(),
                "the body ended after {:?}",
                String::from_utf8_lossy(&body)
            );
            body.extend(chunk);
        }
        body
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(line) = find(&self.pending, b"\r\n") {
                let size = std::str::from_utf8(&self.pending[..line]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                let whole = line + 2 + size + 2;
                if self.pending.len() >= whole {
                    let chunk = self.pending[line + 2..line + 2 + size].to_vec();
                    self.pending.drain(..whole);
                    return Some(chunk);
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, count: usize) -> (Vec<u8>, End) {
        while self.pending.len() < count {
            if !self.more().await {
                return (std::mem::take(&mut self.pending), End::Cut);
            }
        }
        (self.pending.drain(..count).collect(), End::Proper)
    }

    /// Waits until the peer hangs up, whatever it sends before.
    pub(crate) async fn until_closed(&mut self) {
        while self.more().await {}
    }

    async fn more(&mut self) -> bool {
        // A reset counts as an end, too.
        self.socket.read_buf(&mut self.pending).await.unwrap_or(0) > 0
    }
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
