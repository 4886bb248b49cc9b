//! Leaves a provider alone that keeps failing: one breaker per provider, API, model and credential, so that one model's
//! outage or one user's own key costs nobody else.
//!
//! A breaker is *closed* while all is well. Enough failures within the window *open* it: nothing is sent. After a while it is
//! *half open*: a few requests may try; the first that is answered closes it, the first that fails opens it again.
//! A failure counts when it is found out, however long ago its request began.
//!
//! Only breakers with failures are held, in a table of bounded size; while it is empty nothing is locked.
//!
//! Not here: what counts as a failure (`attempt` and `tee`).

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

const SHARDS: usize = 16;
/// Breakers of one shard: 4,096 in all.
const PER_SHARD: usize = 256;
/// The window is counted in pieces, so that a breaker's size does not depend on its traffic.
const PIECES: usize = 8;

/// Names a breaker without holding what it is named by: hashed with a key that nobody outside knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BreakerId(u64);

/// Whose breaker it is.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Credential<'a> {
    Central(ProviderKeyId),
    Own(&'a HeaderValue),
}

/// What a failure of this exchange counts against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerTarget {
    /// For the log: the id says nothing.
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
    /// How many there are in `table`, so that it needn't be locked for none.
    count: AtomicUsize,
    table: Mutex<HashMap<BreakerId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// For the metrics: the id says nothing.
    provider: ProviderId,
    state: State,
    /// When it is forgotten unless something happens.
    stale: Instant,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open {
        until: Instant,
    },
    /// `since` tells its probes from those of an earlier time.
    HalfOpen {
        trying: u32,
        since: Instant,
    },
}

/// Failures of the last while.
#[derive(Debug)]
struct Window {
    begun: Instant,
    /// Index of the newest piece, counted from `begun`.
    newest: u64,
    pieces: [u32; PIECES],
}

/// Leave to send one request.
#[derive(Debug)]
pub(crate) struct Permit {
    target: BreakerTarget,
    /// Present where the breaker is half open and waits for what comes of it.
    probe: Option<ProbePermit>,
}

/// A place among the few of a half-open breaker; free again when dropped.
#[derive(Debug)]
struct ProbePermit {
    breakers: Arc<Breakers>,
    provider: ProviderId,
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
    /// A model's name as it goes into [`Self::id`].
    pub(crate) fn model(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    pub(crate) fn id(&self, provider: ProviderId, api: Api, model: u64, credential: Credential<'_>) -> BreakerId {
        BreakerId(self.hasher.hash_one((provider, discriminant(&api), model, credential)))
    }

    /// Asks for leave. Refused, it says after how long asking again makes sense.
    pub(crate) fn admit(self: &Arc<Self>, target: BreakerTarget) -> Result<Permit, Duration> {
        let plain = Permit { target, probe: None };
        let shard = self.shard(target.id);
        if target.policy.failures == 0 || shard.count.load(Ordering::Acquire) == 0 {
            return Ok(plain);
        }
        let now = Instant::now();
        let mut table = shard.lock();
        let Some(entry) = table.get_mut(&target.id) else {
            return Ok(plain);
        };
        let (trying, since) = match entry.state {
            State::Closed(_) => return Ok(plain),
            State::Open { until } if until > now => return Err(until - now),
            State::Open { .. } => (0, now),
            State::HalfOpen { trying, .. } if trying >= target.policy.half_open_requests => {
                return Err(Duration::from_secs(1));
            }
            State::HalfOpen { trying, since } => (trying, since),
        };
        entry.state = State::HalfOpen {
            trying: trying + 1,
            since,
        };
        entry.stale = now + rest(&target.policy);
        let probe = ProbePermit {
            breakers: Arc::clone(self),
            provider: target.provider,
            id: target.id,
            since,
        };
        Ok(Permit {
            target,
            probe: Some(probe),
        })
    }

    /// Counts a failure; of requests that were under way when the breaker opened, none counts any longer.
    pub(crate) fn failed(&self, target: BreakerTarget) {
        self.fail(target, None);
    }

    fn fail(&self, target: BreakerTarget, probe: Option<Instant>) {
        if target.policy.failures == 0 {
            return;
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
            tracing::warn!(
                provider = %target.provider,
                seconds = target.policy.open_seconds,
                "too many failures: this provider is left alone for one model and credential"
            );
        }
        match &entry.state {
            State::Closed(_) => entry.stale = now + window,
            _ if opens => entry.stale = now + seconds(target.policy.open_seconds) + rest(&target.policy),
            _ => {}
        }
        shard.count.store(table.len(), Ordering::Release);
    }

    /// A probe was answered.
    fn close(&self, probe: &ProbePermit) {
        let shard = self.shard(probe.id);
        let mut table = shard.lock();
        // It may have opened again meanwhile, through another probe.
        if table
            .get_mut(&probe.id)
            .is_some_and(|entry| entry.trying(probe).is_some())
        {
            table.remove(&probe.id);
            tracing::info!(provider = %probe.provider, "this provider answers again");
        }
        shard.count.store(table.len(), Ordering::Release);
    }

    /// The breakers that are not closed: whose they are, and how they stand.
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
                    // The next request may try.
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
    /// How many are trying, if this one is still among them.
    fn trying(&mut self, probe: &ProbePermit) -> Option<&mut u32> {
        match &mut self.state {
            State::HalfOpen { trying, since } if *since == probe.since => Some(trying),
            _ => None,
        }
    }
}

impl Permit {
    /// An answer came that says that the provider lives.
    pub(crate) fn answered(&mut self) -> BreakerTarget {
        if let Some(probe) = self.probe.take() {
            probe.breakers.close(&probe);
        }
        self.target
    }

    /// It failed in a way that counts.
    pub(crate) fn failed(&mut self, breakers: &Breakers) -> BreakerTarget {
        let probe = self.probe.take();
        breakers.fail(self.target, probe.as_ref().map(|probe| probe.since));
        self.target
    }
}

impl Drop for ProbePermit {
    fn drop(&mut self) {
        let mut table = self.breakers.shard(self.id).lock();
        if let Some(trying) = table.get_mut(&self.id).and_then(|entry| entry.trying(self)) {
            *trying = trying.saturating_sub(1);
        }
    }
}

impl Window {
    fn new(begun: Instant) -> Self {
        Self {
            begun,
            newest: 0,
            pieces: [0; PIECES],
        }
    }

    /// Counts one failure in and says how many there are within the window.
    fn count(&mut self, now: Instant, window: Duration) -> u32 {
        let piece = (window / PIECES as u32).as_nanos().max(1);
        let index = u64::try_from((now - self.begun).as_nanos() / piece).unwrap_or(u64::MAX);
        if index < self.newest || index - self.newest >= PIECES as u64 {
            // Nothing of the past is within the window, or the policy changed and the pieces with it.
            *self = Self::new(now);
        } else {
            for passed in self.newest + 1..=index {
                self.pieces[(passed % PIECES as u64) as usize] = 0;
            }
            self.newest = index;
        }
        self.pieces[(self.newest % PIECES as u64) as usize] += 1;
        self.pieces.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Makes room for one more: what is stale goes first, then of the closed ones the one that would be first to, then any.
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

/// How long a breaker that nobody asks is remembered after its time was over.
fn rest(policy: &BreakerPolicy) -> Duration {
    seconds(policy.window_seconds.max(policy.open_seconds))
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
mod tests;
