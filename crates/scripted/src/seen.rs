//! What the provider was asked, as far as memory allows.

use bytes::Bytes;
use http::HeaderMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MOST_REQUESTS: usize = 512;
const MOST_BYTES: usize = 32 << 20;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Every header, credentials too: the listing over HTTP leaves their values out.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    pub(crate) sent: Sent,
}

/// How much of an answer's body was sent so far; clones count the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(Arc<AtomicUsize>);

impl Sent {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl SeenRequest {
    /// The header's value where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Bytes of the answer's body that were given to the network so far.
    pub fn sent_bytes(&self) -> usize {
        self.sent.0.load(Ordering::Relaxed)
    }
}

/// The newest requests: at most 512, and at most 32 MiB of bodies.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    requests: VecDeque<SeenRequest>,
    bytes: usize,
}

impl Seen {
    /// Keeps a request, and lets go of the oldest ones where there is no room.
    pub(crate) fn push(&mut self, request: SeenRequest) {
        self.bytes += request.body.len();
        self.requests.push_back(request);
        while self.requests.len() > MOST_REQUESTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.bytes -= oldest.body.len();
        }
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<SeenRequest> {
        self.requests.iter().cloned().collect()
    }

    /// Oldest first; none of them is kept.
    pub(crate) fn take(&mut self) -> Vec<SeenRequest> {
        self.bytes = 0;
        self.requests.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_many_nor_long_requests_fill_the_memory() {
        let request = |length| SeenRequest {
            method: "POST".into(),
            path: "/".into(),
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; length]),
            sent: Sent::default(),
        };
        let mut seen = Seen::default();
        for _ in 0..MOST_REQUESTS + 10 {
            seen.push(request(1));
        }
        assert_eq!(seen.all().len(), MOST_REQUESTS);
        seen.push(request(MOST_BYTES));
        assert_eq!(seen.all().len(), 1);
        seen.push(request(1));
        assert_eq!(seen.all().len(), 1);
        assert_eq!(seen.bytes, 1);
        assert_eq!((seen.take().len(), seen.take().len(), seen.bytes), (1, 0, 0));
    }
}
