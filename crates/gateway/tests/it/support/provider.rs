//! A provider that says exactly what the test says, byte for byte, when it says so.

use super::client::find;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Provider {
    listener: TcpListener,
}

/// A request that came in, and the socket to answer it on.
pub(crate) struct Exchange {
    socket: TcpStream,
    pub(crate) line: String,
    /// `name: value`, names in lower case, in the order of arrival.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A new connection, unread.
    pub(crate) async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    /// The next request of a new connection.
    pub(crate) async fn next(&self) -> Exchange {
        let (socket, _) = self.listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        Exchange::read(socket).await
    }
}

impl Exchange {
    async fn read(mut socket: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = find(&bytes, b"\r\n\r\n") {
                break at + 4;
            }
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "closed before the head");
        };
        let head = String::from_utf8(bytes.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        let headers: Vec<String> = lines.collect();
        let length = headers
            .iter()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |n| n.parse().unwrap());
        while bytes.len() < length {
            assert!(
                socket.read_buf(&mut bytes).await.unwrap() > 0,
                "closed before the end of the body"
            );
        }
        Self {
            socket,
            line,
            headers,
            body: bytes,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.split_once(": ").filter(|(known, _)| *known == name))
            .map(|(_, value)| value)
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Sends bytes, to somebody who may have gone.
    pub(crate) async fn try_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// A whole answer of known length.
    pub(crate) async fn json(&mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n");
        self.raw(format!("{head}{body}").as_bytes()).await;
    }

    /// Begins a stream of events.
    pub(crate) async fn stream(&mut self) {
        self.raw(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
    }

    /// One chunk of it.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.raw(&chunk).await;
    }

    /// Its proper end.
    pub(crate) async fn end(&mut self) {
        self.raw(b"0\r\n\r\n").await;
    }

    /// The next request on this connection.
    pub(crate) async fn again(self) -> Self {
        Self::read(self.socket).await
    }

    /// Waits until the gateway hangs up.
    pub(crate) async fn until_closed(mut self) {
        let mut rest = Vec::new();
        let _ = self.socket.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }
}
