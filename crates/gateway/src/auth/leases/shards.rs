//! The leases, in maps that are replaced instead of changed: finding a token takes no lock and writes nothing that another
//! core reads. Replacing a map copies it, at the expense of a new token; so there are many small ones.

use super::Verdict;
use arc_swap::ArcSwap;
use lychgate_types::secret::SecretHash;
use std::collections::HashMap;
use tokio::time::Instant;

const SHARDS: usize = 256;
/// Valid tokens in one shard: 65,536 in all.
const VALID_PER_SHARD: usize = 256;
/// Denied tokens in one shard: 16,384 in all.
const DENIED_PER_SHARD: usize = 64;

/// What is known about a token, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) verdict: Verdict,
    pub(super) until: Instant,
}

/// All leases.
#[derive(Debug)]
pub(super) struct Shards([ArcSwap<Shard>; SHARDS]);

#[derive(Debug, Default, Clone)]
struct Shard {
    valid: HashMap<SecretHash, Lease>,
    denied: HashMap<SecretHash, Lease>,
}

impl Default for Shards {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ArcSwap::default()))
    }
}

impl Shards {
    /// The token's lease, which may have expired.
    pub(super) fn get(&self, token: &SecretHash) -> Option<Lease> {
        let shard = self.shard(token).load();
        shard.valid.get(token).or_else(|| shard.denied.get(token)).copied()
    }

    /// Replaces the token's lease.
    pub(super) fn insert(&self, token: SecretHash, lease: Lease) {
        self.update(&token, |shard| {
            shard.valid.remove(&token);
            shard.denied.remove(&token);
            match lease.verdict {
                Verdict::Denied(_) => insert(&mut shard.denied, DENIED_PER_SHARD, token, lease),
                _ => insert(&mut shard.valid, VALID_PER_SHARD, token, lease),
            }
        });
    }

    /// Drops the token's lease.
    pub(super) fn remove(&self, token: &SecretHash) {
        if self.get(token).is_some() {
            self.update(token, |shard| {
                shard.valid.remove(token);
                shard.denied.remove(token);
            });
        }
    }

    /// Ends all leases. Which tokens were valid stays known, as of those whose time is over.
    pub(super) fn end_all(&self) {
        let now = Instant::now();
        for shard in &self.0 {
            shard.rcu(|shard| {
                let mut shard = Shard::clone(shard);
                shard.denied.clear();
                shard
                    .valid
                    .values_mut()
                    .for_each(|lease| lease.until = lease.until.min(now));
                shard
            });
        }
    }

    /// The leases on valid tokens.
    pub(super) fn valid(&self) -> Vec<(SecretHash, Lease)> {
        let mut all = Vec::new();
        for shard in &self.0 {
            all.extend(shard.load().valid.iter().map(|(token, lease)| (*token, *lease)));
        }
        all
    }

    /// Number of leases: on valid tokens, and on others.
    pub(super) fn count(&self) -> (usize, usize) {
        self.0.iter().fold((0, 0), |(valid, denied), shard| {
            let shard = shard.load();
            (valid + shard.valid.len(), denied + shard.denied.len())
        })
    }

    fn shard(&self, token: &SecretHash) -> &ArcSwap<Shard> {
        &self.0[usize::from(token.as_bytes()[0]) % SHARDS]
    }

    fn update(&self, token: &SecretHash, change: impl Fn(&mut Shard)) {
        self.shard(token).rcu(|now| {
            let mut shard = Shard::clone(now);
            change(&mut shard);
            shard
        });
    }
}

/// Inserts within bounds: expired leases are evicted first, then an arbitrary one.
fn insert(map: &mut HashMap<SecretHash, Lease>, max: usize, token: SecretHash, lease: Lease) {
    if map.len() >= max {
        let now = Instant::now();
        map.retain(|_, lease| lease.until > now);
        if map.len() >= max
            && let Some(any) = map.keys().next().copied()
        {
            map.remove(&any);
        }
    }
    map.insert(token, lease);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_link::DenyReason;
    use lychgate_types::Holder;
    use std::time::Duration;

    fn token(number: u16) -> SecretHash {
        let mut bytes = [7; 32];
        bytes[30..].copy_from_slice(&number.to_be_bytes());
        SecretHash::from_bytes(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_denied_tokens_is_bounded_and_does_not_evict_valid_ones() {
        let shards = Shards::default();
        let lease = |verdict, seconds| Lease {
            verdict,
            until: Instant::now() + Duration::from_secs(seconds),
        };
        shards.insert(token(0), lease(Verdict::Allowed(Holder::default()), 60));
        let flood = 1..DENIED_PER_SHARD as u16 + 100;
        for number in flood.clone() {
            shards.insert(token(number), lease(Verdict::Denied(DenyReason::Unknown), 5));
        }
        assert!(shards.get(&token(0)).is_some());
        assert_eq!(
            flood.filter(|number| shards.get(&token(*number)).is_some()).count(),
            DENIED_PER_SHARD
        );
        // Expired ones are evicted first.
        tokio::time::advance(Duration::from_secs(6)).await;
        let another = token(u16::MAX);
        shards.insert(another, lease(Verdict::Denied(DenyReason::Unknown), 5));
        assert_eq!(shards.shard(&another).load().denied.len(), 1);
    }

    #[tokio::test]
    async fn a_token_has_one_lease() {
        let shards = Shards::default();
        let until = Instant::now() + Duration::from_secs(5);
        for verdict in [
            Verdict::Allowed(Holder::default()),
            Verdict::Denied(DenyReason::Revoked),
            Verdict::Forbidden,
        ] {
            shards.insert(token(1), Lease { verdict, until });
            assert_eq!(shards.get(&token(1)).unwrap().verdict, verdict);
        }
        assert_eq!(shards.valid().len(), 1);
        shards.remove(&token(1));
        assert!(shards.get(&token(1)).is_none());
    }
}
