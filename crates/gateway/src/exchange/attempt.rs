//! One exchange's attempts while the client waits for the head of an answer, so that a client that leaves meanwhile still
//! leaves a whole record.
//!
//! Not here: what an attempt's end means (`retry`) and which one comes next (`selector`).

use crate::exchange::outcome::Ending;
use crate::exchange::peeked::{GRACE, Peeked, is_due};
use crate::exchange::recorder::Recorder;
use crate::exchange::relay::is_event_stream;
use crate::exchange::tee::{linger, read_on};
use crate::upstream::{Answer, SendError, Sending};
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// Why an attempt brought no answer.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// The connection could not be made, or broke.
    Broken(SendError),
    /// It took too long.
    Timeout,
    /// There was a head that promised a body, and the end came instead of it.
    Empty,
}

/// The exchange. Dropped before its answer was taken (the client left), what is under way is waited for in the background.
pub(crate) struct PendingAttempt {
    recorder: Recorder,
    under_way: UnderWay,
}

enum UnderWay {
    Nothing,
    Head(Sending),
    Body(Answer),
}

impl PendingAttempt {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            under_way: UnderWay::Nothing,
        }
    }

    /// Waits for the head of an attempt's answer and, where there has to be a body, shortly for its beginning.
    pub(crate) async fn attempt(
        &mut self,
        sending: Sending,
        limit: Duration,
    ) -> Result<Response<Peeked<Answer>>, AttemptError> {
        self.under_way = UnderWay::Head(sending);
        let answer = timeout(limit, self.head()).await;
        self.under_way = UnderWay::Nothing;
        let (parts, body) = match answer {
            Ok(Ok(response)) => response.into_parts(),
            Ok(Err(error)) => return Err(AttemptError::Broken(error)),
            Err(_) => return Err(AttemptError::Timeout),
        };
        self.recorder
            .head(parts.status, &parts.headers, is_event_stream(&parts.headers));
        if !is_due(parts.status, &parts.headers) {
            return Ok(Response::from_parts(parts, Peeked::new(None, body)));
        }
        self.under_way = UnderWay::Body(body);
        let first = timeout(GRACE, self.first()).await;
        let body = match std::mem::replace(&mut self.under_way, UnderWay::Nothing) {
            UnderWay::Body(body) => body,
            _ => return Err(AttemptError::Empty),
        };
        let first = match first {
            Err(_) => None,
            Ok(Some(Ok(frame))) if frame.is_data() => Some(frame),
            Ok(_) => return Err(AttemptError::Empty),
        };
        Ok(Response::from_parts(parts, Peeked::new(first, body)))
    }

    /// Waits between two attempts.
    pub(crate) async fn pause(&mut self, wait: Duration) {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    pub(crate) fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// The attempts are over.
    pub(crate) fn finish(&mut self) -> Recorder {
        self.recorder.take()
    }

    async fn head(&mut self) -> Result<Response<Answer>, SendError> {
        std::future::poll_fn(|cx| match &mut self.under_way {
            UnderWay::Head(sending) => Pin::new(sending).poll(cx),
            _ => Poll::Pending,
        })
        .await
    }

    async fn first(&mut self) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        match &mut self.under_way {
            UnderWay::Body(body) if !body.is_end_stream() => body.frame().await,
            _ => None,
        }
    }
}

impl Drop for PendingAttempt {
    fn drop(&mut self) {
        let recorder = self.recorder.take();
        match std::mem::replace(&mut self.under_way, UnderWay::Nothing) {
            UnderWay::Head(sending) => linger(sending, recorder),
            UnderWay::Body(body) => read_on(body, recorder),
            // A recorder that is dropped unclosed says that the gateway broke, as it does here.
            UnderWay::Nothing if std::thread::panicking() => drop(recorder),
            UnderWay::Nothing => drop(recorder.close(Ending::ClientGaveUp)),
        }
    }
}
