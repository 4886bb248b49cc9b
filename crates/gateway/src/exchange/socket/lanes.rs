//! Which event belongs to which response. In a lane, responses come in the order in which they were asked for; between lanes, events
//! come as they like. What names no lane is in the connection's own.
//!
//! Each response has a recorder, from when it is asked for until its last event. A response that is steered may be followed by another
//! that no message asks for: room for its record is taken when the steer is admitted, so that nothing that happens later keeps it off
//! the books. What comes of nothing at all has a recorder from its first event; there may be so many of those.

use super::lane::{Lane, Response};
use super::message::{Asks, Context, Model, Reserved};
use crate::error::Refusal;
use crate::exchange::outcome::Ending;
use crate::exchange::recorder::cut;
use http::StatusCode;
use lychgate_stream::Hold;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_wire::socket::{ClientEvent, LANE_BYTES, ProviderEvent};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher as _;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Most lanes that a client may name on one WebSocket; the connection's own is one more.
pub(crate) const LANES: usize = 32;
/// Most of them with responses at the same time.
pub(crate) const ACTIVE_LANES: usize = 16;
/// Most responses that one lane has been asked for and that have not ended.
pub(crate) const RESPONSES: usize = 16;
/// Most responses at the same time that followed a steer or nothing at all.
pub(crate) const UNASKED: usize = 16;
/// Most responses of one WebSocket; another one has to be opened then.
pub(crate) const ENDED: usize = 4096;
/// Longest id of a response.
pub(crate) const ID_BYTES: usize = 512;
/// The lanes of one WebSocket, by name; the connection's own has none.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_name: HashMap<Box<str>, Lane>,
    successors: VecDeque<Successor>,
    /// Hashes of the ids of all that have ended, so that none is booked twice.
    ended: HashSet<u64>,
    hasher: RandomState,
    has_no_client: bool,
}

/// A response that may follow one that is steered.
#[derive(Debug)]
struct Successor {
    /// The one that is steered.
    of: Option<Box<str>>,
    lane: Box<str>,
    reserved: Reserved,
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
        if event.steers && self.successors.len() >= UNASKED {
            return too_many(
                "this WebSocket has as many steers that wait as it may; wait until some have come into force",
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
    pub(super) fn relayed(&mut self, event: &ClientEvent, asks: Asks) {
        match asks {
            Asks::Nothing => {}
            Asks::Response(recorder, model) => {
                let lane = self.by_name.entry(name(event).into()).or_default();
                let model = Model {
                    asked: cut(&model.asked, ID_BYTES).to_owned(),
                    sent: cut(&model.sent, ID_BYTES).to_owned(),
                };
                lane.open.push_back(Response::new(recorder, model.clone()));
                lane.model = model;
            }
            Asks::Steers(of, reserved) => {
                let of: Option<Box<str>> = of.map(Into::into);
                // It is in the lane of what it steers, and says nothing of it.
                let steered = |lane: &Lane| lane.open.iter().any(|response| of.is_some() && response.id == of);
                let lane = self.by_name.iter().find(|(_, lane)| steered(lane));
                let lane = lane.map_or_else(|| name(event).into(), |(name, _)| name.clone());
                // Any number of steers make one successor.
                self.successors.retain(|known| known.of != of);
                self.successors.push_back(Successor { of, lane, reserved });
            }
        }
    }

    /// An event of the provider is relayed; gives what it has to wait for.
    ///
    /// # Errors
    /// What it tells of can't be on record, or is the last that is.
    pub(super) fn see(
        &mut self,
        event: &ProviderEvent<'_>,
        text: &Utf8Bytes,
        context: &Context,
    ) -> Result<Vec<Hold>, Refusal> {
        let name = event.lane.as_deref().unwrap_or_default();
        let id = event.response_id.as_deref();
        if name.len() > LANE_BYTES || id.is_some_and(|id| id.len() > ID_BYTES) {
            return Err(provider_failed(
                "the provider names a lane or a response by more than it may be long",
            ));
        }
        if let Some(of) = &event.not_steered {
            self.successors.retain(|known| known.of.as_deref() != Some(of));
        }
        if let (true, Some(status)) = (event.is_error(), event.status)
            && let Ok(status) = StatusCode::from_u16(status)
        {
            let model = self.by_name.get(name).map_or("", |lane| &lane.model.sent);
            context.refused(status, text.as_bytes(), model);
        }
        let is_new = !self.by_name.contains_key(name);
        // What is recorded nowhere needs no lane.
        if is_new && (id.is_none() || self.by_name.len() > LANES) {
            return Ok(Vec::new());
        }
        if id.is_some_and(|id| self.has_ended(id)) {
            return Ok(Vec::new());
        }
        let begins = id.is_some_and(|id| !event.is_error() && !self.is_known(name, id));
        let begun = if begins {
            self.begin(name, event, context)
        } else {
            Ok(())
        };
        let lane = match self.by_name.get_mut(name) {
            Some(lane) => lane,
            None => return begun.map(|()| Vec::new()),
        };
        let current = lane.open.iter().rposition(|response| match id {
            Some(id) => response.id.as_deref() == Some(id),
            None => response.id.is_some(),
        });
        let ended = if event.is_error() {
            lane.error(event, text)
        } else {
            current.map_or_else(Vec::new, |at| lane.event(at, text))
        };
        let holds = ended
            .into_iter()
            .filter_map(|response| self.end_one(response))
            .collect();
        begun.map(|()| holds)
    }

    fn has_ended(&self, id: &str) -> bool {
        self.ended.contains(&self.hasher.hash_one(id))
    }

    fn is_known(&self, lane: &str, id: &str) -> bool {
        let is_it = |response: &Response| response.id.as_deref() == Some(id);
        self.by_name.get(lane).is_some_and(|lane| lane.open.iter().any(is_it))
    }

    /// A response begins: the next one that was asked for, else one that follows a steer, else another.
    ///
    /// # Errors
    /// There is no room for its record; or there is, and it is one too many.
    fn begin(&mut self, name: &str, event: &ProviderEvent<'_>, context: &Context) -> Result<(), Refusal> {
        // Behind an error, the next one shows that the one before it has ended.
        while let Some(response) = self.by_name.get_mut(name).and_then(Lane::failed) {
            drop(self.end_one(response));
        }
        let previous = event.previous_response_id.as_deref();
        let lane = self.by_name.entry(name.into()).or_default();
        let (next, refused) = lane.begins(event.model.as_deref());
        for response in refused {
            drop(self.end_one(response));
        }
        let follows =
            |known: &Successor| &*known.lane == name && (known.of.is_none() || known.of.as_deref() == previous);
        let successor = match next {
            Some(_) => None,
            // A provider that does not say what it goes on from goes on from what was there.
            None => (self.successors.iter().position(follows))
                .or_else(|| self.successors.iter().position(|known| &*known.lane == name)),
        };
        let (at, is_one_too_many) = match next {
            Some(at) => (at, false),
            None => {
                let reserved = match successor.and_then(|at| self.successors.remove(at)) {
                    Some(successor) => successor.reserved,
                    None => context.unasked()?,
                };
                let unasked = self.responses().filter(|response| response.unasked).count();
                let lane = self.by_name.entry(name.into()).or_default();
                let mut response = Response::new(context.begin(reserved, &lane.model.asked), lane.model.clone());
                response.unasked = true;
                lane.open.push_back(response);
                (lane.open.len() - 1, unasked >= UNASKED)
            }
        };
        if next.is_some() {
            // What is asked for goes on in place of what was steered and has ended.
            let open = &self.by_name;
            let is_open = |known: &Successor| {
                let mut responses = open.values().flat_map(|lane| &lane.open);
                responses.any(|response| known.of.is_some() && response.id == known.of)
            };
            self.successors.retain(|known| &*known.lane != name || is_open(known));
        }
        if let Some(response) = self.by_name.get_mut(name).and_then(|lane| lane.open.get_mut(at)) {
            response.id = event.response_id.as_deref().map(Into::into);
            response.head(StatusCode::OK);
        }
        // It is the user's from now on: who steers it has to name it.
        if let Some(id) = event.response_id.as_deref() {
            context.shared.objects.remember(context.token, id, None);
        }
        if is_one_too_many {
            return Err(provider_failed(
                "the provider makes more responses that nobody asked for than there may be on one WebSocket",
            ));
        }
        Ok(())
    }

    /// Ends it as it says itself.
    fn end_one(&mut self, response: Response) -> Option<Hold> {
        if let Some(id) = &response.id {
            self.ended.insert(self.hasher.hash_one(&**id));
        }
        response.end(if self.has_no_client {
            Ending::ClientLeft
        } else {
            Ending::Complete
        })
    }

    /// Whether no more responses are to be asked for.
    pub(super) fn is_full(&self) -> bool {
        self.ended.len() >= ENDED
    }

    /// Nothing more is awaited of what was steered.
    pub(super) fn forget_steers(&mut self) {
        self.successors.clear();
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
        self.responses().next().is_none() && self.successors.is_empty()
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

    /// The models that the provider was asked for of which something is awaited, each once: an end is one failure.
    pub(super) fn models(&self) -> BTreeSet<&str> {
        let awaited = self.responses().filter(|response| !response.given_up);
        awaited.map(|response| response.model.sent.as_str()).collect()
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

fn provider_failed(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, message)
}

fn name(event: &ClientEvent) -> &str {
    event.lane.as_deref().unwrap_or_default()
}
