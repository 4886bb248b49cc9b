//! What watches a provider's answer on its way to the client.
//!
//! Not here: relaying itself (crate `stream`) and reading (crate `wire`).

use crate::exchange::outcome::{EMPTY, Ending, STALLED};
use crate::exchange::peeked::Peeked;
use crate::exchange::recorder::Meter;
use crate::options::DrainLimits;
use crate::resilience::breaker::Mark;
use crate::shared::Visit;
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

/// Shows an intercepted answer to its meter.
pub(crate) struct Tee {
    pub(crate) meter: Meter,
    /// Takes out the usage chunk that only the gateway asked for.
    pub(crate) filter: Option<UsageChunkFilter>,
    /// Whether the body is a stream of events, into which an error event can be put.
    pub(crate) stream: bool,
    /// Whether the body must not be empty.
    pub(crate) due: bool,
    /// What counts against the provider when the body breaks off.
    pub(crate) mark: Mark,
}

impl Watch<Joined<Peeked<Answer>>> for Tee {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        self.meter.data(&bytes);
        match &mut self.filter {
            None => bytes,
            Some(filter) => filter.push(bytes),
        }
    }

    fn keeps_length(&self) -> bool {
        self.filter.is_none()
    }

    fn complete(self) -> Last {
        if self.due && !self.meter.has_begun() {
            return self.empty();
        }
        let rest = held(self.filter);
        Last::new(rest, self.meter.close(Ending::Complete))
    }

    fn failed(self, failure: &Failure) -> LastWords {
        // What was long and never silent says nothing against the provider.
        if !matches!(failure, Failure::Late) {
            self.count();
        }
        let rest = held(self.filter);
        match (failure, self.meter.api()) {
            (Failure::Idle | Failure::Late, Some(api)) if self.stream => {
                let event = stream_event(api, 504, STALLED);
                let gap = if self.meter.is_inside_event() { "\n\n" } else { "" };
                let mut last = BytesMut::with_capacity(rest.len() + gap.len() + event.len());
                last.extend_from_slice(&rest);
                last.extend_from_slice(gap.as_bytes());
                last.extend_from_slice(event.as_bytes());
                LastWords::End(Last::new(last.freeze(), self.meter.close(Ending::Stalled)))
            }
            (Failure::Idle | Failure::Late, _) => {
                LastWords::Failure(Last::new(rest, self.meter.close(Ending::Stalled)))
            }
            (Failure::Cut(_) | Failure::Held(_), _) => {
                LastWords::Failure(Last::new(rest, self.meter.close(Ending::Cut)))
            }
        }
    }

    fn left(self, rest: Joined<Peeked<Answer>>) {
        let ending = if self.meter.has_last_event() {
            Ending::Complete
        } else {
            Ending::ClientLeft
        };
        detach(self.meter, |mut meter, limits| async move {
            drain(rest, &mut meter, limits, Instant::now() + limits.time).await;
            meter.close(ending);
        });
    }
}

impl Tee {
    /// The head has gone to the client, so the error has to come in the body's place.
    fn empty(self) -> Last {
        self.count();
        let words = match (self.meter.api(), self.meter.wire_family()) {
            (Some(api), _) if self.stream => stream_event(api, 502, EMPTY),
            (_, Some(family)) => body(family, 502, EMPTY),
            _ => String::new(),
        };
        Last::new(Bytes::from(words), self.meter.close(Ending::Empty))
    }

    /// Counts against the provider.
    fn count(&self) {
        if let Some(core) = self.meter.core() {
            core.breakers.failed(self.mark);
        }
    }
}

/// What passes through unrecorded is counted only.
pub(crate) struct Through(#[expect(dead_code, reason = "held for its count until the body ends")] pub(crate) Visit);

impl Watch<Joined<Answer>> for Through {
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
pub(crate) fn linger(sending: Sending, meter: Meter) {
    detach(meter, |mut meter, limits| async move {
        let until = Instant::now() + limits.time;
        if let Ok(Ok(response)) = timeout_at(until, sending).await {
            let (parts, body) = response.into_parts();
            meter.head(
                parts.status,
                &parts.headers,
                crate::exchange::relay::is_event_stream(&parts.headers),
            );
            drain(body, &mut meter, limits, until).await;
        }
        meter.close(Ending::ClientLeft);
    });
}

/// Goes on reading an answer whose client left before it got its head.
pub(crate) fn read_on(rest: Answer, meter: Meter) {
    detach(meter, |mut meter, limits| async move {
        drain(rest, &mut meter, limits, Instant::now() + limits.time).await;
        meter.close(Ending::ClientLeft);
    });
}

/// Reads on within bounds, for the meter alone.
async fn drain<B>(mut body: B, meter: &mut Meter, limits: DrainLimits, until: Instant)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = limits.bytes;
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        let Some(data) = frame.data_ref() else { continue };
        meter.data(data);
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Lets work for the books go on by itself. Without a runtime (the process is ending) the record is closed as it stands.
fn detach<F>(meter: Meter, work: impl FnOnce(Meter, DrainLimits) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let limits = meter.core().map(|core| {
        let mut limits = core.options.drain_limits;
        if core.draining.load(Ordering::Acquire) {
            limits.time = limits.time.min(LAST_LOOK);
        }
        limits
    });
    match (tokio::runtime::Handle::try_current(), limits) {
        (Ok(runtime), Some(limits)) => {
            runtime.spawn(work(meter, limits));
        }
        _ => drop(meter.close(Ending::ClientLeft)),
    }
}

fn held(filter: Option<UsageChunkFilter>) -> Bytes {
    filter.map_or_else(Bytes::new, UsageChunkFilter::finish)
}
