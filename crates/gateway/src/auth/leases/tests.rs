//! Leases under paused time.

use super::*;
use async_trait::async_trait;
use lychgate_link::{Attachment, EncodedRecord, Heartbeat, Hello, Receipt};
use lychgate_types::{ReplicaId, StoredObject};
use std::sync::atomic::{AtomicU32, Ordering};

/// Gives everybody the same answer, or none: then it hangs or panics.
#[derive(Debug)]
struct FakeLink {
    asked: AtomicU32,
    reply: Reply,
}

#[derive(Debug, Clone, Copy)]
enum Reply {
    Answer(Authorization),
    Never,
    Panic,
}

#[async_trait]
impl ControlLink for FakeLink {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        Err(LinkError::Unreachable("not used in this test".into()))
    }
    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.reply {
            Reply::Answer(answer) => Ok(answer),
            Reply::Never => std::future::pending().await,
            Reply::Panic => panic!("a bug in the link"),
        }
    }
    async fn owns(&self, _: SecretHash, _: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        Ok(Vec::new())
    }

    async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        Ok(Receipt::default())
    }
}

const TOKEN: SecretHash = SecretHash::from_bytes([7; 32]);
const VALID: Authorization = Authorization::Known {
    may_send_requests: true,
    holder: Holder::from_number(0),
    lease: Duration::from_secs(60),
};
const DENIED: Authorization = Authorization::Denied {
    reason: DenyReason::Unknown,
    lease: Duration::from_secs(5),
};

fn fake_link(reply: Reply) -> (Arc<FakeLink>, Arc<dyn ControlLink>, Arc<Leases>) {
    let fake_link = Arc::new(FakeLink {
        asked: AtomicU32::new(0),
        reply,
    });
    (Arc::clone(&fake_link), fake_link, Arc::default())
}

#[tokio::test(start_paused = true)]
async fn an_answer_holds_until_its_lease_ends() {
    for (answer, verdict, seconds) in [
        (VALID, Verdict::Allowed(Holder::default()), 60),
        (DENIED, Verdict::Denied(DenyReason::Unknown), 5),
        (
            Authorization::Known {
                may_send_requests: false,
                holder: Holder::default(),
                lease: Duration::from_secs(9),
            },
            Verdict::Forbidden,
            9,
        ),
    ] {
        let (_, link, leases) = fake_link(Reply::Answer(answer));
        assert_eq!(leases.known(&TOKEN), None);
        assert_eq!(leases.look_up(&link, TOKEN, Source::unknown()).await, verdict);
        tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
        assert_eq!(leases.known(&TOKEN), Some(verdict));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(leases.known(&TOKEN), None);
    }
}

#[tokio::test(start_paused = true)]
async fn no_lease_is_longer_than_a_day() {
    let (_, link, leases) = fake_link(Reply::Answer(Authorization::Known {
        may_send_requests: true,
        holder: Holder::from_number(0),
        lease: Duration::MAX,
    }));
    assert_eq!(
        leases.look_up(&link, TOKEN, Source::unknown()).await,
        Verdict::Allowed(Holder::default())
    );
    tokio::time::advance(MAX_LEASE).await;
    assert_eq!(leases.known(&TOKEN), None);
}

#[tokio::test(start_paused = true)]
async fn nobody_hangs_when_the_link_is_silent_or_broken() {
    for reply in [Reply::Never, Reply::Panic] {
        let (fake_link, link, leases) = fake_link(reply);
        let before = Instant::now();
        assert_eq!(leases.look_up(&link, TOKEN, Source::unknown()).await, Verdict::Unknown);
        assert!(before.elapsed() <= LOOKUP_TIMEOUT);
        assert_eq!(leases.known(&TOKEN), None);
        // The next request starts another look-up.
        assert_eq!(leases.look_up(&link, TOKEN, Source::unknown()).await, Verdict::Unknown);
        assert_eq!(fake_link.asked.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn revoking_one_and_clearing_all() {
    let (_, link, leases) = fake_link(Reply::Answer(VALID));
    let other = SecretHash::from_bytes([8; 32]);
    for token in [TOKEN, other] {
        leases.look_up(&link, token, Source::unknown()).await;
    }
    leases.revoke(&[TOKEN]);
    assert_eq!(
        (leases.known(&TOKEN), leases.known(&other)),
        (None, Some(Verdict::Allowed(Holder::default())))
    );
    leases.clear();
    assert_eq!(leases.known(&other), None);
}

#[tokio::test(start_paused = true)]
async fn denied_tokens_leave_no_look_up_pending() {
    let (_, link, leases) = fake_link(Reply::Answer(DENIED));
    for number in 0..10 {
        let token = SecretHash::from_bytes([number; 32]);
        assert_eq!(
            leases.look_up(&link, token, Source::unknown()).await,
            Verdict::Denied(DenyReason::Unknown)
        );
    }
    assert!(leases.lookups.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_revoked_during_every_look_up_is_denied() {
    #[derive(Debug)]
    struct Revoking(Arc<Leases>);
    #[async_trait]
    impl ControlLink for Revoking {
        async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
            Err(LinkError::Unreachable("not used in this test".into()))
        }
        async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
            self.0.revoke(&[token]);
            Ok(VALID)
        }
        async fn owns(&self, _: SecretHash, _: &[String]) -> Result<Vec<StoredObject>, LinkError> {
            Ok(Vec::new())
        }

        async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
            Ok(Receipt::default())
        }
    }
    let leases: Arc<Leases> = Arc::default();
    let link: Arc<dyn ControlLink> = Arc::new(Revoking(Arc::clone(&leases)));
    assert_eq!(
        leases.look_up(&link, TOKEN, Source::unknown()).await,
        Verdict::Denied(DenyReason::Revoked)
    );
    assert_eq!(leases.known(&TOKEN), None);
}

#[tokio::test(start_paused = true)]
async fn those_of_one_source_who_wait_leave_room_for_others() {
    let (fake_link, link, leases) = fake_link(Reply::Never);
    let source = |last| Source::new(std::net::IpAddr::from([192, 0, 2, last]));
    let wait = |source| {
        let (link, leases) = (Arc::clone(&link), Arc::clone(&leases));
        tokio::spawn(async move { leases.look_up(&link, TOKEN, source).await })
    };
    let all_wait = async |count| {
        while leases.waiting() < count {
            tokio::task::yield_now().await;
        }
    };
    let waiting: Vec<_> = (0..WAITING.one).map(|_| wait(source(1))).collect();
    all_wait(WAITING.one).await;
    assert_eq!(wait(source(1)).await.unwrap(), Verdict::Crowded);
    let others: Vec<_> = (0..WAITING.one).map(|_| wait(source(2))).collect();
    all_wait(WAITING.all).await;
    assert_eq!(wait(source(3)).await.unwrap(), Verdict::Crowded);
    for waiting in waiting.into_iter().chain(others) {
        assert_eq!(waiting.await.unwrap(), Verdict::Unknown);
    }
    assert_eq!(fake_link.asked.load(Ordering::SeqCst), 1, "they share the look-up");
    assert_eq!(leases.waiting(), 0);
}

/// A flood of tokens that nobody has takes no place of those whose leases are over, from the same source either.
#[tokio::test(start_paused = true)]
async fn a_token_that_worked_before_does_not_wait_among_strangers() {
    let source = Source::unknown();
    let (_, good, leases) = fake_link(Reply::Answer(VALID));
    leases.look_up(&good, TOKEN, source).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let cleared = SecretHash::from_bytes([8; 32]);
    leases.look_up(&good, cleared, source).await;
    leases.clear();

    let (_, silent, _) = fake_link(Reply::Never);
    for number in 0..WAITING.one {
        let (silent, leases) = (Arc::clone(&silent), Arc::clone(&leases));
        let mut token = [9; 32];
        token[..8].copy_from_slice(&number.to_be_bytes());
        tokio::spawn(async move { leases.look_up(&silent, SecretHash::from_bytes(token), source).await });
    }
    while leases.pending_lookups() < LOOKUPS.one {
        tokio::task::yield_now().await;
    }
    let stranger = SecretHash::from_bytes([10; 32]);
    assert_eq!(leases.look_up(&good, stranger, source).await, Verdict::Crowded);
    for token in [TOKEN, cleared] {
        assert_eq!(leases.known(&token), None, "its lease is over");
        assert_eq!(
            leases.look_up(&good, token, source).await,
            Verdict::Allowed(Holder::default())
        );
    }
    // One that was revoked is as good as new.
    leases.revoke(&[TOKEN]);
    assert_eq!(leases.look_up(&good, TOKEN, source).await, Verdict::Crowded);
}

#[tokio::test(start_paused = true)]
async fn those_that_worked_before_have_a_bound_too() {
    let (_, good, leases) = fake_link(Reply::Answer(VALID));
    let token = |number: usize| {
        let mut token = [9; 32];
        token[..8].copy_from_slice(&number.to_le_bytes());
        SecretHash::from_bytes(token)
    };
    for number in 0..=RENEWALS.all {
        leases.look_up(&good, token(number), Source::unknown()).await;
    }
    leases.clear();
    let (_, silent, _) = fake_link(Reply::Never);
    for number in 0..RENEWALS.all {
        let (silent, leases) = (Arc::clone(&silent), Arc::clone(&leases));
        tokio::spawn(async move { leases.look_up(&silent, token(number), Source::unknown()).await });
    }
    while leases.pending_lookups() < RENEWALS.all {
        tokio::task::yield_now().await;
    }
    let one_more = leases.look_up(&good, token(RENEWALS.all), Source::unknown());
    assert_eq!(one_more.await, Verdict::Crowded);
}
