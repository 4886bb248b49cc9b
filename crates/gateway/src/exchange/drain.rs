//! Reading an answer to its end in the background after its client has disconnected: the request has its cost, and the record
//! should say which.
//!
//! Not here: how much is read (`Options::drain_limits`).

use crate::exchange::body_kind::BodyKind;
use crate::exchange::outcome::Ending;
use crate::exchange::recorder::Recorder;
use crate::options::DrainLimits;
use crate::upstream::Sending;
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Longest time for it while the process shuts down.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// The client disconnected before the head of an answer came.
pub(crate) fn drain_head(sending: Sending, recorder: Recorder) {
    in_background(recorder, |mut recorder, limits| async move {
        let until = Instant::now() + limits.time;
        match timeout_at(until, sending).await {
            Ok(Ok(response)) => {
                let (head, body) = response.into_parts();
                let kind = BodyKind::of(head.status, &head.headers);
                recorder.head(head.status, &head.headers, kind);
                read(body, &mut recorder, limits, until).await;
            }
            // It never reached the provider, so it has no cost.
            Ok(Err(error)) if !error.may_have_been_sent() => {
                recorder.close(Ending::ClientGaveUp);
                return;
            }
            Ok(Err(_)) | Err(_) => {}
        }
        recorder.close(Ending::ClientLeft);
    });
}

/// The client disconnected within an answer; the record is closed with `ending`.
pub(crate) fn drain_body<B>(rest: B, recorder: Recorder, ending: Ending)
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Send,
{
    in_background(recorder, |mut recorder, limits| async move {
        read(rest, &mut recorder, limits, Instant::now() + limits.time).await;
        recorder.close(ending);
    });
}

async fn read<B>(mut body: B, recorder: &mut Recorder, limits: DrainLimits, until: Instant)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = limits.bytes;
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        let Some(data) = frame.data_ref() else { continue };
        recorder.data(data);
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Without a runtime (the process is about to end) the record is closed at once.
fn in_background<F>(recorder: Recorder, work: impl FnOnce(Recorder, DrainLimits) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let limits = recorder.shared().map(|shared| {
        let mut limits = shared.options.drain_limits;
        if shared.draining.load(Ordering::Acquire) {
            limits.time = limits.time.min(SHUTDOWN_LIMIT);
        }
        limits
    });
    match (tokio::runtime::Handle::try_current(), limits) {
        (Ok(runtime), Some(limits)) => {
            runtime.spawn(work(recorder, limits));
        }
        _ => drop(recorder.close(Ending::ClientLeft)),
    }
}
