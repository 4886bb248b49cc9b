//! What a process leaves to the next one.

use super::{INSTANT, LinkState, Model, Written};
use std::time::Duration;
use tokio::time::Instant;

/// What was learnt is on disk after this time at most.
const WRITTEN_AFTER: Duration = Duration::from_millis(1100);
/// How much too early the time of the last attachment on disk may be.
const WRITTEN_EVERY: Duration = Duration::from_secs(31);
impl Model {
    /// A process starts.
    pub(in super::super) fn start(&mut self, process: u64) {
        let now = Instant::now();
        self.process = Some(process);
        self.link = LinkState::Starting;
        self.place = if self.written.is_some() { None } else { Some(0) };
        if let Some(written) = &mut self.written
            && self
                .key_changed
                .is_some_and(|at| at + WRITTEN_AFTER > written.attached.1)
        {
            // It is sealed with the previous key.
            written.is_sure = false;
        }
        self.recalled = self.written.filter(|_| self.starts_offline);
        if self.clock_jumped {
            // The file uses the wall clock.
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
                    // Its time counts from when the file was written, not from when the process read it.
                    belief.until = belief.until.map(|until| until + INSTANT);
                }
            }
        }
    }

    /// The process is gone.
    pub(in super::super) fn crash(&mut self) {
        let now = Instant::now();
        self.advance(now);
        let attached = match (self.link, self.live) {
            (LinkState::Attached, Some((_, since))) => Some((since, now)),
            (LinkState::Attached, None) => Some((now, now)),
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
        if !self.starts_offline || self.link == LinkState::Refused {
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
        self.lookups.clear();
        self.waiting.clear();
        (self.process, self.live, self.ending) = (None, None, None);
        (self.is_renewing, self.is_drained, self.is_stopping) = (false, false, false);
    }
}
