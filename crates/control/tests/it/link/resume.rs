//! Replicas that attach again: which leases stay valid, and what they receive about the time in between.

use crate::bench::{Attached, Bench, hash, hello};
use lychgate_link::{ControlLink, Hello, LinkError};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{TestDb, TestEngine};
use lychgate_types::ReplicaId;
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use std::time::Duration;

async fn reattach(bench: &Bench, key: &GatewayKeySecret, replica_id: ReplicaId, resume_after: u64) -> Attached {
    let hello = Hello {
        resume_after,
        ..hello(replica_id)
    };
    Attached::open(&bench.link_of(replica_id, key), hello).await.unwrap()
}

/// Makes a user with a token, tells a replica with this key of it, and deletes the user.
async fn revoke(bench: &Bench, key: &GatewayKeySecret, name: &str) -> SecretHash {
    let (_, token) = bench.user(name, "member").await;
    bench.link(key).authorize(hash(&token)).await.unwrap();
    bench.delete(&bench.owner, &format!("/users/{name}")).await.expect(204);
    hash(&token)
}

/// Appends a change to the feed as another control plane would, but without a notification.
async fn append(db: &TestDb, number: u64, kind: &str, subject: &str) {
    let (at, subject) = match db.engine() {
        TestEngine::Sqlite => ("0", format!("X'{subject}'")),
        TestEngine::Postgres => ("'2026-11-24 09:30:00Z'", format!("'\\x{subject}'")),
    };
    db.execute(&format!(
        "UPDATE change_counters SET last = {number}; \
         INSERT INTO changes (seq, created_at, kind, subject) VALUES ({number}, {at}, '{kind}', {subject})"
    ))
    .await;
}

both_engines! {
    async fn a_replica_that_attaches_again_resumes_and_receives_what_it_missed(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let id = bench.ambient.new_id();
        let mut replica = reattach(&bench, &key, id, 0).await;
        assert!(!replica.resumed, "there is nothing to resume");
        let first = revoke(&bench, &key, "ada").await;
        assert_eq!(replica.revoked().await, [first]);
        let position = replica.position;
        drop(replica);

        let (second, third) = (revoke(&bench, &key, "bob").await, revoke(&bench, &key, "cay").await);
        bench.provider("claude", "anthropic").await;
        let mut replica = reattach(&bench, &key, id, position).await;
        assert!(replica.resumed);
        assert_eq!((replica.position, &*replica.providers), (position, &["claude".to_owned()][..]));
        let mut missed = [second, third];
        missed.sort_by_key(|hash| *hash.as_bytes());
        assert_eq!(replica.revoked().await, missed);
        let fourth = revoke(&bench, &key, "dee").await;
        assert_eq!(replica.revoked().await, [fourth], "and it continues from there");

        // It has seen everything: nothing is sent twice.
        let position = replica.position;
        let mut again = reattach(&bench, &key, id, position).await;
        assert!(again.resumed);
        let fifth = revoke(&bench, &key, "eve").await;
        assert_eq!(again.revoked().await, [fifth]);
    }

    async fn a_replica_that_was_offline_for_too_long_starts_over(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        revoke(&bench, &key, "ada").await;
        let replica = bench.attach(&key).await;
        revoke(&bench, &key, "bob").await;
        db.clock().advance(Duration::from_secs(24 * 3600 + 1));
        db.store().housekeep(&lychgate_authz::Caller::control_plane()).await.unwrap().unwrap();
        let late = reattach(&bench, &key, bench.ambient.new_id(), replica.position).await;
        assert!(!late.resumed);
        assert_eq!(late.position, 2);
        // A position that this feed has never reached: the database is another one, or was restored.
        let unknown = reattach(&bench, &key, bench.ambient.new_id(), 900).await;
        assert!(!unknown.resumed);
    }

    async fn changes_are_found_without_a_notification(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let mut replica = bench.attach(&key).await;
        for round in 1..=5 {
            let (_, token) = bench.user(&format!("bob-{round}"), "member").await;
            let token = hash(&token);
            bench.link(&key).authorize(token).await.unwrap();
            let subject: String = token.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            append(db, round, "token_revoked", &subject).await;
            assert_eq!(replica.revoked().await, [token]);
            assert_eq!(replica.position, round);
        }
        // A kind of change that only a newer control plane knows is ignored.
        append(db, 6, "moon_phase", "01").await;
        let revoked = revoke(&bench, &key, "ada").await;
        assert_eq!((replica.revoked().await, replica.position), (vec![revoked], 7));
    }

    /// As after a restored backup, or when a control plane was cut off from its database for more than a day.
    async fn when_the_control_plane_itself_has_missed_changes_every_replica_starts_over(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let id = bench.ambient.new_id();
        let mut replica = reattach(&bench, &key, id, 0).await;
        let first = revoke(&bench, &key, "ada").await;
        assert_eq!(replica.revoked().await, [first]);
        db.execute("UPDATE change_counters SET last = 500").await;
        assert!(replica.next().await.is_none());
        let mut replica = reattach(&bench, &key, id, replica.position).await;
        assert_eq!((replica.resumed, replica.position), (false, 500));
        let second = revoke(&bench, &key, "bob").await;
        assert_eq!((replica.revoked().await, replica.position), (vec![second], 501));

        db.execute("DELETE FROM changes; UPDATE change_counters SET last = 3").await;
        assert!(replica.next().await.is_none());
        let replica = reattach(&bench, &key, id, replica.position).await;
        assert_eq!((replica.resumed, replica.position), (false, 3));
    }

    async fn a_refused_replica_does_not_end_the_attachment_of_one_with_the_same_id(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let id = bench.ambient.new_id();
        let mut replica = reattach(&bench, &key, id, 0).await;
        let (other_id, other) = bench.key("other").await;
        bench.delete(&bench.owner, &format!("/ai-gateway/keys/{other_id}")).await.expect(204);
        let refused = Attached::open(&bench.link(&other), hello(id)).await.err();
        assert!(matches!(refused, Some(LinkError::Refused(_))));
        let revoked = revoke(&bench, &key, "ada").await;
        assert_eq!(replica.revoked().await, [revoked]);
    }
}
