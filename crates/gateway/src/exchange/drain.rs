//! Reading an answer to its end in the background after its client has disconnected: the request has its cost, and the record
//! should say which.
//!
//! Not here: how much is read (`Options::drain_limits`).

use crate::exchange::body_kind::BodyKind;
use crate::exchange::completion::Watched;
use crate::exchange::outcome::Ending;
use crate::exchange::recorder::Recorder;
use crate::options::DrainLimits;
use crate::shared::Shared;
use crate::upstream::Sending;
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Longest time for it while the process shuts down.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// The client disconnected before the head of an answer came.
pub(crate) fn drain_head(sending: Sending, recorder: Recorder) {
    let shared = recorder.shared().cloned();
    in_background(shared, recorder, close_left, |mut recorder, limits| async move {
        let until = Instant::now() + limits.time;
        match timeout_at(until, sending).await {
            Ok(Ok(response)) => {
                let (head, body) = response.into_parts();
                let kind = BodyKind::of(head.status, &head.headers);
                recorder.head(head.status, &head.headers, kind);
                read(body, |data| recorder.data(data), limits, until).await;
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
    let shared = recorder.shared().cloned();
    in_background(shared, recorder, close_left, |mut recorder, limits| async move {
        let until = Instant::now() + limits.time;
        read(rest, |data| recorder.data(data), limits, until).await;
        recorder.close(ending);
    });
}

/// The client disconnected within an answer that is not recorded itself, but may show the end of what is.
pub(crate) fn drain_watched<B>(rest: B, watched: Watched)
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Send,
{
    let shared = Some(Arc::clone(watched.guard.shared()));
    let close = |watched: Watched| drop(watched.close());
    in_background(shared, watched, close, |mut watched, limits| async move {
        let until = Instant::now() + limits.time;
        read(rest, |data| watched.see(data), limits, until).await;
        // Nobody waits for it to be on the disk.
        drop(watched.close());
    });
}

fn close_left(recorder: Recorder) {
    drop(recorder.close(Ending::ClientLeft));
}

/// Reads on as far as the limits allow. Whether all of it came.
pub(crate) async fn read<B>(mut body: B, mut on_data: impl FnMut(&[u8]), limits: DrainLimits, until: Instant) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = limits.bytes;
    loop {
        let frame = match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(end) => return end.is_none(),
            Err(_) => return false,
        };
        let Some(data) = frame.data_ref() else { continue };
        on_data(data);
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
}

/// Without a runtime (the process is about to end) it is closed at once.
fn in_background<T, F>(
    shared: Option<Arc<Shared>>,
    of: T,
    close: impl FnOnce(T),
    work: impl FnOnce(T, DrainLimits) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let limits = shared.map(|shared| limits(&shared));
    match (tokio::runtime::Handle::try_current(), limits) {
        (Ok(runtime), Some(limits)) => {
            runtime.spawn(work(of, limits));
        }
        _ => close(of),
    }
}

/// How far an answer is read on at present.
pub(crate) fn limits(shared: &Shared) -> DrainLimits {
    let mut limits = shared.options.drain_limits;
    if shared.draining.load(Ordering::Acquire) {
        limits.time = limits.time.min(SHUTDOWN_LIMIT);
    }
    limits
}
