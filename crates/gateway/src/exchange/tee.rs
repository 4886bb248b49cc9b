//! Shows a provider's answer to its recorder on the way to the client.
//!
//! Not here: relaying itself (crate `stream`), parsing (crate `wire`), and reading on without a client (`drain`).

use crate::exchange::body_kind::BodyKind;
use crate::exchange::drain::drain_body;
use crate::exchange::keep_alive::KeepAlive;
use crate::exchange::outcome::{EMPTY, Ending, STALLED};
use crate::exchange::peeked::Peeked;
use crate::exchange::recorder::Recorder;
use crate::exchange::usage_filter::UsageFilter;
use crate::resilience::breaker::BreakerTarget;
use crate::resilience::decision::{AttemptEnd, BreakerReport};
use crate::routing::provider::Provider;
use crate::upstream::Answer;
use bytes::{Bytes, BytesMut};
use lychgate_stream::{Failure, Joined, Last, LastWords, Watch};
use lychgate_types::provider::Api;
use lychgate_wire::error::{body, event_gap, stream_event};
use std::sync::Arc;

pub(crate) struct Tee {
    pub(crate) recorder: Recorder,
    /// Takes out the usage chunk that only the gateway asked for.
    pub(crate) filter: Option<UsageFilter>,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) kind: BodyKind,
    pub(crate) provider: Arc<Provider>,
    /// Where it counts if the body ends badly.
    pub(crate) breaker: BreakerTarget,
}

impl Watch<Joined<Peeked<Answer>>> for Tee {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        self.recorder.data(&bytes);
        let passed = match &mut self.filter {
            None => bytes,
            Some(filter) => filter.push(bytes),
        };
        if let Some(keep_alive) = &mut self.keep_alive {
            keep_alive.sent(&passed);
        }
        passed
    }

    fn filler(&mut self) -> Option<Bytes> {
        self.keep_alive.as_ref()?.due(|| self.recorder.takes_filler())
    }

    fn keeps_length(&self) -> bool {
        self.filter.is_none()
    }

    fn complete(self) -> Last {
        // Nothing can be put into a compressed body.
        if self.kind.is_due && self.kind.is_plain() && !self.recorder.has_data() {
            return self.empty();
        }
        if self.filter.as_ref().is_some_and(UsageFilter::is_broken) {
            self.report(AttemptEnd::BodyCut);
            drop(self.recorder.close(Ending::Cut));
            return Last::new(
                Bytes::new(),
                Some(Box::pin(async { Err("the answer can't be decoded".into()) })),
            );
        }
        let rest = held(self.filter);
        Last::new(rest, self.recorder.close(Ending::Complete))
    }

    fn failed(self, failure: &Failure) -> LastWords {
        // What an API does with its connection behind the end of its answer is no part of the answer.
        if self.recorder.has_finished() {
            let last = Last::new(held(self.filter), self.recorder.close(Ending::Finished));
            return match failure {
                Failure::Idle | Failure::Late => LastWords::End(last),
                Failure::Cut(_) | Failure::Held(_) => LastWords::Failure(last),
            };
        }
        self.report(match failure {
            Failure::Idle => AttemptEnd::BodyStalled,
            Failure::Late => AttemptEnd::BodyTooLong,
            Failure::Cut(_) | Failure::Held(_) => AttemptEnd::BodyCut,
        });
        let place = self.place_of_error();
        let rest = held(self.filter);
        match (failure, place) {
            (Failure::Idle | Failure::Late, Some((api, gap))) => {
                let event = stream_event(api, 504, STALLED);
                let mut last = BytesMut::with_capacity(rest.len() + gap.len() + event.len());
                last.extend_from_slice(&rest);
                last.extend_from_slice(gap.as_bytes());
                last.extend_from_slice(&event);
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
        drain_body(rest, self.recorder, ending);
    }
}

impl Tee {
    /// The head has been forwarded, so the error has to take the body's place.
    fn empty(self) -> Last {
        self.report(AttemptEnd::BodyMissing);
        let error = match (self.recorder.api(), self.recorder.wire_family()) {
            (Some(api), _) if self.kind.is_event_stream => stream_event(api, 502, EMPTY),
            (_, Some(family)) => body(family, 502, EMPTY, None).into_bytes(),
            _ => Vec::new(),
        };
        Last::new(Bytes::from(error), self.recorder.close(Ending::Empty))
    }

    /// The API as which the stream can be ended with an error event, and what has to go before that.
    fn place_of_error(&self) -> Option<(Api, &'static str)> {
        let api = self.recorder.api()?;
        let gap = if self.recorder.is_inside_event() {
            event_gap(api)
        } else {
            Some("")
        };
        gap.filter(|_| self.kind.is_event_stream && self.kind.is_plain())
            .map(|gap| (api, gap))
    }

    /// Reports to the breaker how the body ended.
    fn report(&self, end: AttemptEnd) {
        let Some(shared) = self.recorder.shared() else { return };
        let consequences = end.consequences(None, self.breaker.policy.failure_status);
        let opened = consequences.breaker == BreakerReport::Failure && shared.breakers.failed(self.breaker);
        self.provider.log(end, &consequences, opened);
    }
}

fn held(filter: Option<UsageFilter>) -> Bytes {
    filter.map_or_else(Bytes::new, UsageFilter::finish)
}
