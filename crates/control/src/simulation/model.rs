//! What one replica is to do at each moment, as it follows from what came and went over its link: the specification of
//! standing, leases and the start without a control plane, written a second time and without any of the product's code.
//!
//! Where a moment's outcome depends on which of two things in the same instant comes first, it says that it is not sure.

mod process;
mod requests;

use lychgate_link::{CloseReason, Down, Message};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a replica waits for its new key to be accepted, when the stream that the old one opened has ended.
const OVERLAP: Duration = Duration::from_secs(1);
/// Two things so near to each other may come in either order.
const INSTANT: Duration = Duration::from_millis(2);
/// Moments between which something was.
type Range = (Instant, Instant);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Starting,
    Attached,
    Away(Range),
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
    /// `None`: nobody can tell, since the clock jumped.
    until: Option<Instant>,
    /// Whether the token must be served, else it only may.
    is_sure: bool,
    since: Instant,
}

#[derive(Debug, Default)]
struct Flight {
    stale: bool,
    answers: u32,
}

/// What a file has to say to the next process.
#[derive(Debug, Clone, Copy)]
struct Written {
    attached: Range,
    is_sure: bool,
}

/// A request that is not admitted yet.
#[derive(Debug)]
struct Waiting {
    token: usize,
    began: Instant,
    must: bool,
    may: bool,
    at_once: bool,
    /// Answers are to be had again and again.
    disturbed: bool,
}

#[derive(Debug)]
pub(super) struct Model {
    max_offline: Duration,
    starts_offline: bool,
    /// The process, if one runs.
    pub(super) process: Option<u64>,
    standing: Standing,
    /// The stream that is listened to, and since when.
    pub(super) live: Option<(u64, Instant)>,
    is_renewing: bool,
    /// The stream has ended, but what follows from it waits for a new key.
    ending: Option<(Instant, End)>,
    /// The place in the feed; `None`: not known.
    place: Option<u64>,
    beliefs: BTreeMap<usize, Belief>,
    /// Beliefs that were given up, and when.
    given_up: Vec<(Instant, usize, Belief)>,
    flights: BTreeMap<usize, Flight>,
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
            standing: Standing::Starting,
            live: None,
            is_renewing: false,
            ending: None,
            place: Some(0),
            beliefs: BTreeMap::new(),
            given_up: Vec::new(),
            flights: BTreeMap::new(),
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

    /// Attaches, from this place on.
    pub(super) fn attach(&mut self, resume_after: u64) {
        self.look(Instant::now());
        self.is_renewing |= self.live.is_some() || self.ending.is_some();
        let place = *self.place.get_or_insert(resume_after);
        if place != resume_after {
            self.broken(format!("attached from {resume_after} on, but stands at {place}"));
        }
    }

    /// An attempt at attaching failed.
    pub(super) fn attach_failed(&mut self, end: End) {
        self.look(Instant::now());
        match (self.is_renewing, end) {
            (true, End::Lost) => {}
            (true, End::Refused) => self.is_renewing = false,
            (false, end) => self.end_now(end),
        }
    }

    /// A stream's first message came.
    pub(super) fn opened(&mut self, stream: u64, resumed: bool, down: &Down) {
        let now = Instant::now();
        self.look(now);
        if !resumed {
            self.forget_all();
        }
        self.standing = Standing::Attached;
        self.live = Some((stream, now));
        self.is_renewing = false;
        self.ending = None;
        self.place = Some(down.sequence);
    }

    /// A later message came.
    pub(super) fn received(&mut self, stream: u64, down: &Down, tokens: &[usize]) {
        self.look(Instant::now());
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
        self.look(Instant::now());
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
        match (end, self.standing) {
            // Whoever takes leave need not hear why it would have been turned out.
            (End::Refused, _) if self.is_stopping => {
                self.forget_all();
                self.written = Some(Written {
                    attached: (now, now),
                    is_sure: false,
                });
                self.standing = Standing::Away((now, now));
            }
            (End::Refused, _) => {
                self.forget_all();
                self.given_up.clear();
                self.written = None;
                self.recalled = None;
                self.standing = Standing::Refused;
            }
            (End::Lost, Standing::Attached) => {
                self.given_up.clear();
                self.written = Some(Written {
                    attached: (now, now),
                    is_sure: true,
                });
                self.standing = Standing::Away((now, now));
            }
            (End::Lost, Standing::Starting) => {
                if let Some(recalled) = self.recalled {
                    self.standing = Standing::Away(recalled.attached);
                }
            }
            (End::Lost, _) => {}
        }
    }

    /// Lets what was to come by itself come.
    fn look(&mut self, now: Instant) {
        if let Some((at, end)) = self.ending
            && now > at
        {
            self.ending = None;
            self.is_renewing = false;
            self.end_now(end);
            if let Standing::Away(_) = self.standing {
                self.standing = Standing::Away((at, at + INSTANT));
            }
        }
    }

    fn forget(&mut self, token: usize) {
        if let Some(belief) = self.beliefs.remove(&token) {
            self.given_up.push((Instant::now(), token, belief));
        }
        if let Some(flight) = self.flights.get_mut(&token) {
            flight.stale = true;
        }
        let touched = self.waiting.values_mut().filter(|waiting| waiting.token == token);
        touched.for_each(|waiting| waiting.disturbed = true);
    }

    fn forget_all(&mut self) {
        let now = Instant::now();
        for (token, belief) in std::mem::take(&mut self.beliefs) {
            self.given_up.push((now, token, belief));
        }
        self.flights.values_mut().for_each(|flight| flight.stale = true);
        self.waiting.values_mut().for_each(|waiting| waiting.disturbed = true);
    }

    fn broken(&mut self, what: String) {
        self.violations.push(what);
    }
}
