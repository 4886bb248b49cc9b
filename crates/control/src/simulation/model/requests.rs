//! Which tokens are believed to be valid, and what should become of a request.

use super::{Belief, INSTANT, LinkState, Lookup, Model, Sure, Waiting};
use lychgate_link::Authorization;
use std::time::Duration;
use tokio::time::Instant;

/// How often a token that is revoked during its look-up is looked up.
const ASKED: u32 = 3;

impl Model {
    /// The replica looks a token up.
    pub(in super::super) fn lookup_started(&mut self, token: usize) {
        self.lookups.entry(token).or_insert_with(|| Lookup {
            began: Instant::now(),
            stale: false,
            unsure: false,
            answers: 0,
        });
    }

    /// It gets an answer, or (`None`) none.
    pub(in super::super) fn lookup_answered(&mut self, token: usize, answer: Option<Authorization>) {
        let now = Instant::now();
        self.advance(now);
        let Some(lookup) = self.lookups.get_mut(&token) else {
            return;
        };
        lookup.answers += 1;
        if answer.is_some() && std::mem::take(&mut lookup.stale) {
            if lookup.answers == ASKED {
                self.lookups.remove(&token);
            }
            return;
        }
        let is_sure = !lookup.unsure;
        self.lookups.remove(&token);
        match answer {
            Some(Authorization::Known { lease, .. }) => {
                let belief = Belief {
                    until: Some(now + lease),
                    is_sure,
                    since: now,
                };
                self.beliefs.insert(token, belief);
                let asking = self.waiting.values_mut().filter(|waiting| waiting.token == token);
                asking.for_each(|waiting| waiting.may = true);
            }
            Some(Authorization::Denied { .. }) => self.forget(token),
            None => {}
        }
    }

    /// Whether requests should be admitted.
    pub(in super::super) fn admits(&self, now: Instant) -> Sure {
        if self.ending.is_some_and(|(at, _)| now + INSTANT > at) {
            return Sure::Unsure;
        }
        match self.link {
            LinkState::Attached => Sure::Yes,
            LinkState::Starting | LinkState::Refused => Sure::No,
            LinkState::Offline((earliest, latest)) => {
                if now > latest + self.max_offline + INSTANT {
                    Sure::No
                } else if self.recalled.is_none_or(|recalled| recalled.is_sure)
                    && now + INSTANT < earliest + self.max_offline
                {
                    Sure::Yes
                } else {
                    Sure::Unsure
                }
            }
        }
    }

    pub(in super::super) fn is_attached(&self) -> bool {
        self.link == LinkState::Attached
    }

    pub(in super::super) fn is_refused(&self) -> bool {
        self.link == LinkState::Refused
    }

    /// A request arrives. `has_room`: whether there is certainly room for its record.
    pub(in super::super) fn request_arrived(&mut self, request: u64, token: usize, has_room: bool) {
        let now = Instant::now();
        self.advance(now);
        let admits = self.admits(now);
        let known = self.beliefs.get(&token);
        let lasts = |by: Duration| move |belief: &&Belief| belief.until.is_none_or(|until| until > now + by);
        let certain = known
            .filter(lasts(INSTANT))
            .is_some_and(|belief| belief.is_sure && belief.until.is_some());
        let open = !self.is_drained && !self.is_stopping;
        let may_be_known = known.filter(lasts(Duration::ZERO)).is_some();
        let waiting = Waiting {
            token,
            began: now,
            must: admits == Sure::Yes && certain && open && has_room,
            may: admits != Sure::No && may_be_known && open,
            at_once: admits == Sure::No || !open || self.link != LinkState::Attached && self.ending.is_none(),
            disturbed: self
                .lookups
                .get(&token)
                .is_some_and(|lookup| lookup.stale || lookup.answers > 0),
        };
        self.waiting.insert(request, waiting);
    }

    /// It is admitted, or refused with a status.
    pub(in super::super) fn request_answered(&mut self, request: u64, status: Option<u16>) {
        let Some(waiting) = self.waiting.remove(&request) else {
            return;
        };
        let took = waiting.began.elapsed();
        let token = waiting.token;
        if status.is_none() && !waiting.may {
            self.violation(format!(
                "token {token} is admitted, though nothing says that it is valid"
            ));
        }
        if let Some(status) = status.filter(|_| waiting.must) {
            self.violation(format!("token {token} is known, but refused with {status}"));
        }
        let most = match (waiting.at_once, waiting.disturbed) {
            (true, _) => Duration::ZERO,
            (false, false) => Duration::from_secs(5),
            (false, true) => Duration::from_secs(15),
        };
        if took > most + INSTANT {
            self.violation(format!("a request with token {token} waited for {took:?}"));
        }
    }
}
