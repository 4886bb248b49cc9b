//! Leases under paused time.

use super::*;
use async_trait::async_trait;
use lychgate_link::{Attachment, EncodedRecord, Heartbeat, Hello, Receipt};
use lychgate_types::ReplicaId;
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
    async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
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
async fn tokens_that_are_refused_leave_nothing_under_way() {
    let (_, link, leases) = oracle(Says::This(BAD));
    for number in 0..10 {
        let token = SecretHash::from_bytes([number; 32]);
        assert_eq!(leases.ask(&link, token).await, Verdict::Denied(DenyReason::Unknown));
    }
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
        async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
            Ok(Receipt::default())
        }
    }
    let leases: Arc<Leases> = Arc::default();
    let link: Arc<dyn ControlLink> = Arc::new(Revoking(Arc::clone(&leases)));
    assert_eq!(leases.ask(&link, TOKEN).await, Verdict::Denied(DenyReason::Revoked));
    assert_eq!(leases.known(&TOKEN), None);
}
