//! What the control plane said about user tokens, and for how long that holds.
//!
//! Concurrent requests with the same unknown token share one look-up, and an answer that was on its way when the token was
//! revoked is discarded. All sizes are bounded, and a flood of unknown tokens can't evict known ones.
//!
//! Not here: the look-up itself (a [`ControlLink`]).

mod shards;

use crate::counts::LeaseCounts;
use lychgate_link::places::{Place, PlaceLimits, Places, Source};
use lychgate_link::{Authorization, ControlLink, DenyReason, LinkError};
use lychgate_telemetry::metrics::labels::Lookup;
use lychgate_types::secret::SecretHash;
use lychgate_types::{Holder, Timestamp};
use parking_lot::Mutex;
use shards::{Lease, Shards};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Most tokens that are new here and looked up at the same time, and most of them for one source; beyond that, they are refused for now.
pub(crate) const LOOKUPS: PlaceLimits = PlaceLimits { all: 512, one: 256 };
/// The same of tokens that worked here before. With those above, fewer than the calls that a control plane takes over one connection.
pub(crate) const RENEWALS: PlaceLimits = PlaceLimits { all: 384, one: 384 };
/// Most requests that wait for look-ups of the one kind or the other, several of which may wait for the same, and most of them from one
/// source.
pub(crate) const WAITING: PlaceLimits = PlaceLimits { all: 4096, one: 2048 };
/// A client is waiting for this answer, so it has to be quick.
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// A token that is revoked during each of this many look-ups is not looked up again.
const LOOKUP_ATTEMPTS: u32 = 3;
/// No lease is longer, whatever the control plane says.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(24 * 3600);

/// What to do with a token's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Relay it; whose it is.
    Allowed(Holder),
    /// The token is valid, but not for AI requests.
    Forbidden,
    /// The token is not valid.
    Denied(DenyReason),
    /// Nobody can tell at the moment.
    Unknown,
    /// Too many others wait for an answer already.
    Crowded,
}

/// The cache of leases.
#[derive(Debug)]
pub(crate) struct Leases {
    shards: Shards,
    /// For tokens that are new here, as those of strangers are.
    new: Room,
    /// For tokens that worked here before.
    renewed: Room,
    /// Look-ups in progress. Locked while an answer is stored and while a token is revoked, so that neither overtakes the other.
    lookups: Mutex<HashMap<SecretHash, PendingLookup>>,
    /// Grows with every change.
    changes: AtomicU64,
    pub(crate) counts: LeaseCounts,
}

/// The places of one kind of token.
#[derive(Debug)]
struct Room {
    lookups: Arc<Places>,
    /// Requests that wait for look-ups.
    waiting: Arc<Places>,
}

impl Room {
    fn new(lookups: PlaceLimits) -> Self {
        Self {
            lookups: Places::new(lookups),
            waiting: Places::new(WAITING),
        }
    }
}

/// A lease on a valid token, as it outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PersistedLease {
    pub(crate) token: SecretHash,
    /// `None`: it may not send requests.
    pub(crate) allowed: Option<Holder>,
    pub(crate) until: Timestamp,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            shards: Shards::default(),
            new: Room::new(LOOKUPS),
            renewed: Room::new(RENEWALS),
            lookups: Mutex::default(),
            changes: AtomicU64::new(0),
            counts: LeaseCounts::default(),
        }
    }
}

#[derive(Debug)]
struct PendingLookup {
    answer: watch::Receiver<Option<Verdict>>,
    /// The token was revoked after the look-up had begun.
    stale: bool,
}

impl Leases {
    /// What is known without a look-up.
    pub(crate) fn known(&self, token: &SecretHash) -> Option<Verdict> {
        let lease = self.shards.get(token)?;
        (lease.until > Instant::now()).then_some(lease.verdict)
    }

    /// Asks the control plane, sharing the look-up with everybody who asks about the same token at the same time. It goes on when
    /// they disconnect, so that they find the answer when they come back. It counts for the source that asked first.
    pub(crate) async fn look_up(
        self: &Arc<Self>,
        link: &Arc<dyn ControlLink>,
        token: SecretHash,
        source: Source,
    ) -> Verdict {
        let room = self.room(&token);
        let Some(_waiting) = room.waiting.take(source) else {
            return Verdict::Crowded;
        };
        let mut answer = match self.join_or_start(link, token, source, room) {
            Ok(answer) => answer,
            Err(verdict) => return verdict,
        };
        match answer.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.unwrap_or(Verdict::Unknown),
            Err(_) => Verdict::Unknown,
        }
    }

    /// Where this token is looked up: whose last lease was good does not wait among strangers.
    fn room(&self, token: &SecretHash) -> &Room {
        match self.shards.get(token).map(|lease| lease.verdict) {
            Some(Verdict::Allowed(_) | Verdict::Forbidden) => &self.renewed,
            _ => &self.new,
        }
    }

    /// Drops the leases of these tokens.
    pub(crate) fn revoke(&self, tokens: &[SecretHash]) {
        let mut lookups = self.lookups.lock();
        for token in tokens {
            if let Some(lookup) = lookups.get_mut(token) {
                lookup.stale = true;
            }
            self.shards.remove(token);
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends all leases: revocations may have been missed. Which tokens worked stays known.
    pub(crate) fn clear(&self) {
        let mut lookups = self.lookups.lock();
        lookups.values_mut().for_each(|lookup| lookup.stale = true);
        self.shards.end_all();
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Number of leases: on valid tokens, and on others.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.shards.count()
    }

    /// Number of look-ups in progress.
    pub(crate) fn pending_lookups(&self) -> usize {
        self.lookups.lock().len()
    }

    /// Number of requests that wait for look-ups.
    pub(crate) fn waiting(&self) -> usize {
        self.new.waiting.taken() + self.renewed.waiting.taken()
    }

    /// A number that grows with every change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The leases on valid tokens.
    pub(crate) fn persist(&self, now: Timestamp) -> Vec<PersistedLease> {
        let at = Instant::now();
        let valid = self.shards.valid();
        let current = valid.into_iter().filter(|(_, lease)| lease.until > at);
        current
            .map(|(token, lease)| PersistedLease {
                token,
                allowed: match lease.verdict {
                    Verdict::Allowed(holder) => Some(holder),
                    _ => None,
                },
                until: now.plus(lease.until - at),
            })
            .collect()
    }

    /// Takes over the leases of an earlier process.
    pub(crate) fn restore(&self, leases: &[PersistedLease], now: Timestamp) {
        let at = Instant::now();
        for persisted in leases {
            let left = persisted.until.as_micros().saturating_sub(now.as_micros());
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                continue;
            };
            let lease = Lease {
                verdict: persisted.allowed.map_or(Verdict::Forbidden, Verdict::Allowed),
                until: at + Duration::from_micros(left).min(MAX_LEASE),
            };
            self.shards.insert(persisted.token, lease);
        }
    }

    /// Joins the look-up of this token, or starts one. If no look-up is needed, or none can be started, the verdict is the error.
    fn join_or_start(
        self: &Arc<Self>,
        link: &Arc<dyn ControlLink>,
        token: SecretHash,
        source: Source,
        room: &Room,
    ) -> Result<watch::Receiver<Option<Verdict>>, Verdict> {
        let mut lookups = self.lookups.lock();
        if let Some(lookup) = lookups.get(&token) {
            return Ok(lookup.answer.clone());
        }
        // One may have completed since the caller checked.
        if let Some(verdict) = self.known(&token) {
            return Err(verdict);
        }
        let Some(place) = room.lookups.take(source) else {
            return Err(Verdict::Crowded);
        };
        let (answered, answer) = watch::channel(None);
        lookups.insert(
            token,
            PendingLookup {
                answer: answer.clone(),
                stale: false,
            },
        );
        let guard = LookupGuard {
            leases: Arc::clone(self),
            token,
            _place: place,
        };
        let link = Arc::clone(link);
        tokio::spawn(async move {
            let verdict = run(&guard, &*link).await;
            guard.leases.counts.lookups.count(label(verdict));
            drop(guard);
            answered.send_replace(Some(verdict));
        });
        Ok(answer)
    }

    /// Stores an answer. `None` if the token was revoked meanwhile and must be looked up again.
    fn complete(&self, token: &SecretHash, authorization: Authorization) -> Option<Verdict> {
        let mut lookups = self.lookups.lock();
        let lookup = lookups.get_mut(token)?;
        if std::mem::take(&mut lookup.stale) {
            return None;
        }
        let (verdict, lease) = read(authorization);
        let until = Instant::now() + lease.min(MAX_LEASE);
        self.shards.insert(*token, Lease { verdict, until });
        self.changes.fetch_add(1, Ordering::AcqRel);
        Some(verdict)
    }
}

/// Removes the look-up from the list of those in progress, even if its task panics.
struct LookupGuard {
    leases: Arc<Leases>,
    token: SecretHash,
    _place: Place,
}

impl Drop for LookupGuard {
    fn drop(&mut self) {
        self.leases.lookups.lock().remove(&self.token);
    }
}

async fn run(guard: &LookupGuard, link: &dyn ControlLink) -> Verdict {
    for _ in 0..LOOKUP_ATTEMPTS {
        let authorization = match tokio::time::timeout(LOOKUP_TIMEOUT, link.authorize(guard.token)).await {
            Ok(Ok(authorization)) => authorization,
            Ok(Err(error)) => return unanswered(&error),
            Err(_) => return unanswered(&LinkError::Unreachable("it did not answer in time".to_owned())),
        };
        if let Some(verdict) = guard.leases.complete(&guard.token, authorization) {
            return verdict;
        }
    }
    Verdict::Denied(DenyReason::Revoked)
}

fn label(verdict: Verdict) -> Lookup {
    match verdict {
        Verdict::Allowed(_) => Lookup::Allowed,
        Verdict::Forbidden => Lookup::Forbidden,
        Verdict::Denied(DenyReason::Unknown) => Lookup::Unknown,
        Verdict::Denied(DenyReason::Expired) => Lookup::Expired,
        Verdict::Denied(DenyReason::Revoked) => Lookup::Revoked,
        Verdict::Denied(DenyReason::Suspended) => Lookup::Suspended,
        Verdict::Unknown | Verdict::Crowded => Lookup::Unanswered,
    }
}

fn unanswered(error: &LinkError) -> Verdict {
    tracing::warn!(%error, "a token could not be looked up");
    Verdict::Unknown
}

fn read(authorization: Authorization) -> (Verdict, Duration) {
    match authorization {
        Authorization::Known {
            may_send_requests: true,
            holder,
            lease,
        } => (Verdict::Allowed(holder), lease),
        Authorization::Known {
            may_send_requests: false,
            lease,
            ..
        } => (Verdict::Forbidden, lease),
        Authorization::Denied { reason, lease } => (Verdict::Denied(reason), lease),
    }
}

#[cfg(test)]
mod tests;
