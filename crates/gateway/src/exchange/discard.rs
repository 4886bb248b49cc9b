//! Unwanted bodies are read and discarded, within limits: if a connection is closed with unread bytes in it, the answer sent on
//! it is lost, and a connection whose answer was not read can't be used again.

use axum::body::Body;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body as _;
use lychgate_stream::discard;
use std::time::Duration;

/// How much of an unwanted body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiscardLimits {
    bytes: usize,
    time: Duration,
}

/// For a request that was refused before its token was looked at: there are many of those when the gateway is overloaded.
pub(crate) const REFUSED_EARLY: DiscardLimits = DiscardLimits {
    bytes: 1 << 20,
    time: Duration::from_secs(5),
};
/// For any other refused request.
pub(crate) const REFUSED: DiscardLimits = DiscardLimits {
    bytes: 64 << 20,
    time: Duration::from_secs(5),
};
/// For an answer that is not forwarded.
const ANSWER: DiscardLimits = DiscardLimits {
    bytes: 64 << 10,
    time: Duration::from_secs(1),
};

/// Discards what the client still sends, so that it gets to read why its request is refused. A client that waits for
/// `100 Continue` sends nothing.
pub(crate) async fn discard_request(headers: &HeaderMap, body: &mut Body, limits: DiscardLimits) {
    if !body.is_end_stream() && !headers.contains_key(EXPECT) {
        discard(body, limits.bytes, limits.time).await;
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
