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
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Ambient;
use lychgate_types::provider::Api;
use lychgate_wire::verdict::{is_not_about_the_key, is_out_of_credit, needs_more, passing_error_first, refuses_usage};
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
    /// What the beginning of its body says beyond its status.
    pub(crate) says: Says,
}

/// What the beginning of a body says beyond the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    /// The account of the key has no credit left.
    OutOfCredit,
    /// What is refused is the model or the request, and not the key.
    NotAboutTheKey,
    /// The provider does not take what asks for usage in a stream.
    RefusesUsage,
    /// It is an error that may pass, which would have had this status.
    PassingError(u16),
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
    /// A change of protocol came, which nobody had asked for.
    ProtocolSwitched,
}

/// The attempt in flight, if one is, and the exchange's recorder.
pub(crate) struct PendingAttempt {
    recorder: Recorder,
    in_flight: InFlight,
}

/// What was read of a body before its head goes on. Small, since every request in flight has room for it.
#[derive(Default)]
struct Beginning {
    data: Bytes,
    /// What came in place of more data: the body's end, a failure, trailers.
    end: Option<Box<Option<BodyFrame>>>,
}

type BodyFrame = Result<Frame<Bytes>, hyper::Error>;

enum InFlight {
    Nothing,
    Head(Sending),
    Body(Answer, Beginning),
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
        let body = if kind.is_due || may_say_more(head.status) {
            self.in_flight = InFlight::Body(body, Beginning::default());
            // What was read in time is kept, whether or not all that was waited for has come.
            let _ = timeout(GRACE, self.begin(kind)).await;
            self.peeked(kind)?
        } else {
            Peeked::new(None, body)
        };
        let says = self.says(head.status, kind, body.first());
        Ok(UpstreamResponse { head, kind, body, says })
    }

    fn says(&self, status: StatusCode, kind: BodyKind, first: Option<&Bytes>) -> Says {
        let (Some(api), Some(first), true) = (self.recorder.api(), first, kind.is_plain()) else {
            return Says::Nothing;
        };
        if may_say_more(status) {
            return said(api, status, first);
        }
        passing_error_first(api, kind.is_event_stream, first).map_or(Says::Nothing, Says::PassingError)
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

    /// Reads the first piece of the body, and more where that is too little to tell an error by.
    async fn begin(&mut self, kind: BodyKind) {
        let api = self.recorder.api().filter(|_| kind.is_event_stream && kind.is_plain());
        let InFlight::Body(body, beginning) = &mut self.in_flight else {
            return;
        };
        if body.is_end_stream() {
            beginning.end = Some(Box::new(None));
            return;
        }
        loop {
            let end = match body.frame().await.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    beginning.join(data);
                    if api.is_some_and(|api| needs_more(api, &beginning.data)) {
                        continue;
                    }
                    return;
                }
                Some(Ok(Err(trailers))) => Some(Ok(trailers)),
                Some(Err(error)) => Some(Err(error)),
                None => None,
            };
            beginning.end = Some(Box::new(end));
            return;
        }
    }

    /// The body, with its beginning in front of it again.
    fn peeked(&mut self, kind: BodyKind) -> Result<Peeked<Answer>, AttemptError> {
        let InFlight::Body(body, beginning) = std::mem::replace(&mut self.in_flight, InFlight::Nothing) else {
            return Err(AttemptError::BodyMissing);
        };
        // An error says what there is to say by its status, whatever becomes of its body.
        let is_missing = kind.is_due && beginning.end.is_some() && beginning.data.is_empty();
        if is_missing {
            return Err(AttemptError::BodyMissing);
        }
        Ok(beginning.before(body))
    }
}

impl Beginning {
    fn before(self, rest: Answer) -> Peeked<Answer> {
        let end = self.end.and_then(|end| *end);
        match self.data.is_empty() {
            true => Peeked::new(end, rest),
            false => Peeked::with_second(Ok(Frame::data(self.data)), end, rest),
        }
    }

    fn join(&mut self, data: Bytes) {
        self.data = if self.data.is_empty() {
            data
        } else {
            [&self.data[..], &data].concat().into()
        };
    }
}

impl Drop for PendingAttempt {
    fn drop(&mut self) {
        let recorder = self.recorder.take();
        match std::mem::replace(&mut self.in_flight, InFlight::Nothing) {
            InFlight::Head(sending) => drain_head(sending, recorder),
            InFlight::Body(body, beginning) => drain_body(beginning.before(body), recorder, Ending::ClientLeft),
            // A recorder that is dropped unclosed records an internal error.
            InFlight::Nothing if std::thread::panicking() => drop(recorder),
            InFlight::Nothing => drop(recorder.close(Ending::ClientGaveUp)),
        }
    }
}

/// What the body of an error says beyond its status.
fn said(api: Api, status: StatusCode, body: &[u8]) -> Says {
    if !may_say_more(status) {
        Says::Nothing
    } else if is_out_of_credit(api, status.as_u16(), body) {
        Says::OutOfCredit
    } else if status == StatusCode::FORBIDDEN {
        match is_not_about_the_key(api, body) {
            true => Says::NotAboutTheKey,
            false => Says::Nothing,
        }
    } else if status != StatusCode::TOO_MANY_REQUESTS && refuses_usage(body) {
        Says::RefusesUsage
    } else {
        Says::Nothing
    }
}

/// The end of an attempt whose error came with its whole body.
pub(crate) fn error_end(
    api: Api,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    ambient: &Ambient,
) -> AttemptEnd {
    end_that_says(said(api, status, body), status, headers, ambient)
}

fn end_that_says(says: Says, status: StatusCode, headers: &HeaderMap, ambient: &Ambient) -> AttemptEnd {
    let code = status.as_u16();
    match says {
        Says::Nothing | Says::RefusesUsage => AttemptEnd::answered(status, headers, ambient),
        Says::NotAboutTheKey => AttemptEnd::NotAboutTheKey { status: code },
        Says::OutOfCredit => AttemptEnd::OutOfCredit { status: code },
        Says::PassingError(status) => AttemptEnd::error_in_body(status),
    }
}

/// Whether an error with this status may say more than its status: that an account has no credit, that usage is not told, or that the
/// key is good for other models.
fn may_say_more(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::FORBIDDEN
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::TOO_MANY_REQUESTS
    )
}

/// Waits for the head of an answer.
pub(crate) async fn head_within(
    limit: Duration,
    head: impl Future<Output = Result<Response<Answer>, SendError>>,
) -> Result<Response<Answer>, AttemptError> {
    match timeout(limit, head).await {
        // Whatever is said on the connection from here on is no answer.
        Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(AttemptError::ProtocolSwitched),
        Ok(arrived) => arrived.map_err(AttemptError::Connection),
        Err(_) => Err(AttemptError::Timeout(limit)),
    }
}

/// The attempt's end, as the table of consequences knows it.
pub(crate) fn end_of(result: &AttemptResult, ambient: &Ambient) -> AttemptEnd {
    match result {
        Ok(answer) => end_that_says(answer.says, answer.head.status, &answer.head.headers, ambient),
        Err(error) => error.end(),
    }
}

impl AttemptError {
    /// The same of an attempt without an answer.
    pub(crate) fn end(&self) -> AttemptEnd {
        match self {
            Self::ProtocolSwitched => AttemptEnd::NoHttp,
            Self::Connection(error) if error.is_no_http() => AttemptEnd::NoHttp,
            Self::Connection(SendError::Private(_)) => AttemptEnd::AddressForbidden,
            Self::Connection(_) => AttemptEnd::ConnectionFailed,
            Self::Timeout(_) => AttemptEnd::HeadTimedOut,
            Self::BodyMissing => AttemptEnd::BodyMissing,
        }
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
            AttemptError::ProtocolSwitched => {
                let message = "the provider switched to another protocol instead of answering";
                Self::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, message)
            }
            AttemptError::BodyMissing => Self::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, EMPTY),
        }
    }
}
