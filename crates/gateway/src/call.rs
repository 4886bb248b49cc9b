//! Waiting for the head of a provider's answer, so that a client that leaves meanwhile still leaves a whole record.

use crate::meter::Meter;
use crate::tee::linger;
use crate::upstream::{Answer, SendError, Sending};
use http::Response;
use std::pin::Pin;
use std::task::ready;
use std::time::Duration;

/// Why no head came.
pub(crate) enum NoHead {
    /// The connection could not be made, or broke.
    Broken(SendError),
    /// It took too long.
    Timeout,
}

/// A request under way. Dropped before its answer's head came (the client left), it is waited for in the background.
struct Call(Option<(Sending, Meter)>);

/// Waits for the head; the meter comes back in either case.
pub(crate) async fn head(
    sending: Sending,
    meter: Meter,
    limit: Duration,
) -> (Result<Response<Answer>, NoHead>, Option<Meter>) {
    let mut call = Call(Some((sending, meter)));
    let answer = std::future::poll_fn(|cx| {
        let Some((sending, _)) = &mut call.0 else {
            return std::task::Poll::Pending;
        };
        std::task::Poll::Ready(ready!(Pin::new(sending).poll(cx)))
    });
    let result = match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(NoHead::Broken(error)),
        Err(_) => Err(NoHead::Timeout),
    };
    (result, call.0.take().map(|(_, meter)| meter))
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some((sending, meter)) = self.0.take() {
            linger(sending, meter);
        }
    }
}
