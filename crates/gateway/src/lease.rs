//! What this replica believes about user tokens, and for how long.
//!
//! A token is asked about once, however many requests come with it; an answer that was under way when the token was
//! revoked is not believed. All sizes are bounded, and a flood of unknown tokens can't push known ones out.
//!
//! Not here: the look-up itself (a [`ControlLink`]).

use lychgate_link::{Authorization, ControlLink, DenyReason, LinkError};
use lychgate_types::secret::SecretHash;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const SHARDS: usize = 16;
/// Believed tokens of one shard: 65,536 in all.
const GOOD_PER_SHARD: usize = 4096;
/// Refused tokens of one shard: 16,384 in all.
const BAD_PER_SHARD: usize = 1024;
/// Tokens asked about at the same time; beyond that, unknown ones have to wait outside.
const FLIGHTS: usize = 1024;
/// A client waits for this answer, so it gets little time.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// A token revoked this often while being asked about is not asked about again.
const ASK_ATTEMPTS: u32 = 3;
/// No lease is longer, whatever the control plane says.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);

/// What to do with a token's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let it through.
    Allowed,
    /// The token is good, but not for AI requests.
    Forbidden,
    /// The token is not good.
    Denied(DenyReason),
    /// Nobody can tell at present.
    Unknown,
}

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    shards: [RwLock<Shard>; SHARDS],
    /// Tokens being asked about. Locked before a shard, never after.
    flights: Mutex<HashMap<SecretHash, Flight>>,
}

#[derive(Debug, Default)]
struct Shard {
    good: HashMap<SecretHash, Lease>,
    bad: HashMap<SecretHash, Lease>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    verdict: Verdict,
    until: Instant,
}

#[derive(Debug)]
struct Flight {
    answer: watch::Receiver<Option<Verdict>>,
    /// The token was revoked after the question went out.
    stale: bool,
}

impl Leases {
    /// What is known without asking.
    pub(crate) fn known(&self, token: &SecretHash) -> Option<Verdict> {
        let shard = self.shard(token).read().unwrap_or_else(PoisonError::into_inner);
        let lease = shard.good.get(token).or_else(|| shard.bad.get(token))?;
        (lease.until > Instant::now()).then_some(lease.verdict)
    }

    /// Asks the control plane, together with whoever asks about the same token at the same time. The question goes on when
    /// its askers leave, so that they find the answer when they come again.
    pub(crate) async fn ask(self: &Arc<Self>, link: &Arc<dyn ControlLink>, token: SecretHash) -> Verdict {
        let Some(mut answer) = self.board(link, token) else {
            return Verdict::Unknown;
        };
        match answer.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.unwrap_or(Verdict::Unknown),
            Err(_) => Verdict::Unknown,
        }
    }

    /// These tokens must not be believed any longer.
    pub(crate) fn revoke(&self, tokens: &[SecretHash]) {
        let mut flights = self.flights();
        for token in tokens {
            if let Some(flight) = flights.get_mut(token) {
                flight.stale = true;
            }
            let mut shard = self.shard(token).write().unwrap_or_else(PoisonError::into_inner);
            shard.good.remove(token);
            shard.bad.remove(token);
        }
    }

    /// Nothing is to be believed any longer: revocations may have been missed.
    pub(crate) fn forget_all(&self) {
        let mut flights = self.flights();
        flights.values_mut().for_each(|flight| flight.stale = true);
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.good.clear();
            shard.bad.clear();
        }
    }

    /// Joins the token's flight, or starts one.
    fn board(
        self: &Arc<Self>,
        link: &Arc<dyn ControlLink>,
        token: SecretHash,
    ) -> Option<watch::Receiver<Option<Verdict>>> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&token) {
            return Some(flight.answer.clone());
        }
        if flights.len() >= FLIGHTS {
            return None;
        }
        let (landed, answer) = watch::channel(None);
        flights.insert(
            token,
            Flight {
                answer: answer.clone(),
                stale: false,
            },
        );
        let ticket = Ticket {
            leases: Arc::clone(self),
            token,
        };
        let link = Arc::clone(link);
        tokio::spawn(async move {
            let verdict = fly(&ticket, &*link).await;
            drop(ticket);
            landed.send_replace(Some(verdict));
        });
        Some(answer)
    }

    /// Takes an answer in. `None` when the token was revoked meanwhile and must be asked about again.
    fn land(&self, token: &SecretHash, authorization: Authorization) -> Option<Verdict> {
        let mut flights = self.flights();
        let flight = flights.get_mut(token)?;
        if std::mem::take(&mut flight.stale) {
            return None;
        }
        let (verdict, lease) = read(authorization);
        let until = Instant::now() + lease.min(LONGEST_LEASE);
        let mut shard = self.shard(token).write().unwrap_or_else(PoisonError::into_inner);
        shard.good.remove(token);
        shard.bad.remove(token);
        match verdict {
            Verdict::Denied(_) => insert(&mut shard.bad, BAD_PER_SHARD, *token, Lease { verdict, until }),
            _ => insert(&mut shard.good, GOOD_PER_SHARD, *token, Lease { verdict, until }),
        }
        Some(verdict)
    }

    fn shard(&self, token: &SecretHash) -> &RwLock<Shard> {
        &self.shards[usize::from(token.as_bytes()[0]) % SHARDS]
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<SecretHash, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the flight off the list, also when its task panics.
struct Ticket {
    leases: Arc<Leases>,
    token: SecretHash,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leases.flights().remove(&self.token);
    }
}

async fn fly(ticket: &Ticket, link: &dyn ControlLink) -> Verdict {
    for _ in 0..ASK_ATTEMPTS {
        let authorization = match tokio::time::timeout(ASK_TIMEOUT, link.authorize(ticket.token)).await {
            Ok(Ok(authorization)) => authorization,
            Ok(Err(error)) => return unanswered(&error),
            Err(_) => return unanswered(&LinkError::Unreachable("it did not answer in time".to_owned())),
        };
        if let Some(verdict) = ticket.leases.land(&ticket.token, authorization) {
            return verdict;
        }
    }
    Verdict::Denied(DenyReason::Revoked)
}

fn unanswered(error: &LinkError) -> Verdict {
    tracing::warn!(%error, "a token could not be looked up");
    Verdict::Unknown
}

fn read(authorization: Authorization) -> (Verdict, Duration) {
    match authorization {
        Authorization::Known {
            may_send_requests: true,
            lease,
        } => (Verdict::Allowed, lease),
        Authorization::Known {
            may_send_requests: false,
            lease,
        } => (Verdict::Forbidden, lease),
        Authorization::Denied { reason, lease } => (Verdict::Denied(reason), lease),
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
    use async_trait::async_trait;
    use lychgate_link::{Attachment, Heartbeat, Hello, Receipt};
    use lychgate_types::ReplicaId;
    use lychgate_types::interception::InterceptionRecord;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Answers everybody alike; without an answer it panics, hangs or fails.
    #[derive(Debug)]
    struct Oracle {
        asked: AtomicU32,
        says: Says,
    }

    #[derive(Debug, Clone, Copy)]
    enum Says {
        This(Authorization),
        Nothing,
        Panic,
    }

    #[async_trait]
    impl ControlLink for Oracle {
        async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
            Err(LinkError::Unreachable("not asked for here".into()))
        }
        async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            match self.says {
                Says::This(answer) => Ok(answer),
                Says::Nothing => std::future::pending().await,
                Says::Panic => panic!("a bug in the link"),
            }
        }
        async fn deliver(&self, _: ReplicaId, _: Vec<Arc<InterceptionRecord>>) -> Result<Receipt, LinkError> {
            Ok(Receipt::default())
        }
    }

    const TOKEN: SecretHash = SecretHash::from_bytes([7; 32]);
    const GOOD: Authorization = Authorization::Known {
        may_send_requests: true,
        lease: Duration::from_secs(60),
    };
    const BAD: Authorization = Authorization::Denied {
        reason: DenyReason::Unknown,
        lease: Duration::from_secs(5),
    };

    fn oracle(says: Says) -> (Arc<Oracle>, Arc<dyn ControlLink>, Arc<Leases>) {
        let oracle = Arc::new(Oracle {
            asked: AtomicU32::new(0),
            says,
        });
        (Arc::clone(&oracle), oracle, Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_believed_until_its_lease_ends() {
        for (answer, verdict, seconds) in [
            (GOOD, Verdict::Allowed, 60),
            (BAD, Verdict::Denied(DenyReason::Unknown), 5),
            (
                Authorization::Known {
                    may_send_requests: false,
                    lease: Duration::from_secs(9),
                },
                Verdict::Forbidden,
                9,
            ),
        ] {
            let (_, link, leases) = oracle(Says::This(answer));
            assert_eq!(leases.known(&TOKEN), None);
            assert_eq!(leases.ask(&link, TOKEN).await, verdict);
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert_eq!(leases.known(&TOKEN), Some(verdict));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(leases.known(&TOKEN), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_lease_is_longer_than_a_day() {
        let (_, link, leases) = oracle(Says::This(Authorization::Known {
            may_send_requests: true,
            lease: Duration::MAX,
        }));
        assert_eq!(leases.ask(&link, TOKEN).await, Verdict::Allowed);
        tokio::time::advance(LONGEST_LEASE).await;
        assert_eq!(leases.known(&TOKEN), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_hangs_on_a_silent_or_broken_link() {
        for says in [Says::Nothing, Says::Panic] {
            let (oracle, link, leases) = oracle(says);
            let before = Instant::now();
            assert_eq!(leases.ask(&link, TOKEN).await, Verdict::Unknown);
            assert!(before.elapsed() <= ASK_TIMEOUT);
            assert_eq!(leases.known(&TOKEN), None);
            // It is asked again, not waited for.
            assert_eq!(leases.ask(&link, TOKEN).await, Verdict::Unknown);
            assert_eq!(oracle.asked.load(Ordering::SeqCst), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn revoking_one_and_forgetting_all() {
        let (_, link, leases) = oracle(Says::This(GOOD));
        let other = SecretHash::from_bytes([8; 32]);
        for token in [TOKEN, other] {
            leases.ask(&link, token).await;
        }
        leases.revoke(&[TOKEN]);
        assert_eq!(
            (leases.known(&TOKEN), leases.known(&other)),
            (None, Some(Verdict::Allowed))
        );
        leases.forget_all();
        assert_eq!(leases.known(&other), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_tokens_neither_grows_nor_pushes_known_ones_out() {
        let (_, link, leases) = oracle(Says::This(GOOD));
        leases.ask(&link, TOKEN).await;
        let (_, link, _) = oracle(Says::This(BAD));
        for number in 0..BAD_PER_SHARD as u16 + 100 {
            let mut bytes = [7; 32];
            bytes[30..].copy_from_slice(&number.to_be_bytes());
            leases.ask(&link, SecretHash::from_bytes(bytes)).await;
        }
        assert_eq!(leases.known(&TOKEN), Some(Verdict::Allowed));
        assert_eq!(leases.shard(&TOKEN).read().unwrap().bad.len(), BAD_PER_SHARD);
        assert!(leases.flights().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_revoked_again_and_again_is_revoked() {
        #[derive(Debug)]
        struct Revoking(Arc<Leases>);
        #[async_trait]
        impl ControlLink for Revoking {
            async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
                Err(LinkError::Unreachable("not asked for here".into()))
            }
            async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
                self.0.revoke(&[token]);
                Ok(GOOD)
            }
            async fn deliver(&self, _: ReplicaId, _: Vec<Arc<InterceptionRecord>>) -> Result<Receipt, LinkError> {
                Ok(Receipt::default())
            }
        }
        let leases: Arc<Leases> = Arc::default();
        let link: Arc<dyn ControlLink> = Arc::new(Revoking(Arc::clone(&leases)));
        assert_eq!(leases.ask(&link, TOKEN).await, Verdict::Denied(DenyReason::Revoked));
        assert_eq!(leases.known(&TOKEN), None);
    }
}
