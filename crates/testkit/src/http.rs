//! A small HTTP client for tests: a connection per request, every byte of the body, and how the body ended.

use crate::wait::DEADLINE;
use ::http::{HeaderMap, Method, Request, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::Shutdown;
use std::time::Duration;
use tokio::net::TcpStream;

/// A request being made.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as far as it came.
    pub body: Vec<u8>,
    /// The body broke off instead of ending.
    pub broken: bool,
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct Open {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    socket: std::net::TcpStream,
}

/// `GET`.
pub fn get(url: impl Into<String>) -> Call {
    Call::new(Method::GET, url)
}

/// `POST`.
pub fn post(url: impl Into<String>) -> Call {
    Call::new(Method::POST, url)
}

impl Call {
    /// Any method.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets the body, as JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    /// Sets the body to this text and says that it is JSON, whether or not it is.
    #[must_use]
    pub fn text(mut self, body: &str) -> Self {
        self.body = Bytes::copy_from_slice(body.as_bytes());
        self.header("content-type", "application/json")
    }

    /// Sends it and waits for the answer's head.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn open(self) -> Open {
        self.try_open().await.unwrap_or_else(|why| panic!("no answer: {why}"))
    }

    /// The same, for a server that may be gone.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn try_open(self) -> Result<Open, String> {
        let what = format!("{} {}", self.method, self.url);
        let sent = tokio::time::timeout(DEADLINE, self.exchange()).await;
        match sent {
            Ok(Ok(open)) => Ok(open),
            Ok(Err(why)) => Err(format!("{what}: {why}")),
            Err(_) => Err(format!("{what}: no head within {DEADLINE:?}")),
        }
    }

    async fn exchange(self) -> Result<Open, Box<dyn std::error::Error + Send + Sync>> {
        let uri: Uri = self.url.parse()?;
        let authority = uri.authority().ok_or("the URL names no host")?.as_str().to_owned();
        let stream = TcpStream::connect(&authority).await?;
        stream.set_nodelay(true)?;
        let stream = stream.into_std()?;
        let socket = stream.try_clone()?;
        let stream = TcpStream::from_std(stream)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the body, or when that is dropped.
        tokio::spawn(connection);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::builder()
            .method(self.method)
            .uri(target)
            .header("host", authority);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let response = sender.send_request(request.body(Full::new(self.body))?).await?;
        let (head, body) = response.into_parts();
        Ok(Open {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            socket,
        })
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Answer {
        self.open().await.rest().await
    }
}

impl Open {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The body broke off.
    ///
    /// # Panics
    /// When nothing comes.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ()> {
        loop {
            match tokio::time::timeout(DEADLINE, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(_))) => return Err(()),
                Err(_) => panic!("the body stands still"),
            }
        }
    }

    /// The bytes that come until nothing has come for this long, or the body ends.
    pub async fn until_quiet(&mut self, quiet: Duration) -> Vec<u8> {
        let mut all = Vec::new();
        while let Ok(Ok(Some(bytes))) = tokio::time::timeout(quiet, self.next()).await {
            all.extend_from_slice(&bytes);
        }
        all
    }

    /// Reads until at least so many bytes have come, or the body ends.
    pub async fn at_least(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count
            && let Ok(Some(bytes)) = self.next().await
        {
            all.extend_from_slice(&bytes);
        }
        all
    }

    /// Leaves, and waits until the server has noticed: it closes the connection in its turn.
    pub async fn leave(mut self) {
        // Closed by the server already, there is nothing to leave.
        let _ = self.socket.shutdown(Shutdown::Write);
        while let Ok(Some(_)) = self.next().await {}
    }

    /// Reads the body to its end.
    pub async fn rest(mut self) -> Answer {
        let mut body = Vec::new();
        let broken = loop {
            match self.next().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) => break false,
                Err(()) => break true,
            }
        };
        Answer {
            status: self.status,
            headers: self.headers,
            body,
            broken,
        }
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {} {}", self.status, self.text()))
    }

    /// A header's text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Checks the status.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}
