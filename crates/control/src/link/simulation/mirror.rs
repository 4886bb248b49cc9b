//! What one replica is to do at each moment, as it follows from what came and went over its link: the specification of
//! standing, leases and the start without a control plane, written a second time and without any of the product's code.
//!
//! Where a moment's outcome depends on which of two things in the same instant comes first, it says that it is not sure.

use lychgate_link::{Authorization, CloseReason, Down, Message};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a replica waits for its new key to be let in, when the stream that the old one opened has ended.
const OVERLAP: Duration = Duration::from_secs(1);
/// What was learnt is on disk so much later at most.
const WRITTEN_AFTER: Duration = Duration::from_millis(1100);
/// The time at which a replica was attached is on disk, at most so much too early.
const WRITTEN_EVERY: Duration = Duration::from_secs(31);
/// Two things so near to each other may come in either order.
const INSTANT: Duration = Duration::from_millis(2);
/// How often a token that is revoked while it is asked about is asked about.
const ASKED: u32 = 3;

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

/// A request that is not let in yet.
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
pub(super) struct Mirror {
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

impl Mirror {
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

    /// A process starts.
    pub(super) fn start(&mut self, process: u64) {
        let now = Instant::now();
        self.process = Some(process);
        self.standing = Standing::Starting;
        self.place = if self.written.is_some() { None } else { Some(0) };
        self.recalled = self.written.filter(|_| self.starts_offline);
        if self.clock_jumped {
            // What is on disk is by the wall clock.
            for belief in self.beliefs.values_mut() {
                belief.until = None;
                belief.is_sure = false;
            }
            if let Some(recalled) = &mut self.recalled {
                let long_ago = now.checked_sub(self.max_offline).unwrap_or(now);
                *recalled = Written {
                    attached: (long_ago.min(recalled.attached.0), now),
                    is_sure: false,
                };
            }
        }
        match self.recalled {
            None => self.beliefs.clear(),
            Some(recalled) => {
                let in_time = recalled.is_sure && recalled.attached.0 + self.max_offline > now + INSTANT;
                for belief in self.beliefs.values_mut() {
                    belief.is_sure &= in_time;
                    // It counts from when the file was written, not from when the process read it.
                    belief.until = belief.until.map(|until| until + INSTANT);
                }
            }
        }
    }

    /// The process is gone. `key_changed`: when its key file was written anew.
    pub(super) fn crash(&mut self) {
        let now = Instant::now();
        self.look(now);
        let attached = match (self.standing, self.live) {
            (Standing::Attached, Some((_, since))) => Some((since, now)),
            (Standing::Attached, None) => Some((now, now)),
            _ => None,
        };
        if let Some((since, until)) = attached {
            let is_sure = since + WRITTEN_AFTER < until;
            let from = until.checked_sub(WRITTEN_EVERY).unwrap_or(since);
            let earliest = match self.written {
                _ if is_sure => from,
                Some(before) => before.attached.0.min(from),
                None => from,
            };
            self.written = Some(Written {
                attached: (earliest, until),
                is_sure,
            });
        }
        if !self.starts_offline || self.standing == Standing::Refused {
            self.written = None;
        }
        if let Some(written) = &mut self.written {
            let last = written.attached.1;
            if self.key_changed.is_some_and(|at| at + WRITTEN_AFTER > last) {
                written.is_sure = false;
            }
            for belief in self.beliefs.values_mut() {
                belief.is_sure &= written.is_sure && belief.since + WRITTEN_AFTER < last;
            }
            for (at, token, mut belief) in self.given_up.drain(..) {
                if at + WRITTEN_AFTER > last {
                    belief.is_sure = false;
                    self.beliefs.entry(token).or_insert(belief);
                }
            }
        } else {
            self.beliefs.clear();
        }
        self.given_up.clear();
        self.flights.clear();
        self.waiting.clear();
        (self.process, self.live, self.ending) = (None, None, None);
        (self.is_renewing, self.is_drained, self.is_stopping) = (false, false, false);
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
    pub(super) fn heard(&mut self, stream: u64, down: &Down, tokens: &[usize]) {
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

    /// The replica asks about a token.
    pub(super) fn asked(&mut self, token: usize) {
        self.flights.entry(token).or_default();
    }

    /// It gets an answer; `None`: none.
    pub(super) fn answered(&mut self, token: usize, answer: Option<Authorization>) {
        let now = Instant::now();
        let Some(flight) = self.flights.get_mut(&token) else {
            return;
        };
        flight.answers += 1;
        if answer.is_some() && std::mem::take(&mut flight.stale) {
            if flight.answers == ASKED {
                self.flights.remove(&token);
            }
            return;
        }
        self.flights.remove(&token);
        match answer {
            Some(Authorization::Known { lease, .. }) => {
                let belief = Belief {
                    until: Some(now + lease),
                    is_sure: true,
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

    /// Whether requests are to be taken.
    pub(super) fn admits(&self, now: Instant) -> Sure {
        if self.ending.is_some_and(|(at, _)| now + INSTANT > at) {
            return Sure::Unsure;
        }
        match self.standing {
            Standing::Attached => Sure::Yes,
            Standing::Starting | Standing::Refused => Sure::No,
            Standing::Away((earliest, latest)) => {
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

    pub(super) fn is_attached(&self) -> bool {
        self.standing == Standing::Attached
    }

    pub(super) fn is_refused(&self) -> bool {
        self.standing == Standing::Refused
    }

    /// A request comes. `has_room`: whether there is certainly room for its record.
    pub(super) fn comes(&mut self, request: u64, token: usize, has_room: bool) {
        let now = Instant::now();
        self.look(now);
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
            at_once: admits == Sure::No || !open || self.standing != Standing::Attached && self.ending.is_none(),
            disturbed: false,
        };
        self.waiting.insert(request, waiting);
    }

    /// It is let in, or refused with a status.
    pub(super) fn answered_request(&mut self, request: u64, status: Option<u16>) {
        let Some(waiting) = self.waiting.remove(&request) else {
            return;
        };
        let took = waiting.began.elapsed();
        let token = waiting.token;
        if status.is_none() && !waiting.may {
            self.broken(format!("token {token} is let in, though nothing says that it is good"));
        }
        if let Some(status) = status.filter(|_| waiting.must) {
            self.broken(format!("token {token} is known, but refused with {status}"));
        }
        let most = match (waiting.at_once, waiting.disturbed) {
            (true, _) => Duration::ZERO,
            (false, false) => Duration::from_secs(5),
            (false, true) => Duration::from_secs(15),
        };
        if took > most + INSTANT {
            self.broken(format!("a request with token {token} waited for {took:?}"));
        }
    }

    fn broken(&mut self, what: String) {
        self.violations.push(what);
    }
}
