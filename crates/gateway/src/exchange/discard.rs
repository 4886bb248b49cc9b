//! Unwanted bodies are read and discarded, within limits: if a connection is closed with unread bytes in it, the answer sent on
//! it is lost, and a connection whose answer was not read can't be used again.

use axum::body::Body;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body as _;
use lychgate_link::places::Place;
use lychgate_stream::discard;
use std::time::Duration;

/// How much of an unwanted body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiscardLimits {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// For a refused request.
pub(crate) const REFUSED: DiscardLimits = DiscardLimits {
    bytes: 64 << 20,
    time: Duration::from_secs(5),
};
/// For an answer that is not forwarded.
pub(crate) const ANSWER: DiscardLimits = DiscardLimits {
    bytes: 64 << 10,
    time: Duration::from_secs(1),
};

/// Who sent a request that is refused.
#[derive(Debug)]
pub(crate) enum Sender {
    /// Somebody with a good token.
    Known,
    /// Somebody without one, and the place for reading the body on, where one was free.
    Stranger(Option<Place>),
}

/// Discards what the client still sends, so that it gets to read why its request is refused. A client that waits for
/// `100 Continue` sends nothing; over HTTP/2 the stream is reset once the answer is sent, which costs neither side anything.
pub(crate) async fn discard_request(head: &Parts, body: &mut Body, sender: Sender) {
    let is_needed = head.version < Version::HTTP_2 && !body.is_end_stream() && !head.headers.contains_key(EXPECT);
    if is_needed && !matches!(sender, Sender::Stranger(None)) {
        discard(body, REFUSED.bytes, REFUSED.time).await;
    }
}

/// Discards the rest of an answer in the background, so that its connection can be used again.
pub(crate) fn discard_answer<B>(mut body: B)
where
    B: http_body::Body + Unpin + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    tokio::spawn(async move { discard(&mut body, ANSWER.bytes, ANSWER.time).await });
}
