//! Which event belongs to which response. In a lane, responses come in the order in which they were asked for; between lanes, events
//! come as they like. What names no lane is in the connection's own.
//!
//! Each response has a recorder, from when it is asked for until its last event. A response that no message asked for by itself (one
//! that is steered may become another) has one from its first event.

use super::message::{Asked, closing};
use crate::error::Refusal;
use crate::exchange::body_kind::BodyKind;
use crate::exchange::outcome::Ending;
use crate::exchange::recorder::Recorder;
use http::{HeaderMap, StatusCode};
use lychgate_stream::Hold;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_wire::socket::{ClientEvent, ProviderEvent};
use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Most lanes that a client may name on one WebSocket; the connection's own is one more.
pub(crate) const LANES: usize = 32;
/// Most of them with responses at the same time.
pub(crate) const ACTIVE_LANES: usize = 16;
/// Most responses that one lane has been asked for and that have not ended.
pub(crate) const RESPONSES: usize = 16;

/// The lanes of one WebSocket, by name; the connection's own has none.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_name: HashMap<Box<str>, Lane>,
    has_no_client: bool,
}

#[derive(Debug, Default)]
struct Lane {
    /// In the order in which they were asked for.
    open: VecDeque<Response>,
    /// The last one that ended.
    ended: String,
    /// What the last message in it asked for.
    asked: Asked,
}

#[derive(Debug)]
struct Response {
    recorder: Recorder,
    /// `None` until its first event.
    id: Option<Box<str>>,
    began: Instant,
    /// An error that came while it was being made, and nothing since.
    failed: Option<Utf8Bytes>,
    /// Behind that error nothing came for so long that nobody waits for its end, which is still taken for it.
    given_up: bool,
}

impl Response {
    fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            id: None,
            began: Instant::now(),
            failed: None,
            given_up: false,
        }
    }

    fn head(&mut self, status: StatusCode) {
        let headers = HeaderMap::new();
        let kind = BodyKind {
            is_event_stream: true,
            ..BodyKind::of(status, &headers)
        };
        self.recorder.head(status, &headers, kind);
    }

    /// Ends it; an error that came last is why, and takes nothing from what it cost.
    fn end(mut self, ending: Ending) -> Option<Hold> {
        if let Some(error) = self.failed.take() {
            self.recorder.event(error.as_bytes());
            self.recorder.has_cost();
        }
        self.recorder.close(ending)
    }
}

impl Lanes {
    /// Whether there is room for what this message asks for.
    pub(super) fn room_for(&self, event: &ClientEvent) -> Result<(), Refusal> {
        let too_many = |message: &'static str| Err(Refusal::too_many(Refused::SocketsTooMany, message, 1));
        let lane = self.by_name.get(name(event));
        if lane.is_none() && event.lane.is_some() && self.names() >= LANES {
            return too_many(
                "this WebSocket has as many lanes as one may have; use one of those that it has, or another WebSocket",
            );
        }
        if !event.creates {
            return Ok(());
        }
        let open = lane.map_or(0, |lane| lane.open.len());
        if open >= RESPONSES {
            return too_many("this lane has been asked for as many responses as it may be; wait until some have ended");
        }
        if open == 0 && self.by_name.values().filter(|lane| !lane.open.is_empty()).count() >= ACTIVE_LANES {
            return too_many("this WebSocket makes responses in as many lanes as it may; wait until one is done");
        }
        Ok(())
    }

    fn names(&self) -> usize {
        self.by_name.len() - usize::from(self.by_name.contains_key(""))
    }

    /// A message goes to the provider.
    pub(super) fn relayed(&mut self, event: &ClientEvent, asked: Asked, recorder: Option<Recorder>) {
        if recorder.is_none() && !event.steers {
            return;
        }
        let lane = self.by_name.entry(name(event).into()).or_default();
        lane.asked.prompt = asked.prompt;
        if !asked.model.is_empty() {
            lane.asked.model = asked.model;
        }
        lane.open.extend(recorder.map(Response::new));
    }

    /// An event of the provider is relayed; gives what it has to wait for. `unasked` makes a recorder for a response that no message
    /// asked for by itself.
    ///
    /// # Errors
    /// There is no recorder for it.
    pub(super) fn see(
        &mut self,
        event: &ProviderEvent<'_>,
        text: &Utf8Bytes,
        unasked: impl FnOnce(&Asked) -> Result<Recorder, Refusal>,
    ) -> Result<Option<Hold>, Refusal> {
        let name = event.lane.as_deref().unwrap_or_default();
        let is_new = !self.by_name.contains_key(name);
        // What is recorded nowhere needs no lane.
        if is_new && (event.response_id.is_none() || self.by_name.len() > LANES) {
            return Ok(None);
        }
        let has_no_client = self.has_no_client;
        let lane = match self.by_name.get_mut(name) {
            Some(lane) => lane,
            None => self.by_name.entry(name.into()).or_default(),
        };
        match &event.response_id {
            _ if event.is_error() => Ok(lane.error(event, text)),
            Some(id) => lane.of_response(id, text, unasked),
            None => {
                let current = lane.open.iter().rposition(|response| response.id.is_some());
                Ok(current.and_then(|at| lane.event(at, text)))
            }
        }
        .map(|ended| {
            let response = ended?;
            response.end(if has_no_client {
                Ending::ClientLeft
            } else {
                Ending::Complete
            })
        })
    }

    /// The client is gone: what ends from here on, it does not see.
    pub(super) fn has_no_client(&mut self) {
        self.has_no_client = true;
    }

    /// Whether no response is being made for whose end anybody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.responses().all(|response| response.given_up)
    }

    /// Whether nothing can come any more of which there is to be a record.
    pub(super) fn is_empty(&self) -> bool {
        self.responses().next().is_none()
    }

    /// Whether the client has got the beginning of a response, and not its end.
    pub(super) fn has_begun(&self) -> bool {
        self.responses().any(|response| response.id.is_some())
    }

    /// When the oldest response began that is awaited.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let awaited = self.responses().filter(|response| !response.given_up);
        awaited.map(|response| response.began).min()
    }

    /// Gives up those behind whose errors nothing came. They are open until they or their lane show that they have ended: should
    /// one go on all the same, its usage is not booked twice.
    pub(super) fn give_up_failed(&mut self) {
        for response in self.by_name.values_mut().flat_map(|lane| &mut lane.open) {
            response.given_up |= response.failed.is_some();
        }
    }

    /// Ends all; gives the names of the lanes that had some.
    pub(super) fn end(&mut self, ending: impl Fn() -> Ending) -> Vec<Box<str>> {
        let mut ended = Vec::new();
        for (name, lane) in &mut self.by_name {
            if !lane.open.is_empty() {
                ended.push(name.clone());
            }
            for response in lane.open.drain(..) {
                // Nobody waits for it to be on the disk.
                drop(response.end(ending()));
            }
        }
        ended
    }

    fn responses(&self) -> impl Iterator<Item = &Response> {
        self.by_name.values().flat_map(|lane| &lane.open)
    }
}

impl Drop for Lanes {
    /// The connection was dropped, as it is when the process ends.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end(|| Ending::ClientLeft);
        }
    }
}

impl Lane {
    /// An event that names its response.
    fn of_response(
        &mut self,
        id: &str,
        text: &Utf8Bytes,
        unasked: impl FnOnce(&Asked) -> Result<Recorder, Refusal>,
    ) -> Result<Option<Response>, Refusal> {
        if self.ended == id {
            return Ok(None);
        }
        let known = self.open.iter().position(|response| response.id.as_deref() == Some(id));
        let at = match known {
            Some(at) => at,
            None => self.begin(id, unasked)?,
        };
        Ok(self.event(at, text))
    }

    /// A response begins: the next one that was asked for, else another.
    fn begin(&mut self, id: &str, unasked: impl FnOnce(&Asked) -> Result<Recorder, Refusal>) -> Result<usize, Refusal> {
        // Behind an error, the next one shows that the one before it has ended.
        self.end_failed();
        let at = match self.open.iter().position(|response| response.id.is_none()) {
            Some(at) => at,
            None if self.open.len() >= RESPONSES => return Err(closing()),
            None => {
                self.open.push_back(Response::new(unasked(&self.asked)?));
                self.open.len() - 1
            }
        };
        if let Some(response) = self.open.get_mut(at) {
            response.id = Some(id.into());
            response.head(StatusCode::OK);
        }
        Ok(at)
    }

    /// Ends those at the front by the errors that came last.
    fn end_failed(&mut self) {
        while self.open.front().is_some_and(|response| response.failed.is_some()) {
            drop(
                self.open
                    .pop_front()
                    .and_then(|response| response.end(Ending::Complete)),
            );
        }
    }

    /// An event of this response; if it is the last one, gives the response.
    fn event(&mut self, at: usize, text: &Utf8Bytes) -> Option<Response> {
        let response = self.open.get_mut(at)?;
        // Whatever error came before was about something else: the response goes on.
        (response.failed, response.given_up) = (None, false);
        response.recorder.event(text.as_bytes());
        if !response.recorder.has_last_event() {
            return None;
        }
        let mut response = self.open.remove(at)?;
        self.ended = response.id.take().unwrap_or_default().into();
        Some(response)
    }

    /// An error: the answer to the next response that was asked for, or about one that is being made. That may go on all the same, as
    /// the error may be about a message that it was to be steered by.
    fn error(&mut self, event: &ProviderEvent<'_>, text: &Utf8Bytes) -> Option<Response> {
        let response = self.open.front_mut()?;
        if response.id.is_some() {
            // Any number of errors end no response that has begun: each may be about a message that went behind it.
            response.failed = Some(text.clone());
            return None;
        }
        let status = event.status.and_then(|status| StatusCode::from_u16(status).ok());
        response.head(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        response.recorder.event(text.as_bytes());
        self.open.pop_front()
    }
}

fn name(event: &ClientEvent) -> &str {
    event.lane.as_deref().unwrap_or_default()
}
