//! What is sent in answer to one request, to the byte.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// One thing that an answer's body does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes as one frame.
    Send(Bytes),
    /// Sends nothing for this long.
    Pause(Duration),
    /// Sends nothing until the gate is open.
    Wait(Gate),
    /// Closes the connection in the middle of the body, once all that came before has been handed to the network.
    Close,
    /// The same with a TCP reset.
    Reset,
}

/// Holds answers up until a caller opens it; open, it stays so. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gate {}

impl Gate {
    /// Lets all through that wait, and all that come.
    pub fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn opened(self) {
        // There is never a permit: the only way on is the end.
        let _ = self.0.acquire().await;
    }
}

/// A whole answer: head, then steps. Without [`Step::Close`] or [`Step::Reset`] the body ends as HTTP says it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// How long the head lets wait.
    pub delay: Duration,
    /// The HTTP status; one that is not a status is sent as 500.
    pub status: u16,
    /// Header names and values. With a `content-length` here the body is framed by it, else it is chunked.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub steps: Vec<Step>,
}

impl Script {
    /// A blocking answer of JSON.
    pub fn json(status: u16, text: String) -> Self {
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("content-length", text.len().to_string()),
        ];
        Self {
            delay: Duration::ZERO,
            status,
            headers,
            steps: vec![Step::Send(text.into())],
        }
    }

    /// A stream of events, one frame each.
    pub fn events(events: impl IntoIterator<Item = Bytes>) -> Self {
        let headers = vec![
            ("content-type", "text/event-stream; charset=utf-8".to_owned()),
            ("cache-control", "no-cache".to_owned()),
        ];
        Self {
            delay: Duration::ZERO,
            status: 200,
            headers,
            steps: events.into_iter().map(Step::Send).collect(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The body's bytes, without the pauses and whatever end it comes to.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for step in &self.steps {
            if let Step::Send(bytes) = step {
                all.extend_from_slice(bytes);
            }
        }
        all
    }
}
