//! What one replica should do at each moment, given what its link carried: the specification of link state, leases and starting
//! offline, written a second time without any of the product's code.
//!
//! If the outcome depends on which of two events in the same instant comes first, the model says that it is unsure.

mod process;
mod requests;

use lychgate_link::{CloseReason, Down, Message};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a replica waits for its new key to be accepted after the stream that the old one opened has ended.
const OVERLAP: Duration = Duration::from_secs(1);
/// Events this close to each other may come in either order.
const INSTANT: Duration = Duration::from_millis(2);
/// The earliest and the latest moment of an event.
type Range = (Instant, Instant);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    Starting,
    Attached,
    Offline(Range),
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    Yes,
    No,
    /// Either is right.
    Unsure,
}

/// How an attachment, or an attempt at one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Lost,
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct Belief {
    /// `None`: unknown, since the clock jumped.
    until: Option<Instant>,
    /// Whether requests with the token must be admitted; otherwise they only may.
    is_sure: bool,
    since: Instant,
}

#[derive(Debug)]
struct Lookup {
    began: Instant,
    /// Whether all was forgotten meanwhile, so that its answer is not believed.
    stale: bool,
    /// Whether that happened just when it began, so that either is right.
    unsure: bool,
    answers: u32,
}

/// What the snapshot file says to the next process.
#[derive(Debug, Clone, Copy)]
struct Written {
    attached: Range,
    is_sure: bool,
}

/// A request that waits for a decision.
#[derive(Debug)]
struct Waiting {
    token: usize,
    began: Instant,
    must: bool,
    may: bool,
    at_once: bool,
    /// The look-up may have to be repeated several times.
    disturbed: bool,
}

#[derive(Debug)]
pub(super) struct Model {
    max_offline: Duration,
    starts_offline: bool,
    /// The process, if one runs.
    pub(super) process: Option<u64>,
    link: LinkState,
    /// The stream that is read, and since when.
    pub(super) live: Option<(u64, Instant)>,
    is_renewing: bool,
    /// The stream has ended, but the consequences wait for a new key.
    ending: Option<(Instant, End)>,
    /// The position in the feed; `None`: unknown.
    place: Option<u64>,
    beliefs: BTreeMap<usize, Belief>,
    /// Leases that were dropped, and when.
    given_up: Vec<(Instant, usize, Belief)>,
    lookups: BTreeMap<usize, Lookup>,
    waiting: BTreeMap<u64, Waiting>,
    pub(super) is_drained: bool,
    pub(super) is_stopping: bool,
    written: Option<Written>,
    recalled: Option<Written>,
    key_changed: Option<Instant>,
    pub(super) clock_jumped: bool,
    pub(super) violations: Vec<String>,
}

impl Model {
    pub(super) fn new(max_offline: Duration, starts_offline: bool) -> Self {
        Self {
            max_offline,
            starts_offline,
            process: None,
            link: LinkState::Starting,
            live: None,
            is_renewing: false,
            ending: None,
            place: Some(0),
            beliefs: BTreeMap::new(),
            given_up: Vec::new(),
            lookups: BTreeMap::new(),
            waiting: BTreeMap::new(),
            is_drained: false,
            is_stopping: false,
            written: None,
            recalled: None,
            key_changed: None,
            clock_jumped: false,
            violations: Vec::new(),
        }
    }

    pub(super) fn key_changed(&mut self) {
        self.key_changed = Some(Instant::now());
    }

    /// The replica attaches, from this position on.
    pub(super) fn attach(&mut self, resume_after: u64) {
        self.advance(Instant::now());
        self.is_renewing |= self.live.is_some() || self.ending.is_some();
        let place = *self.place.get_or_insert(resume_after);
        if place != resume_after {
            self.violation(format!("attached from {resume_after} on, but is at {place}"));
        }
    }

    /// An attempt to attach failed.
    pub(super) fn attach_failed(&mut self, end: End) {
        self.advance(Instant::now());
        match (self.is_renewing, end) {
            (true, End::Lost) => {}
            (true, End::Refused) => self.is_renewing = false,
            (false, end) => self.end_now(end),
        }
    }

    /// The first message of a stream arrived.
    pub(super) fn opened(&mut self, stream: u64, resumed: bool, down: &Down) {
        let now = Instant::now();
        self.advance(now);
        if !resumed {
            self.forget_all();
        }
        self.link = LinkState::Attached;
        self.live = Some((stream, now));
        self.is_renewing = false;
        self.ending = None;
        self.place = Some(down.sequence);
    }

    /// A later message arrived.
    pub(super) fn received(&mut self, stream: u64, down: &Down, tokens: &[usize]) {
        self.advance(Instant::now());
        if self.live.is_none_or(|(live, _)| live != stream) {
            return;
        }
        match &down.message {
            Message::Close(CloseReason::ShuttingDown) => return self.end(End::Lost),
            Message::Close(_) => return self.end(End::Refused),
            _ => {}
        }
        if self.place != Some(down.after) {
            self.forget_all();
            self.place = Some(0);
            return self.end(End::Lost);
        }
        match &down.message {
            Message::TokensRevoked(_) => tokens.iter().for_each(|token| self.forget(*token)),
            Message::Drain => self.is_drained = true,
            _ => {}
        }
        self.place = Some(down.sequence);
    }

    /// A stream ended.
    pub(super) fn ended(&mut self, stream: u64, end: End) {
        self.advance(Instant::now());
        if self.live.is_some_and(|(live, _)| live == stream) {
            self.end(end);
        }
    }

    fn end(&mut self, end: End) {
        self.live = None;
        if self.is_renewing {
            self.ending = Some((Instant::now() + OVERLAP, end));
        } else {
            self.end_now(end);
        }
    }

    fn end_now(&mut self, end: End) {
        let now = Instant::now();
        match (end, self.link) {
            // A process that shuts down does not wait to learn why it was refused.
            (End::Refused, _) if self.is_stopping => {
                self.forget_all();
                self.written = Some(Written {
                    attached: (now, now),
                    is_sure: false,
                });
                self.link = LinkState::Offline((now, now));
            }
            (End::Refused, _) => {
                self.forget_all();
                self.given_up.clear();
                self.written = None;
                self.recalled = None;
                self.link = LinkState::Refused;
            }
            (End::Lost, LinkState::Attached) => {
                self.given_up.clear();
                self.written = Some(Written {
                    attached: (now, now),
                    is_sure: true,
                });
                self.link = LinkState::Offline((now, now));
            }
            (End::Lost, LinkState::Starting) => {
                if let Some(recalled) = self.recalled {
                    self.link = LinkState::Offline(recalled.attached);
                }
            }
            (End::Lost, _) => {}
        }
    }

    /// Applies what happens without an event once its time has come.
    fn advance(&mut self, now: Instant) {
        if let Some((at, end)) = self.ending
            && now > at
        {
            self.ending = None;
            self.is_renewing = false;
            self.end_now(end);
            let unsure = self.lookups.values_mut().filter(|lookup| lookup.began + INSTANT >= at);
            unsure.for_each(|lookup| lookup.unsure = std::mem::take(&mut lookup.stale));
            if let LinkState::Offline(_) = self.link {
                self.link = LinkState::Offline((at, at + INSTANT));
            }
        }
    }

    fn forget(&mut self, token: usize) {
        if let Some(belief) = self.beliefs.remove(&token) {
            self.given_up.push((Instant::now(), token, belief));
        }
        if let Some(lookup) = self.lookups.get_mut(&token) {
            lookup.stale = true;
        }
        let touched = self.waiting.values_mut().filter(|waiting| waiting.token == token);
        touched.for_each(|waiting| waiting.disturbed = true);
    }

    fn forget_all(&mut self) {
        let now = Instant::now();
        for (token, belief) in std::mem::take(&mut self.beliefs) {
            self.given_up.push((now, token, belief));
        }
        self.lookups.values_mut().for_each(|lookup| lookup.stale = true);
        self.waiting.values_mut().for_each(|waiting| waiting.disturbed = true);
    }

    fn violation(&mut self, what: String) {
        self.violations.push(what);
    }
}
