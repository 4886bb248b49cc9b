//! Rotating a gateway key, as its replicas see it.

use crate::bench::{Attached, Bench, hash, hello, text};
use lychgate_link::{CloseReason, ControlLink, Down, LinkError, Message};
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::eventually;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::GatewayKeySecret;
use serde_json::{Value, json};
use std::time::Duration;

const ROTATE: &str = "/ai-gateway/keys/edge/rotate";
const ROTATED: LinkError = LinkError::refused(KeyRefusal::Rotated);

async fn rotate(bench: &Bench, body: Value) -> GatewayKeySecret {
    let rotated = bench.post(&bench.owner, ROTATE, body).await.expect(200).value();
    GatewayKeySecret::parse(rotated["key"].as_str().unwrap()).unwrap()
}

async fn closed(replica: &mut Attached) -> CloseReason {
    let Some(Ok(Down {
        message: Message::Close(reason),
        ..
    })) = replica.next().await
    else {
        panic!("not closed")
    };
    assert!(replica.next().await.is_none());
    reason
}

both_engines! {
    async fn both_secrets_are_accepted_until_the_grace_ends_then_the_old_one_is_refused_as_rotated(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, first) = bench.key("edge").await;
        let mut old = bench.attach(&first).await;
        let second = rotate(&bench, json!({"grace_seconds": 60})).await;
        let mut new = bench.attach(&second).await;
        for secret in [&first, &second] {
            bench.link(secret).authorize(hash(&bench.owner)).await.unwrap();
            bench.link(secret).deliver(bench.ambient.new_id(), vec![]).await.unwrap();
        }
        let mut late = bench.attach(&first).await;
        let shown = bench.get(&bench.owner, "/ai-gateway/keys/edge").await.expect(200).value();
        assert_eq!(shown["live_replicas"], 3);

        db.clock().advance(Duration::from_secs(60));
        assert_eq!(closed(&mut old).await, CloseReason::Refused(KeyRefusal::Rotated));
        assert_eq!(closed(&mut late).await, CloseReason::Refused(KeyRefusal::Rotated));
        let link = bench.link(&first);
        assert_eq!(link.authorize(hash(&bench.owner)).await.unwrap_err(), ROTATED);
        assert_eq!(link.deliver(bench.ambient.new_id(), vec![]).await.unwrap_err(), ROTATED);
        assert_eq!(Attached::open(&link, hello(bench.ambient.new_id())).await.err(), Some(ROTATED));
        bench.link(&second).authorize(hash(&bench.owner)).await.unwrap();
        bench.provider("claude", "anthropic").await;
        assert!(matches!(new.next().await, Some(Ok(Down { message: Message::Configuration { .. }, .. }))), "the new one stays");

        let refusal = eventually("the refusals in the audit log", || async {
            let entries = bench.audit("action=refuse").await;
            entries.into_iter().find(|entry| text(&entry["detail"]).starts_with("key_rotated from 127.0.0.1"))
        })
        .await;
        assert_eq!(refusal["target_prefix"], first.prefix());
    }

    async fn without_a_grace_the_old_secret_is_closed_before_the_answer(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, first) = bench.key("edge").await;
        let mut old = bench.attach(&first).await;
        let second = rotate(&bench, json!({"grace_seconds": 0})).await;
        // Checked first: the background work would refuse it half a second later anyway.
        assert_eq!(bench.link(&first).authorize(hash(&bench.owner)).await.unwrap_err(), ROTATED);
        assert_eq!(closed(&mut old).await, CloseReason::Refused(KeyRefusal::Rotated));
        bench.attach(&second).await;
    }

    async fn force_ends_the_oldest_secret_and_keeps_the_previous_one(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, first) = bench.key("edge").await;
        let second = rotate(&bench, json!({})).await;
        let (mut oldest, _before) = (bench.attach(&first).await, bench.attach(&second).await);
        let third = rotate(&bench, json!({"force": true})).await;
        assert_eq!(closed(&mut oldest).await, CloseReason::Refused(KeyRefusal::Rotated));
        assert_eq!(bench.link(&first).authorize(hash(&bench.owner)).await.unwrap_err(), ROTATED);
        for secret in [&second, &third] {
            bench.link(secret).authorize(hash(&bench.owner)).await.unwrap();
        }
    }

    /// The replica opens its new attachment before it drops the old one; it counts as one replica all the time.
    async fn a_replica_changes_its_secret_without_being_lost(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, first) = bench.key("edge").await;
        let replica_id = bench.ambient.new_id();
        let mut old = bench.attach_as(replica_id, &first).await;
        let second = rotate(&bench, json!({})).await;
        let _new = bench.attach_as(replica_id, &second).await;
        assert!(old.next().await.is_none(), "it was replaced, without a message");
        let record = bench.link_of(replica_id, &second).deliver(replica_id, vec![]).await.unwrap();
        assert_eq!(record.rejected, []);
    }

    async fn deleting_the_key_closes_both_secrets(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, first) = bench.key("edge").await;
        let second = rotate(&bench, json!({})).await;
        let (mut one, mut two) = (bench.attach(&first).await, bench.attach(&second).await);
        bench.delete(&bench.owner, "/ai-gateway/keys/edge").await.expect(204);
        for replica in [&mut one, &mut two] {
            assert_eq!(closed(replica).await, CloseReason::Refused(KeyRefusal::Revoked));
        }
    }
}
