//! The responses of one lane, in the order in which they were asked for.
//!
//! An error names neither the response nor the message that it is about. What has a number is of the response that is being made. Any
//! other may be the answer to one of the messages that wait, or be about the response that is being made, which may go on all the same.
//! So it is kept until more is known: when the next response begins, those before it have been refused, and where as many errors came
//! as messages wait and nothing is being made, all have. Which one it is that begins is told by its model; where that tells nothing, and
//! the messages asked for several, it is on record under the model that it names itself. All of one WebSocket are one user's, so that
//! no usage is ever another user's or another model's.

use super::message::Model;
use crate::exchange::body_kind::BodyKind;
use crate::exchange::outcome::Ending;
use crate::exchange::recorder::Recorder;
use http::{HeaderMap, StatusCode};
use lychgate_stream::Hold;
use lychgate_wire::socket::{ProviderEvent, error_event, provider_event};
use std::collections::VecDeque;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// An error that is longer than this is kept by its status only.
const ERROR_BYTES: usize = 4 << 10;

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// In the order in which they were asked for.
    pub(super) open: VecDeque<Response>,
    /// The model that was asked for last.
    pub(super) model: Model,
    /// Errors that each may be the answer to one of those that wait, which is not known yet.
    refusals: VecDeque<Utf8Bytes>,
}

#[derive(Debug)]
pub(super) struct Response {
    pub(super) recorder: Recorder,
    /// `None` until its first event.
    pub(super) id: Option<Box<str>>,
    /// No message asked for it.
    pub(super) unasked: bool,
    pub(super) began: Instant,
    pub(super) model: Model,
    /// An error that came while it was being made, and nothing since.
    pub(super) failed: Option<Utf8Bytes>,
    /// Behind that error nothing came for so long that nobody waits for its end, which is still taken for it.
    pub(super) given_up: bool,
}

impl Response {
    pub(super) fn new(recorder: Recorder, model: Model) -> Self {
        Self {
            recorder,
            id: None,
            unasked: false,
            began: Instant::now(),
            model,
            failed: None,
            given_up: false,
        }
    }

    pub(super) fn head(&mut self, status: StatusCode) {
        let headers = HeaderMap::new();
        let kind = BodyKind {
            is_event_stream: true,
            ..BodyKind::of(status, &headers)
        };
        self.recorder.head(status, &headers, kind);
    }

    /// An error was the answer to it.
    fn refused(mut self, error: &Utf8Bytes) -> Self {
        let status = provider_event(error.as_bytes()).status;
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        self.head(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        self.recorder.event(error.as_bytes());
        self
    }

    /// Ends it; an error that came last is why, and takes nothing from what it cost.
    pub(super) fn end(mut self, ending: Ending) -> Option<Hold> {
        if let Some(error) = self.failed.take() {
            self.recorder.event(error.as_bytes());
            self.recorder.mark_costly();
        }
        self.recorder.close(ending)
    }
}

impl Lane {
    /// The one at the front, if an error was the last that came of it.
    pub(super) fn failed(&mut self) -> Option<Response> {
        self.open.pop_front_if(|response| response.failed.is_some())
    }

    /// An event of this response; gives those that have ended, the response first.
    pub(super) fn event(&mut self, at: usize, text: &Utf8Bytes) -> Vec<Response> {
        let Some(response) = self.open.get_mut(at) else {
            return Vec::new();
        };
        // Whatever error came before was about something else: the response goes on.
        (response.failed, response.given_up) = (None, false);
        response.recorder.event(text.as_bytes());
        if !response.recorder.has_last_event() {
            return Vec::new();
        }
        let mut ended: Vec<Response> = self.open.remove(at).into_iter().collect();
        ended.extend(self.all_refused());
        ended
    }

    /// An error; gives those that it ends.
    pub(super) fn error(&mut self, event: &ProviderEvent<'_>, text: &Utf8Bytes) -> Vec<Response> {
        let waiting = self.open.iter().filter(|response| response.id.is_none()).count();
        let running = self.open.iter_mut().find(|response| response.id.is_some());
        match running {
            // Any number of errors end no response that has begun: each may be about a message that went behind it.
            Some(running) if event.is_numbered || self.refusals.len() >= waiting => {
                running.failed = Some(kept(event, text));
                Vec::new()
            }
            None if waiting == 0 => Vec::new(),
            _ => {
                self.refusals.push_back(kept(event, text));
                self.all_refused()
            }
        }
    }

    /// Those that wait, where there are as many errors and nothing else that these may be about.
    fn all_refused(&mut self) -> Vec<Response> {
        let is_running = self.open.iter().any(|response| response.id.is_some());
        if is_running || self.refusals.len() < self.open.len() {
            return Vec::new();
        }
        self.refuse(self.open.len())
    }

    /// The errors that came were the answers to the first so many of those that wait.
    fn refuse(&mut self, count: usize) -> Vec<Response> {
        let mut refused = Vec::with_capacity(count);
        for _ in 0..count {
            let (Some(error), Some(at)) = (self.refusals.pop_front(), self.first_waiting()) else {
                break;
            };
            refused.extend(self.open.remove(at).map(|response| response.refused(&error)));
        }
        refused
    }

    fn first_waiting(&self) -> Option<usize> {
        self.open.iter().position(|response| response.id.is_none())
    }

    /// Which of those that wait begins, made by this model, and those that were refused before it.
    pub(super) fn begins(&mut self, model: Option<&str>) -> (Option<usize>, Vec<Response>) {
        let waiting: Vec<_> = (self.open.iter().filter(|response| response.id.is_none()))
            .take(self.refusals.len() + 1)
            .map(|response| response.model.sent.as_str())
            .collect();
        let fits = |sent: &str| model.is_some_and(|model| !sent.is_empty() && model.starts_with(sent));
        // Of several that fit, the name that is most like it, and of those the first.
        let longest = waiting.iter().filter(|sent| fits(sent)).map(|sent| sent.len()).max();
        let by_model = waiting
            .iter()
            .position(|sent| fits(sent) && Some(sent.len()) == longest);
        let is_any = by_model.is_none() && waiting.iter().any(|sent| *sent != waiting[0]);
        let refused = self.refuse(by_model.unwrap_or_default());
        let at = self.first_waiting();
        if is_any && let Some(response) = at.and_then(|at| self.open.get_mut(at)) {
            response.recorder.set_model(model.unwrap_or_default());
        }
        (at, refused)
    }
}

/// What is kept of an error: a copy, since the message's own bytes are a part of more.
fn kept(event: &ProviderEvent<'_>, text: &Utf8Bytes) -> Utf8Bytes {
    let message = "the provider's error is too long to be kept";
    let text = match text.len() {
        ..=ERROR_BYTES => text.to_string(),
        _ => error_event(event.status.unwrap_or(500), message, None, std::iter::empty()),
    };
    text.into()
}
