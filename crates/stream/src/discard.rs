//! Reading what nobody wants, so that the other side gets to read our answer.

use http_body::Body;
use http_body_util::BodyExt as _;
use std::time::Duration;

/// Reads and forgets at most `bytes` bytes for at most `time`. Closing a connection with unread bytes in it makes the
/// kernel reset it, and the peer, still writing, may never see the answer that was sent.
pub async fn discard<B>(body: &mut B, bytes: usize, time: Duration)
where
    B: Body + Unpin,
{
    let mut left = bytes;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, bytes::Buf::remaining);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Either end is fine: what matters is that it ends.
    let _ = tokio::time::timeout(time, reading).await;
}
