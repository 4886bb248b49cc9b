//! What is believed, in maps that are never changed, only replaced: looking a token up takes no lock and writes nothing that
//! another core reads. Replacing a map copies it, which a new token pays for; so there are many, and they are small.

use super::Verdict;
use arc_swap::ArcSwap;
use lychgate_types::secret::SecretHash;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

const SHARDS: usize = 256;
/// Believed tokens of one shard: 65,536 in all.
const GOOD_PER_SHARD: usize = 256;
/// Refused tokens of one shard: 16,384 in all.
const BAD_PER_SHARD: usize = 64;

/// What is believed about a token.
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
    good: HashMap<SecretHash, Lease>,
    bad: HashMap<SecretHash, Lease>,
}

impl Default for Shards {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ArcSwap::default()))
    }
}

impl Shards {
    /// The token's lease, which may have run out.
    pub(super) fn find(&self, token: &SecretHash) -> Option<Lease> {
        let shard = self.shard(token).load();
        shard.good.get(token).or_else(|| shard.bad.get(token)).copied()
    }

    /// Believes this of the token and nothing else.
    pub(super) fn believe(&self, token: SecretHash, lease: Lease) {
        self.change(&token, |shard| {
            shard.good.remove(&token);
            shard.bad.remove(&token);
            match lease.verdict {
                Verdict::Denied(_) => insert(&mut shard.bad, BAD_PER_SHARD, token, lease),
                _ => insert(&mut shard.good, GOOD_PER_SHARD, token, lease),
            }
        });
    }

    /// Believes nothing of the token.
    pub(super) fn forget(&self, token: &SecretHash) {
        if self.find(token).is_some() {
            self.change(token, |shard| {
                shard.good.remove(token);
                shard.bad.remove(token);
            });
        }
    }

    /// Believes nothing.
    pub(super) fn forget_all(&self) {
        self.0.iter().for_each(|shard| shard.store(Arc::default()));
    }

    /// The leases of tokens that were good.
    pub(super) fn good(&self) -> Vec<(SecretHash, Lease)> {
        let mut all = Vec::new();
        for shard in &self.0 {
            all.extend(shard.load().good.iter().map(|(token, lease)| (*token, *lease)));
        }
        all
    }

    /// How many there are of good tokens, and of others.
    pub(super) fn count(&self) -> (usize, usize) {
        self.0.iter().fold((0, 0), |(good, bad), shard| {
            let shard = shard.load();
            (good + shard.good.len(), bad + shard.bad.len())
        })
    }

    fn shard(&self, token: &SecretHash) -> &ArcSwap<Shard> {
        &self.0[usize::from(token.as_bytes()[0]) % SHARDS]
    }

    fn change(&self, token: &SecretHash, change: impl Fn(&mut Shard)) {
        self.shard(token).rcu(|now| {
            let mut shard = Shard::clone(now);
            change(&mut shard);
            shard
        });
    }
}

/// Inserts within bounds: leases that have run out go first, then any one.
fn insert(map: &mut HashMap<SecretHash, Lease>, most: usize, token: SecretHash, lease: Lease) {
    if map.len() >= most {
        let now = Instant::now();
        map.retain(|_, lease| lease.until > now);
        if map.len() >= most
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
    use std::time::Duration;

    fn token(number: u16) -> SecretHash {
        let mut bytes = [7; 32];
        bytes[30..].copy_from_slice(&number.to_be_bytes());
        SecretHash::from_bytes(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refused_tokens_neither_grows_nor_pushes_good_ones_out() {
        let shards = Shards::default();
        let lease = |verdict, seconds| Lease {
            verdict,
            until: Instant::now() + Duration::from_secs(seconds),
        };
        shards.believe(token(0), lease(Verdict::Allowed, 60));
        let flood = 1..BAD_PER_SHARD as u16 + 100;
        for number in flood.clone() {
            shards.believe(token(number), lease(Verdict::Denied(DenyReason::Unknown), 5));
        }
        assert!(shards.find(&token(0)).is_some());
        assert_eq!(
            flood.filter(|number| shards.find(&token(*number)).is_some()).count(),
            BAD_PER_SHARD
        );
        // Those that have run out go first.
        tokio::time::advance(Duration::from_secs(6)).await;
        let another = token(u16::MAX);
        shards.believe(another, lease(Verdict::Denied(DenyReason::Unknown), 5));
        assert_eq!(shards.shard(&another).load().bad.len(), 1);
    }

    #[tokio::test]
    async fn a_token_is_believed_one_thing() {
        let shards = Shards::default();
        let until = Instant::now() + Duration::from_secs(5);
        for verdict in [
            Verdict::Allowed,
            Verdict::Denied(DenyReason::Revoked),
            Verdict::Forbidden,
        ] {
            shards.believe(token(1), Lease { verdict, until });
            assert_eq!(shards.find(&token(1)).unwrap().verdict, verdict);
        }
        assert_eq!(shards.good().len(), 1);
        shards.forget(&token(1));
        assert!(shards.find(&token(1)).is_none());
    }
}
