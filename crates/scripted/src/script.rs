//! What is sent in answer to one request, to the byte.

use bytes::Bytes;
use std::time::Duration;

/// One thing that an answer's body does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes as one frame.
    Send(Bytes),
    /// Sends nothing for this long.
    Pause(Duration),
    /// Closes the connection in the middle of the body, once all that came before has been handed to the network.
    Close,
    /// The same with a TCP reset.
    Reset,
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
