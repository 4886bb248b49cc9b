//! What watches a provider's answer on its way to the client.
//!
//! Not here: relaying itself (crate `stream`) and reading (crate `wire`).

use crate::core::Visit;
use crate::meter::Meter;
use crate::options::DrainLimits;
use crate::outcome::{Ending, STALLED};
use crate::upstream::{Answer, Sending};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use lychgate_stream::{Failure, LastWords, Watch};
use lychgate_wire::UsageChunkFilter;
use lychgate_wire::error::stream_event;
use tokio::time::{Instant, timeout_at};

/// Shows an intercepted answer to its meter.
pub(crate) struct Tee {
    pub(crate) meter: Meter,
    /// Takes out the usage chunk that only the gateway asked for.
    pub(crate) filter: Option<UsageChunkFilter>,
    /// Whether the body is a stream of events, into which an error event can be put.
    pub(crate) stream: bool,
}

impl Watch<Answer> for Tee {
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

    fn complete(self) -> Bytes {
        let rest = held(self.filter);
        self.meter.close(Ending::Complete);
        rest
    }

    fn failed(self, failure: &Failure) -> LastWords {
        let rest = held(self.filter);
        match (failure, self.meter.api()) {
            (Failure::Idle | Failure::Late, Some(api)) if self.stream => {
                let event = stream_event(api, 504, STALLED);
                let gap = if self.meter.is_inside_event() { "\n\n" } else { "" };
                let mut last = BytesMut::with_capacity(rest.len() + gap.len() + event.len());
                last.extend_from_slice(&rest);
                last.extend_from_slice(gap.as_bytes());
                last.extend_from_slice(event.as_bytes());
                self.meter.close(Ending::Stalled);
                LastWords::End(last.freeze())
            }
            (Failure::Idle | Failure::Late, _) => {
                self.meter.close(Ending::Stalled);
                LastWords::Failure(rest)
            }
            (Failure::Cut(_), _) => {
                self.meter.close(Ending::Cut);
                LastWords::Failure(rest)
            }
        }
    }

    fn left(self, rest: Answer) {
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

/// What passes through unrecorded is counted only.
pub(crate) struct Through(#[expect(dead_code, reason = "held for its count until the body ends")] pub(crate) Visit);

impl Watch<Answer> for Through {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn complete(self) -> Bytes {
        Bytes::new()
    }

    fn failed(self, _: &Failure) -> LastWords {
        LastWords::Failure(Bytes::new())
    }

    fn left(self, _: Answer) {}
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
                crate::relay::is_event_stream(&parts.headers),
            );
            drain(body, &mut meter, limits, until).await;
        }
        meter.close(Ending::ClientLeft);
    });
}

/// Reads on within bounds, for the meter alone.
async fn drain(mut body: Answer, meter: &mut Meter, limits: DrainLimits, until: Instant) {
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
    let limits = meter.core().map(|core| core.options.drain_limits);
    match (tokio::runtime::Handle::try_current(), limits) {
        (Ok(runtime), Some(limits)) => {
            runtime.spawn(work(meter, limits));
        }
        _ => meter.close(Ending::ClientLeft),
    }
}

fn held(filter: Option<UsageChunkFilter>) -> Bytes {
    filter.map_or_else(Bytes::new, UsageChunkFilter::finish)
}
