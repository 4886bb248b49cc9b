//! What watches a provider's answer on its way to the client.
//!
//! Not here: relaying itself (crate `stream`) and reading (crate `wire`).

use crate::exchange::outcome::{EMPTY, Ending, STALLED};
use crate::exchange::peeked::Peeked;
use crate::exchange::recorder::Recorder;
use crate::options::DrainLimits;
use crate::resilience::breaker::BreakerTarget;
use crate::shared::InFlightGuard;
use crate::upstream::{Answer, Sending};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use lychgate_stream::{Failure, Joined, Last, LastWords, Watch};
use lychgate_wire::UsageChunkFilter;
use lychgate_wire::error::{body, stream_event};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long an answer without a client is read on while the process ends.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Shows an intercepted answer to its recorder.
pub(crate) struct Tee {
    pub(crate) recorder: Recorder,
    /// Takes out the usage chunk that only the gateway asked for.
    pub(crate) filter: Option<UsageChunkFilter>,
    /// Whether the body is a stream of events, into which an error event can be put.
    pub(crate) stream: bool,
    /// Whether the body must not be empty.
    pub(crate) due: bool,
    /// What counts against the provider when the body breaks off.
    pub(crate) mark: BreakerTarget,
}

impl Watch<Joined<Peeked<Answer>>> for Tee {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        self.recorder.data(&bytes);
        match &mut self.filter {
            None => bytes,
            Some(filter) => filter.push(bytes),
        }
    }

    fn keeps_length(&self) -> bool {
        self.filter.is_none()
    }

    fn complete(self) -> Last {
        if self.due && !self.recorder.has_begun() {
            return self.empty();
        }
        let rest = held(self.filter);
        Last::new(rest, self.recorder.close(Ending::Complete))
    }

    fn failed(self, failure: &Failure) -> LastWords {
        // What was long and never silent says nothing against the provider.
        if !matches!(failure, Failure::Late) {
            self.count();
        }
        let rest = held(self.filter);
        match (failure, self.recorder.api()) {
            (Failure::Idle | Failure::Late, Some(api)) if self.stream => {
                let event = stream_event(api, 504, STALLED);
                let gap = if self.recorder.is_inside_event() { "\n\n" } else { "" };
                let mut last = BytesMut::with_capacity(rest.len() + gap.len() + event.len());
                last.extend_from_slice(&rest);
                last.extend_from_slice(gap.as_bytes());
                last.extend_from_slice(event.as_bytes());
                LastWords::End(Last::new(last.freeze(), self.recorder.close(Ending::Stalled)))
            }
            (Failure::Idle | Failure::Late, _) => {
                LastWords::Failure(Last::new(rest, self.recorder.close(Ending::Stalled)))
            }
            (Failure::Cut(_) | Failure::Held(_), _) => {
                LastWords::Failure(Last::new(rest, self.recorder.close(Ending::Cut)))
            }
        }
    }

    fn left(self, rest: Joined<Peeked<Answer>>) {
        let ending = if self.recorder.has_last_event() {
            Ending::Complete
        } else {
            Ending::ClientLeft
        };
        detach(self.recorder, |mut recorder, limits| async move {
            drain(rest, &mut recorder, limits, Instant::now() + limits.time).await;
            recorder.close(ending);
        });
    }
}

impl Tee {
    /// The head has gone to the client, so the error has to come in the body's place.
    fn empty(self) -> Last {
        self.count();
        let words = match (self.recorder.api(), self.recorder.provider_type()) {
            (Some(api), _) if self.stream => stream_event(api, 502, EMPTY),
            (_, Some(shape)) => body(shape, 502, EMPTY),
            _ => String::new(),
        };
        Last::new(Bytes::from(words), self.recorder.close(Ending::Empty))
    }

    /// Counts against the provider.
    fn count(&self) {
        if let Some(shared) = self.recorder.shared() {
            shared.breakers.failed(self.mark);
        }
    }
}

/// What passes through unrecorded is counted only.
pub(crate) struct PassThrough(
    #[expect(dead_code, reason = "held for its count until the body ends")] pub(crate) InFlightGuard,
);

impl Watch<Joined<Answer>> for PassThrough {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn complete(self) -> Last {
        Last::default()
    }

    fn failed(self, _: &Failure) -> LastWords {
        LastWords::Failure(Last::default())
    }

    fn left(self, _: Joined<Answer>) {}
}

/// Goes on waiting for the head of an answer whose client has left, then for what it says about its cost.
pub(crate) fn linger(sending: Sending, recorder: Recorder) {
    detach(recorder, |mut recorder, limits| async move {
        let until = Instant::now() + limits.time;
        if let Ok(Ok(response)) = timeout_at(until, sending).await {
            let (parts, body) = response.into_parts();
            recorder.head(
                parts.status,
                &parts.headers,
                crate::exchange::relay::is_event_stream(&parts.headers),
            );
            drain(body, &mut recorder, limits, until).await;
        }
        recorder.close(Ending::ClientLeft);
    });
}

/// Goes on reading an answer whose client left before it got its head.
pub(crate) fn read_on(rest: Answer, recorder: Recorder) {
    detach(recorder, |mut recorder, limits| async move {
        drain(rest, &mut recorder, limits, Instant::now() + limits.time).await;
        recorder.close(Ending::ClientLeft);
    });
}

/// Reads on within bounds, for the recorder alone.
async fn drain<B>(mut body: B, recorder: &mut Recorder, limits: DrainLimits, until: Instant)
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

/// Lets work for the books go on by itself. Without a runtime (the process is ending) the record is closed as it stands.
fn detach<F>(recorder: Recorder, work: impl FnOnce(Recorder, DrainLimits) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let limits = recorder.shared().map(|shared| {
        let mut limits = shared.options.drain_limits;
        if shared.draining.load(Ordering::Acquire) {
            limits.time = limits.time.min(LAST_LOOK);
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

fn held(filter: Option<UsageChunkFilter>) -> Bytes {
    filter.map_or_else(Bytes::new, UsageChunkFilter::finish)
}
