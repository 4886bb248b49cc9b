//! The answers that replicas get about tokens.

use crate::bench::{Bench, hash, text};
use futures_util::future::join_all;
use lychgate_link::{Authorization, ControlLink, DenyReason};
use lychgate_testkit::both_engines;
use lychgate_types::secret::SecretHash;
use serde_json::json;
use std::time::Duration;

fn denied(answer: Authorization) -> DenyReason {
    match answer {
        Authorization::Denied { reason, lease } => {
            assert!(lease <= Duration::from_secs(10));
            reason
        }
        Authorization::Known { .. } => panic!("{answer:?}"),
    }
}

both_engines! {
    /// A flood of unknown tokens costs the database one question for all of them: only known ones are looked up.
    async fn an_unknown_token_is_not_looked_up(db: TestDb) {
        let bench = Bench::start(db).await;
        let other = bench.join(db).await;
        let (_, key) = bench.key("edge").await;
        let (_, known) = bench.user("ada", "member").await;
        let link = bench.link(&key);
        let unknown = (0..200).map(|n: u8| link.authorize(SecretHash::from_bytes([n; 32])));
        db.execute("ALTER TABLE users RENAME TO hidden_users").await;
        for told in join_all(unknown).await {
            assert_eq!(denied(told.unwrap()), DenyReason::Unknown);
        }
        link.authorize(hash(&known)).await.expect_err("this one is looked up");
        db.execute("ALTER TABLE hidden_users RENAME TO users").await;
        link.authorize(hash(&known)).await.unwrap();
        let new = other.token("ada", &["ai_request:create"]).await;
        let told = link.authorize(hash(&new)).await.unwrap();
        assert!(matches!(told, Authorization::Known { .. }), "made by another control plane just now: {told:?}");
    }

    /// Few unknown tokens of a replica wait until it is known which were just made; of the others it hears at once, so that they hold none
    /// of its places. It may hear otherwise a moment later.
    async fn a_flood_through_one_replica_holds_up_no_other_token(db: TestDb) {
        /// Fewer than those who don't wait, however long it takes to ask.
        const WAIT: usize = 64;
        let bench = Bench::start(db).await;
        let other = bench.join(db).await;
        let (_, key) = bench.key("edge").await;
        let (_, known) = bench.user("ada", "member").await;
        let link = bench.link(&key);
        let unknown = |n: u8| SecretHash::from_bytes([n; 32]);
        // Makes the control plane read its tokens, so that the next who ask wait for a while.
        link.authorize(unknown(0)).await.unwrap();
        let mut flood = join_all((1..=200).map(|n| link.authorize(unknown(n))));
        let answered = async {
            link.authorize(hash(&known)).await.unwrap();
            let new = other.token("ada", &["ai_request:create"]).await;
            loop {
                match link.authorize(hash(&new)).await.unwrap() {
                    Authorization::Known { .. } => break,
                    Authorization::Denied { reason, lease } => {
                        assert_eq!(reason, DenyReason::Unknown);
                        assert!(lease <= Duration::from_secs(2), "{lease:?}");
                        tokio::task::yield_now().await;
                    }
                }
            }
        };
        let (told, ()) = tokio::join!(&mut flood, answered);
        let leases = told.into_iter().map(|told| match told.unwrap() {
            Authorization::Denied { reason: DenyReason::Unknown, lease } => lease,
            told => panic!("{told:?}"),
        });
        let at_once = leases.filter(|lease| *lease <= Duration::from_secs(2)).count();
        assert!(at_once >= WAIT, "{at_once}");
    }

    /// Replicas share room among users without knowing them.
    async fn all_tokens_of_a_user_have_the_same_holder(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let link = bench.link(&key);
        let ((_, one), (_, other)) = (bench.user("ada", "member").await, bench.user("bob", "member").await);
        let another = bench.token("ada", &["*"]).await;
        let mut holders = Vec::new();
        for token in [&one, &another, &other] {
            let answer = link.authorize(hash(token)).await.unwrap();
            let Authorization::Known { holder, .. } = answer else { panic!("{answer:?}") };
            holders.push(holder);
        }
        assert!(holders[0] == holders[1] && holders[0] != holders[2], "{holders:?}");
    }

    async fn the_state_of_token_and_user_decides(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let link = bench.link(&key);
        assert_eq!(denied(link.authorize(SecretHash::from_bytes([1; 32])).await.unwrap()), DenyReason::Unknown);

        let (_, member) = bench.user("ada", "member").await;
        let (_, auditor) = bench.user("aud", "auditor").await;
        let narrow = bench.token("ada", &["token:read"]).await;
        for (token, may) in [(&member, true), (&bench.owner, true), (&auditor, false), (&narrow, false)] {
            let answer = link.authorize(hash(token)).await.unwrap();
            let Authorization::Known { may_send_requests, lease, .. } = answer else { panic!("{answer:?}") };
            assert_eq!((may_send_requests, lease), (may, Duration::from_secs(15 * 60)));
        }

        bench.post(&bench.owner, "/users/ada/suspend", json!({})).await.expect(200);
        assert_eq!(denied(link.authorize(hash(&member)).await.unwrap()), DenyReason::Suspended);
        bench.post(&bench.owner, "/users/ada/activate", json!({})).await.expect(200);
        let made = bench.post(&bench.owner, "/tokens", json!({"name": "t", "lifetime_seconds": 60})).await.expect(201).value();
        let (id, short) = (text(&made["id"]), text(&made["token"]));
        let Authorization::Known { lease, .. } = link.authorize(hash(&short)).await.unwrap() else { panic!() };
        assert_eq!(lease, Duration::from_secs(60), "no lease outlives its token");
        let used = text(&bench.get(&bench.owner, &format!("/tokens/{id}")).await.expect(200).value()["last_used_at"]);
        assert_eq!(used, "2026-11-24T09:30:00.000000Z");
        db.clock().advance(Duration::from_secs(60));
        assert_eq!(denied(link.authorize(hash(&short)).await.unwrap()), DenyReason::Expired);
        bench.delete(&bench.owner, &format!("/tokens/{id}")).await.expect(204);
        assert_eq!(denied(link.authorize(hash(&short)).await.unwrap()), DenyReason::Revoked);
        bench.delete(&bench.owner, "/users/ada").await.expect(204);
        assert_eq!(denied(link.authorize(hash(&member)).await.unwrap()), DenyReason::Revoked);
    }
}
