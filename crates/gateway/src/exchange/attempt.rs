//! The attempt that a client waits for. The client may disconnect at any moment: then what is in flight is awaited in the
//! background, so that the record is complete all the same.
//!
//! Not here: what an attempt's end means (`resilience::decision`) and where the next one goes (`selector`).

use crate::error::Refusal;
use crate::exchange::body_kind::BodyKind;
use crate::exchange::drain::{drain_body, drain_head};
use crate::exchange::outcome::{EMPTY, Ending};
use crate::exchange::peeked::{GRACE, Peeked};
use crate::exchange::recorder::Recorder;
use crate::resilience::decision::AttemptEnd;
use crate::upstream::{Answer, SendError, Sending};
use bytes::Bytes;
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Ambient;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// What an attempt brought.
pub(crate) type AttemptResult = Result<UpstreamResponse, AttemptError>;

/// An answer whose head, and perhaps the beginning of its body, has arrived.
#[derive(Debug)]
pub(crate) struct UpstreamResponse {
    pub(crate) head: Parts,
    pub(crate) kind: BodyKind,
    pub(crate) body: Peeked<Answer>,
}

/// Why an attempt brought no answer.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// The connection could not be made, or broke.
    Connection(SendError),
    /// The head did not come within this time.
    Timeout(Duration),
    /// The head promised a body, and the answer ended without one.
    BodyMissing,
}

/// The attempt in flight, if one is, and the exchange's recorder.
pub(crate) struct PendingAttempt {
    recorder: Recorder,
    in_flight: InFlight,
}

enum InFlight {
    Nothing,
    Head(Sending),
    Body(Answer),
}

impl PendingAttempt {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            in_flight: InFlight::Nothing,
        }
    }

    /// Waits for the head of an attempt's answer and, where a body is due, briefly for its beginning.
    pub(crate) async fn run(&mut self, sending: Sending, limit: Duration) -> AttemptResult {
        self.in_flight = InFlight::Head(sending);
        let arrived = head_within(limit, self.head()).await;
        self.in_flight = InFlight::Nothing;
        let (head, body) = arrived?.into_parts();
        let kind = BodyKind::of(head.status, &head.headers);
        self.recorder.head(head.status, &head.headers, kind);
        let body = if kind.is_due {
            self.in_flight = InFlight::Body(body);
            let first = timeout(GRACE, self.first()).await;
            self.peeked(first.ok())?
        } else {
            Peeked::new(None, body)
        };
        Ok(UpstreamResponse { head, kind, body })
    }

    pub(crate) fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Ends the attempts: the recorder goes on with the answer.
    pub(crate) fn finish(&mut self) -> Recorder {
        self.recorder.take()
    }

    async fn head(&mut self) -> Result<Response<Answer>, SendError> {
        std::future::poll_fn(|cx| match &mut self.in_flight {
            InFlight::Head(sending) => Pin::new(sending).poll(cx),
            _ => Poll::Pending,
        })
        .await
    }

    async fn first(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        match &mut self.in_flight {
            InFlight::Body(body) if !body.is_end_stream() => body.frame().await,
            _ => None,
        }
    }

    /// The body, with the first frame in front of it again; `first` is `None` where that did not come in time.
    fn peeked(
        &mut self,
        first: Option<Option<Result<Frame<Bytes>, hyper::Error>>>,
    ) -> Result<Peeked<Answer>, AttemptError> {
        let InFlight::Body(body) = std::mem::replace(&mut self.in_flight, InFlight::Nothing) else {
            return Err(AttemptError::BodyMissing);
        };
        match first {
            None => Ok(Peeked::new(None, body)),
            Some(Some(Ok(frame))) if frame.is_data() => Ok(Peeked::new(Some(frame), body)),
            Some(_) => Err(AttemptError::BodyMissing),
        }
    }
}

impl Drop for PendingAttempt {
    fn drop(&mut self) {
        let recorder = self.recorder.take();
        match std::mem::replace(&mut self.in_flight, InFlight::Nothing) {
            InFlight::Head(sending) => drain_head(sending, recorder),
            InFlight::Body(body) => drain_body(body, recorder, Ending::ClientLeft),
            // A recorder that is dropped unclosed records an internal error.
            InFlight::Nothing if std::thread::panicking() => drop(recorder),
            InFlight::Nothing => drop(recorder.close(Ending::ClientGaveUp)),
        }
    }
}

/// Waits for the head of an answer.
pub(crate) async fn head_within(
    limit: Duration,
    head: impl Future<Output = Result<Response<Answer>, SendError>>,
) -> Result<Response<Answer>, AttemptError> {
    match timeout(limit, head).await {
        Ok(arrived) => arrived.map_err(AttemptError::Connection),
        Err(_) => Err(AttemptError::Timeout(limit)),
    }
}

/// The attempt's end, as the table of consequences knows it.
pub(crate) fn end_of(result: &AttemptResult, ambient: &Ambient) -> AttemptEnd {
    match result {
        Ok(answer) => AttemptEnd::answered(answer.head.status, &answer.head.headers, ambient),
        Err(AttemptError::Connection(SendError::Private(_))) => AttemptEnd::AddressForbidden,
        Err(AttemptError::Connection(_)) => AttemptEnd::ConnectionFailed,
        Err(AttemptError::Timeout(_)) => AttemptEnd::HeadTimedOut,
        Err(AttemptError::BodyMissing) => AttemptEnd::BodyMissing,
    }
}

/// What the client gets.
impl From<AttemptError> for Refusal {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Timeout(limit) => {
                let seconds = limit.as_secs_f32();
                let message = format!("the provider did not begin to answer within {seconds} seconds");
                Self::new(StatusCode::GATEWAY_TIMEOUT, Refused::ProviderFailed, message)
            }
            AttemptError::Connection(error) => {
                let message = format!("the provider can't be reached: {error}");
                Self::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, message)
            }
            AttemptError::BodyMissing => Self::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, EMPTY),
        }
    }
}
