//! Circuit breakers: one per provider, API, model and credential, so that one model's outage or one user's own key costs
//! nobody else.
//!
//! A breaker is *closed* while all is well. Enough failures within the window *open* it: nothing is sent. After a while it is
//! *half open*: a few requests probe the provider; the first that is answered closes the breaker, the first that fails opens
//! it again. A failure counts when it is found out, however long ago its request began.
//!
//! Only breakers with failures are stored, in a table of bounded size; while it is empty nothing is locked.
//!
//! Not here: what counts as a failure (`decision`).

mod window;

use crate::resilience::decision::BreakerReport;
use http::HeaderValue;
use lychgate_telemetry::metrics::labels::BreakerState;
use lychgate_types::policy::BreakerPolicy;
use lychgate_types::provider::Api;
use lychgate_types::{ProviderId, ProviderKeyId};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use window::Window;

const SHARDS: usize = 16;
/// Breakers of one shard: 4,096 in all.
const PER_SHARD: usize = 256;

/// Identifies a breaker by a keyed hash, so that a client can't choose names that collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BreakerId(u64);

/// Whose credential an attempt is sent with.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Credential<'a> {
    Central(ProviderKeyId),
    Own(&'a HeaderValue),
}

/// The breaker that an attempt's failures count against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerTarget {
    /// For the metrics, since the id is a hash.
    pub(crate) provider: ProviderId,
    pub(crate) id: BreakerId,
    pub(crate) policy: BreakerPolicy,
}

/// All breakers of one gateway.
#[derive(Debug)]
pub(crate) struct Breakers {
    hasher: RandomState,
    shards: [Shard; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// Size of `table`, so that an empty one is not locked.
    count: AtomicUsize,
    table: Mutex<HashMap<BreakerId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// For the metrics, since the id is a hash.
    provider: ProviderId,
    state: State,
    /// When it is dropped, unless something happens.
    stale: Instant,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open {
        until: Instant,
    },
    /// `since` distinguishes its probes from those of an earlier half-open time.
    HalfOpen {
        probing: u32,
        since: Instant,
    },
}

/// Permission to make one attempt, and where its end is reported.
#[derive(Debug)]
pub(crate) struct BreakerPermit {
    target: BreakerTarget,
    /// Present where the breaker is half open and waits for the attempt's end.
    probe: Option<ProbePermit>,
}

/// One of the few probes that a half-open breaker allows at a time; dropped without a report, it allows another.
#[derive(Debug)]
struct ProbePermit {
    breakers: Arc<Breakers>,
    id: BreakerId,
    since: Instant,
}

impl Default for Breakers {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Shard::default()),
        }
    }
}

impl Breakers {
    /// A model's name, for [`Self::id`].
    pub(crate) fn model(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    /// The same for what only requests of one kind do: to one version of an API, with members of these names.
    pub(crate) fn model_and_kind(&self, model: u64, version: Option<&str>, members: &[Vec<u8>]) -> u64 {
        self.hasher.hash_one((model, version, members))
    }

    pub(crate) fn id(&self, provider: ProviderId, api: Api, model: u64, credential: Credential<'_>) -> BreakerId {
        BreakerId(self.hasher.hash_one((provider, discriminant(&api), model, credential)))
    }

    /// Permits an attempt; while the breaker is open, returns after how long to ask again.
    pub(crate) fn admit(self: &Arc<Self>, target: BreakerTarget) -> Result<BreakerPermit, Duration> {
        let plain = BreakerPermit { target, probe: None };
        let shard = self.shard(target.id);
        if target.policy.failures == 0 || shard.count.load(Ordering::Acquire) == 0 {
            return Ok(plain);
        }
        let now = Instant::now();
        let mut table = shard.lock();
        let Some(entry) = table.get_mut(&target.id) else {
            return Ok(plain);
        };
        let (probing, since) = match entry.state {
            State::Closed(_) => return Ok(plain),
            State::Open { until } if until > now => return Err(until - now),
            State::Open { .. } => (0, now),
            State::HalfOpen { probing, .. } if probing >= target.policy.half_open_requests => {
                return Err(Duration::from_secs(1));
            }
            State::HalfOpen { probing, since } => (probing, since),
        };
        entry.state = State::HalfOpen {
            probing: probing + 1,
            since,
        };
        entry.stale = now + rest(&target.policy);
        let probe = ProbePermit {
            breakers: Arc::clone(self),
            id: target.id,
            since,
        };
        Ok(BreakerPermit {
            target,
            probe: Some(probe),
        })
    }

    /// Counts a failure; returns whether it opened the breaker. Once that is open, requests that were in flight before count no
    /// longer.
    pub(crate) fn failed(&self, target: BreakerTarget) -> bool {
        self.fail(target, None)
    }

    fn fail(&self, target: BreakerTarget, probe: Option<Instant>) -> bool {
        if target.policy.failures == 0 {
            return false;
        }
        let now = Instant::now();
        let shard = self.shard(target.id);
        let mut table = shard.lock();
        if !table.contains_key(&target.id) {
            make_room(&mut table, now);
        }
        let window = seconds(target.policy.window_seconds);
        let entry = table.entry(target.id).or_insert_with(|| Entry {
            provider: target.provider,
            state: State::Closed(Window::new(now)),
            stale: now,
        });
        let opens = match &mut entry.state {
            State::Closed(failures) => failures.count(now, window) >= target.policy.failures,
            State::HalfOpen { since, .. } => probe == Some(*since),
            State::Open { .. } => false,
        };
        if opens {
            let until = now + seconds(target.policy.open_seconds);
            entry.state = State::Open { until };
        }
        match &entry.state {
            State::Closed(_) => entry.stale = now + window,
            _ if opens => entry.stale = now + seconds(target.policy.open_seconds) + rest(&target.policy),
            _ => {}
        }
        shard.count.store(table.len(), Ordering::Release);
        opens
    }

    /// A probe succeeded; returns whether that closed the breaker.
    fn close(&self, probe: &ProbePermit) -> bool {
        let shard = self.shard(probe.id);
        let mut table = shard.lock();
        // It may have opened again meanwhile, through another probe.
        let closes = table
            .get_mut(&probe.id)
            .is_some_and(|entry| entry.probing(probe).is_some());
        if closes {
            table.remove(&probe.id);
        }
        shard.count.store(table.len(), Ordering::Release);
        closes
    }

    /// The breakers that are not closed: their providers, and their states.
    pub(crate) fn not_closed(&self) -> Vec<(ProviderId, BreakerState)> {
        let now = Instant::now();
        let mut found = Vec::new();
        for shard in &self.shards {
            let table = shard.lock();
            let fresh = table.values().filter(|entry| entry.stale > now);
            found.extend(fresh.filter_map(|entry| {
                let state = match entry.state {
                    State::Closed(_) => return None,
                    State::Open { until } if until > now => BreakerState::Open,
                    // The next request is a probe.
                    State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
                };
                Some((entry.provider, state))
            }));
        }
        found
    }

    fn shard(&self, id: BreakerId) -> &Shard {
        &self.shards[(id.0 % SHARDS as u64) as usize]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, HashMap<BreakerId, Entry>> {
        self.table.lock()
    }
}

impl Entry {
    /// The number of probes, if this one is still among them.
    fn probing(&mut self, probe: &ProbePermit) -> Option<&mut u32> {
        match &mut self.state {
            State::HalfOpen { probing, since } if *since == probe.since => Some(probing),
            _ => None,
        }
    }
}

impl BreakerPermit {
    /// The breaker that what happens after the report counts against.
    pub(crate) fn target(&self) -> BreakerTarget {
        self.target
    }

    /// Returns whether that opened or closed the breaker.
    pub(crate) fn report(&mut self, report: BreakerReport, breakers: &Breakers) -> bool {
        match report {
            BreakerReport::Success => self.probe.take().is_some_and(|probe| breakers.close(&probe)),
            BreakerReport::Failure => {
                let probe = self.probe.take();
                breakers.fail(self.target, probe.as_ref().map(|probe| probe.since))
            }
            BreakerReport::Nothing => false,
        }
    }
}

impl Drop for ProbePermit {
    fn drop(&mut self) {
        let mut table = self.breakers.shard(self.id).lock();
        if let Some(probing) = table.get_mut(&self.id).and_then(|entry| entry.probing(self)) {
            *probing = probing.saturating_sub(1);
        }
    }
}

/// Makes room for one more. Stale breakers are dropped first, then the closed one that would be stale first, then any.
fn make_room(table: &mut HashMap<BreakerId, Entry>, now: Instant) {
    if table.len() < PER_SHARD {
        return;
    }
    table.retain(|_, entry| entry.stale > now);
    if table.len() >= PER_SHARD {
        let least = table
            .iter()
            .min_by_key(|(_, entry)| (!matches!(entry.state, State::Closed(_)), entry.stale))
            .map(|(key, _)| *key);
        if let Some(least) = least {
            table.remove(&least);
        }
    }
}

/// How long a breaker that gets no requests is remembered beyond its term.
fn rest(policy: &BreakerPolicy) -> Duration {
    seconds(policy.window_seconds.max(policy.open_seconds))
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
mod tests;
