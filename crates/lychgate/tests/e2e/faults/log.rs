//! What happened in a run, as its clients and its operator saw it.

use crate::request::Ask;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// All that is noted while a run goes on.
#[derive(Default)]
pub(super) struct Log {
    sent: Mutex<Vec<Sent>>,
    troubles: Mutex<Vec<Trouble>>,
    revocations: Mutex<Vec<Revocation>>,
    wrong: Mutex<Vec<String>>,
}

/// One request of a client.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// What it is found by again.
    pub(super) marker: String,
    pub(super) replica: usize,
    /// Its place in the list of tokens.
    pub(super) token: usize,
    pub(super) ask: Ask,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// The id of the interception; empty where none was named.
    pub(super) id: String,
    pub(super) end: End,
}

/// How it ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// 200, and the body came to its proper end.
    Complete,
    /// 200, and the body broke off.
    Broken,
    /// Another status, and what was said.
    Refused(u16, String),
    /// No answer: the connection could not be made, or broke.
    Nothing(String),
    /// Nothing more came before the deadline.
    Late,
}

impl Sent {
    /// Whether the request was accepted.
    pub(super) fn was_served(&self) -> bool {
        matches!(self.end, End::Complete | End::Broken)
    }
}

/// What a replica suffers from, and what may be excused by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It does not learn of changes, or not in time.
    Deaf,
    /// Its process is not there, or does not run.
    Down,
    /// Its process was killed: what it had not written is gone.
    Killed,
    /// Its gateway key is refused.
    Key,
    /// Its disk is full.
    Disk,
    /// It reaches no control plane, and knows it at once.
    Alone,
}

/// A time during which one replica suffers from something.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) replica: usize,
    pub(super) kind: Kind,
    pub(super) from: Instant,
    /// When all was seen to be well again; `None`: not yet.
    pub(super) to: Option<Instant>,
}

impl Trouble {
    /// Whether it went on at any moment between these.
    pub(super) fn touches(&self, from: Instant, to: Instant) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }
}

/// A token that is not to be served from some moment on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Revocation {
    pub(super) token: usize,
    /// When the operator asked for it.
    pub(super) asked: Instant,
    /// When it was said to be done; `None`: never.
    pub(super) done: Option<Instant>,
}

/// Troubles that begin and end together.
#[derive(Debug, Clone)]
pub(super) struct Troubles(Vec<usize>);

impl Log {
    pub(super) fn sent(&self, sent: Sent) {
        self.sent.lock().unwrap().push(sent);
    }

    pub(super) fn all_sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The ids of so many interceptions that were named last.
    pub(super) fn newest_ids(&self, count: usize) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        let ids = sent.iter().rev().map(|one| &one.id).filter(|id| !id.is_empty());
        ids.take(count).cloned().collect()
    }

    /// Something is not as it must be.
    pub(super) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    pub(super) fn all_wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// These replicas begin to suffer.
    pub(super) fn begins(&self, kind: Kind, replicas: impl IntoIterator<Item = usize>) -> Troubles {
        let mut troubles = self.troubles.lock().unwrap();
        let from = Instant::now();
        let begin = |replica| {
            troubles.push(Trouble {
                replica,
                kind,
                from,
                to: None,
            });
            troubles.len() - 1
        };
        Troubles(replicas.into_iter().map(begin).collect())
    }

    /// This replica, whose process is down, was killed.
    pub(super) fn was_killed(&self, replica: usize, down: &mut Troubles) {
        let killed = self.begins(Kind::Killed, [replica]);
        down.0.extend(killed.0);
    }

    /// This replica is well again, as far as these go; it may take so long until it is.
    pub(super) fn ends(&self, which: &Troubles, replica: usize, settling: Duration) {
        let mut troubles = self.troubles.lock().unwrap();
        for at in &which.0 {
            let trouble = &mut troubles[*at];
            if trouble.replica == replica {
                trouble.to = Some(Instant::now() + settling);
            }
        }
    }

    /// All that this replica suffered from.
    pub(super) fn troubles(&self, replica: usize) -> Vec<Trouble> {
        let troubles = self.troubles.lock().unwrap();
        troubles.iter().filter(|one| one.replica == replica).cloned().collect()
    }

    /// When the last trouble that is over was over.
    pub(super) fn last_trouble(&self) -> Instant {
        let troubles = self.troubles.lock().unwrap();
        let last = troubles.iter().filter_map(|trouble| trouble.to).max();
        last.unwrap_or_else(Instant::now)
    }

    pub(super) fn revocation(&self, token: usize) {
        self.revocations.lock().unwrap().push(Revocation {
            token,
            asked: Instant::now(),
            done: None,
        });
    }

    pub(super) fn revoked(&self, token: usize) {
        let mut revocations = self.revocations.lock().unwrap();
        if let Some(one) = revocations.iter_mut().find(|one| one.token == token) {
            one.done = Some(Instant::now());
        }
    }

    pub(super) fn revocations(&self) -> Vec<Revocation> {
        self.revocations.lock().unwrap().clone()
    }
}

impl Troubles {
    /// Who suffers.
    pub(super) fn replicas(&self, log: &Log) -> BTreeSet<usize> {
        let troubles = log.troubles.lock().unwrap();
        self.0.iter().map(|at| troubles[*at].replica).collect()
    }
}
