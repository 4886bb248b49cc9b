//! A provider that sends exactly the bytes that the test wants, when it wants them.

use super::client::find;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

pub(crate) struct Provider {
    address: SocketAddr,
    requests: Mutex<mpsc::UnboundedReceiver<Exchange>>,
}

/// A request, and the socket to answer it on.
pub(crate) struct Exchange {
    socket: TcpStream,
    requests: mpsc::UnboundedSender<Self>,
    pub(crate) line: String,
    /// `name: value`, names in lower case, in the order of arrival.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Connections are read concurrently: a pool also opens some that it does not use.
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                tokio::spawn(Exchange::read(socket, sender.clone()));
            }
        });
        Self {
            address,
            requests: Mutex::new(requests),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request, on any connection.
    pub(crate) async fn next(&self) -> Exchange {
        self.requests.lock().await.recv().await.unwrap()
    }
}

impl Exchange {
    /// Reads a request, if one arrives.
    async fn read(mut socket: TcpStream, requests: mpsc::UnboundedSender<Self>) {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = find(&bytes, b"\r\n\r\n") {
                break at + 4;
            }
            if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(bytes.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        let headers: Vec<String> = lines.collect();
        let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while bytes.len() < length {
            if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let exchange = Self {
            socket,
            requests: requests.clone(),
            line,
            headers,
            body: bytes,
        };
        // The receiver is gone when the test is over.
        let _ = requests.send(exchange);
    }

    /// Lets the connection be reused.
    pub(crate) fn done(self) {
        tokio::spawn(Self::read(self.socket, self.requests));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.split_once(": ").filter(|(known, _)| *known == name))
            .map(|(_, value)| value)
    }

    /// The connection, for another protocol.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// The peer of the connection.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.socket.peer_addr().unwrap()
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// The same, to a peer that may be gone.
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

    /// Waits until the gateway hangs up.
    pub(crate) async fn until_closed(mut self) {
        let mut rest = Vec::new();
        let _ = self.socket.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }
}
