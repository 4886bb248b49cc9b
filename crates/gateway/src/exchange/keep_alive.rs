//! What a client gets of a stream while its provider is silent, so that neither it nor a proxy on the way takes the stream for
//! dead. It stands between two events only, never behind the last, and nobody but the client is told of it: the provider's
//! silence is counted on, and the record knows nothing of it.
//!
//! Not here: the clock (crate `stream`), what the filler is and where it may stand (crate `wire`).

use crate::exchange::body_kind::BodyKind;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use lychgate_stream::Idle;
use lychgate_types::policy::RelayPolicy;
use lychgate_wire::filler::Filler;
use std::time::Duration;

/// The filler of one answer.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    filler: Filler,
    every: Duration,
}

impl KeepAlive {
    /// For an answer with this head, of which `kind` says what goes to the client; `None` where nothing can be put into it.
    pub(crate) fn new(
        policy: &RelayPolicy,
        head: &Parts,
        kind: BodyKind,
        filler: impl FnOnce() -> Option<Filler>,
    ) -> Option<Self> {
        let may_grow = kind.may_be_stream && kind.is_plain() && !head.headers.contains_key(CONTENT_LENGTH);
        if policy.keep_alive_seconds == 0 || !may_grow || !head.status.is_success() {
            return None;
        }
        let filler = filler()?;
        Some(Self {
            filler: if kind.is_event_stream {
                filler
            } else {
                filler.in_list()?
            },
            every: Duration::from_secs(policy.keep_alive_seconds.into()),
        })
    }

    /// The same limits, which tell when a filler is due.
    pub(crate) fn timed(this: Option<&Self>, idle: Idle) -> Idle {
        match this {
            Some(this) => idle.telling_every(this.every),
            None => idle,
        }
    }

    /// These bytes go to the client.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        self.filler.sent(bytes);
    }

    /// The filler, if it may stand here and the stream takes one.
    pub(crate) fn due(&self, takes_filler: impl FnOnce() -> bool) -> Option<Bytes> {
        let filler = self.filler.here().filter(|_| takes_filler())?;
        Some(Bytes::from_static(filler))
    }
}
