//! A provider's central keys: requests use them in turn, and a key that the provider refused or limited cools down.
//!
//! Not here: after which answers (`decision`) and whether a key's circuit is open (`breaker`).

use crate::auth::credentials::Outgoing;
use crate::fetched_keys::FetchedKey;
use lychgate_types::ProviderKeyId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Longest cooldown, whatever a provider asks for.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(24 * 3600);

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: ProviderKeyId,
    pub(crate) credential: KeyCredential,
}

/// What is sent for a key.
#[derive(Debug)]
pub(crate) enum KeyCredential {
    /// The key itself.
    Plain(Arc<Outgoing>),
    /// What is fetched with it.
    Fetched(Arc<FetchedKey>),
}

/// The keys of one configuration, in the operator's order.
#[derive(Debug)]
pub(crate) struct Pool {
    keys: Vec<Key>,
    /// Whether there are keys with which a credential is fetched, so that one may have none.
    is_fetched: bool,
    cooldowns: Arc<Cooldowns>,
}

/// Which keys cool down, and until when. Outlives changes of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Cooldowns {
    turn: AtomicUsize,
    /// Size of `until`, so that an empty one is not locked.
    count: AtomicUsize,
    until: Mutex<HashMap<ProviderKeyId, Instant>>,
}

impl Pool {
    pub(crate) fn new(keys: Vec<Key>, cooldowns: Arc<Cooldowns>) -> Self {
        let is_fetched = keys.iter().any(|key| key.fetched().is_some());
        Self {
            keys,
            is_fetched,
            cooldowns,
        }
    }

    /// The key whose turn it is: its index, and what is sent for it. One that doesn't cool down is preferred, then one that is not in
    /// `used`; where all cool down, the one that is free first. Never one in `excluded`, or for which there is nothing to send; `None` if
    /// there is no other.
    pub(crate) fn pick(&self, used: &[usize], excluded: &[usize]) -> Option<(usize, Arc<Outgoing>)> {
        let index = self.pick_index(used, excluded)?;
        Some((index, self.key(index)?.outgoing()?))
    }

    /// The keys with which a credential is fetched.
    pub(crate) fn fetched(&self) -> impl Iterator<Item = &Arc<FetchedKey>> {
        self.keys.iter().filter_map(Key::fetched)
    }

    pub(crate) fn key(&self, index: usize) -> Option<&Key> {
        self.keys.get(index)
    }

    fn pick_index(&self, used: &[usize], excluded: &[usize]) -> Option<usize> {
        let count = self.keys.len();
        if count == 0 {
            return None;
        }
        let turn = self.cooldowns.turn.fetch_add(1, Ordering::Relaxed);
        let order = (0..count).map(|step| turn.wrapping_add(step) % count);
        let none_cools = self.cooldowns.count.load(Ordering::Relaxed) == 0;
        if none_cools && !self.is_fetched && used.is_empty() && excluded.is_empty() {
            return Some(turn % count);
        }
        // Of equals, the first in turn.
        let mut order = order.filter(|index| !excluded.contains(index) && self.keys[*index].works());
        if none_cools && used.is_empty() {
            return order.next();
        }
        let now = Instant::now();
        let until = self.cooldowns.lock();
        let cools = |index: usize| until.get(&self.keys[index].id).filter(|until| **until > now);
        order.min_by_key(|index| (cools(*index).copied(), used.contains(index)))
    }

    /// The indices of all keys but this one.
    pub(crate) fn others(&self, only: usize) -> Vec<usize> {
        (0..self.keys.len()).filter(|index| *index != only).collect()
    }

    /// Whether a key is free that is not in `used`.
    pub(crate) fn has_fresh(&self, used: &[usize]) -> bool {
        let now = Instant::now();
        let until = self.cooldowns.lock();
        let free = |key: &Key| key.works() && until.get(&key.id).is_none_or(|until| *until <= now);
        self.keys
            .iter()
            .enumerate()
            .any(|(index, key)| !used.contains(&index) && free(key))
    }

    /// Takes a key out of use for this long; a longer cooldown that it has already stays.
    pub(crate) fn cool_down(&self, index: usize, term: Duration) {
        let Some(key) = self.key(index) else { return };
        let now = Instant::now();
        let end = now + term.min(LONGEST_COOLDOWN);
        let mut until = self.cooldowns.lock();
        until.retain(|_, until| *until > now);
        let longest = until.entry(key.id).or_insert(end);
        *longest = end.max(*longest);
        self.cooldowns.count.store(until.len(), Ordering::Relaxed);
    }
}

impl Key {
    /// What is sent for it; `None` where that was never fetched.
    pub(crate) fn outgoing(&self) -> Option<Arc<Outgoing>> {
        match &self.credential {
            KeyCredential::Plain(outgoing) => Some(Arc::clone(outgoing)),
            KeyCredential::Fetched(key) => key.outgoing(),
        }
    }

    /// The same, where a credential is fetched with it.
    pub(crate) fn fetched(&self) -> Option<&Arc<FetchedKey>> {
        match &self.credential {
            KeyCredential::Plain(_) => None,
            KeyCredential::Fetched(key) => Some(key),
        }
    }

    fn works(&self) -> bool {
        self.fetched().is_none_or(|key| key.is_valid())
    }
}

impl Cooldowns {
    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderKeyId, Instant>> {
        self.until.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::Ambient;
    use lychgate_types::provider::ProviderType;
    use lychgate_types::secret::ProviderSecret;
    use tokio::time::advance;

    fn pool(count: usize) -> Pool {
        let keys = (0..count)
            .map(|_| Key {
                id: Ambient::system().new_id(),
                credential: KeyCredential::Plain(Arc::new(
                    Outgoing::central(ProviderType::Anthropic, &ProviderSecret::new("key".to_owned())).unwrap(),
                )),
            })
            .collect();
        Pool::new(keys, Arc::default())
    }

    fn pick(pool: &Pool, used: &[usize], excluded: &[usize]) -> Option<usize> {
        pool.pick(used, excluded).map(|(index, _)| index)
    }

    fn picks(pool: &Pool, times: usize) -> Vec<usize> {
        let mut picks: Vec<_> = (0..times).map(|_| pick(pool, &[], &[]).unwrap()).collect();
        picks.sort_unstable();
        picks
    }

    #[tokio::test(start_paused = true)]
    async fn keys_take_turns_and_cool_down_for_their_term() {
        let pool = pool(3);
        assert_eq!(picks(&pool, 6), [0, 0, 1, 1, 2, 2]);
        pool.cool_down(1, Duration::from_secs(10));
        pool.cool_down(1, Duration::from_secs(5));
        let picks_now = picks(&pool, 6);
        assert!(!picks_now.contains(&1) && picks_now.contains(&0) && picks_now.contains(&2));
        advance(Duration::from_secs(9)).await;
        assert!(!picks(&pool, 6).contains(&1), "the longer cooldown counts");
        advance(Duration::from_secs(1)).await;
        assert_eq!(picks(&pool, 6), [0, 0, 1, 1, 2, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_cool_down_the_first_to_be_free_is_taken() {
        let pool = pool(2);
        pool.cool_down(0, Duration::MAX);
        pool.cool_down(1, Duration::from_secs(60));
        assert_eq!(picks(&pool, 3), [1, 1, 1]);
        assert_eq!(pick(&pool, &[1], &[]), Some(1));
        assert_eq!(pick(&pool, &[], &[1]), Some(0));
        assert!(!pool.has_fresh(&[]));
        advance(LONGEST_COOLDOWN).await;
        assert_eq!(picks(&pool, 4), [0, 0, 1, 1], "no cooldown is for ever");
    }

    #[test]
    fn fresh_keys_come_before_used_ones_and_excluded_ones_never() {
        let pool = pool(3);
        for _ in 0..4 {
            assert_eq!(pick(&pool, &[0, 2], &[]), Some(1));
            assert_eq!(pick(&pool, &[0, 1], &[2]).map(|index| index < 2), Some(true));
        }
        assert_eq!(pick(&pool, &[], &[0, 1, 2]), None);
        assert!(pool.has_fresh(&[0, 1]) && !pool.has_fresh(&[0, 1, 2]));
    }

    #[test]
    fn no_keys_no_pick() {
        assert_eq!(pick(&pool(0), &[], &[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn cooldowns_outlive_the_configuration() {
        let old = pool(2);
        old.cool_down(0, Duration::from_secs(60));
        let cooldowns = Arc::clone(&old.cooldowns);
        let mut keys = old.keys;
        keys.reverse();
        assert_eq!(picks(&Pool::new(keys, cooldowns), 3), [0, 0, 0]);
    }
}
