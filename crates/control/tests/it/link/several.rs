//! Several control planes on one PostgreSQL: a change made by one takes effect at all of them.

use crate::bench::{Bench, hash, text};
use lychgate_link::{Authorization, CloseReason, ControlLink, DenyReason, Message};
use lychgate_testkit::db::{TestDb, TestEngine, run};
use lychgate_testkit::wait::eventually;
use lychgate_types::KeyRefusal;
use serde_json::json;

/// The PostgreSQL backends of both control planes' listening connections, none of them among the old ones.
async fn two_listen(db: &TestDb, old: &[i32]) -> Vec<i32> {
    eventually("both control planes listen", || async {
        let now = db.listening().await;
        (now.len() == 2 && now.iter().all(|pid| !old.contains(pid))).then_some(now)
    })
    .await
}

async fn token_id(bench: &Bench, user: &str) -> String {
    let tokens = bench
        .get(&bench.owner, &format!("/tokens?user={user}"))
        .await
        .expect(200)
        .value();
    text(&tokens["tokens"][0]["id"])
}

/// Makes a user and a token at one control plane, has a replica of the other look it up, and revokes it at the first.
async fn revoke(one: &Bench, other: &Bench, link: &dyn ControlLink, user: &str) -> lychgate_types::secret::SecretHash {
    let (_, token) = one.user(user, "member").await;
    let answer = link.authorize(hash(&token)).await.unwrap();
    assert!(matches!(answer, Authorization::Known { .. }), "{answer:?}");
    let id = token_id(other, user).await;
    one.delete(&one.owner, &format!("/tokens/{id}")).await.expect(204);
    let answer = link.authorize(hash(&token)).await.unwrap();
    assert!(
        matches!(
            answer,
            Authorization::Denied {
                reason: DenyReason::Revoked,
                ..
            }
        ),
        "{answer:?}"
    );
    hash(&token)
}

#[test]
fn a_revocation_by_one_reaches_the_replicas_of_the_other() {
    run(TestEngine::Postgres, async |db| {
        let one = Bench::start(db).await;
        let other = one.join(db).await;
        let (_, key) = one.key("edge").await;
        let mut replica = other.attach(&key).await;
        let link = other.link(&key);
        let revoked = revoke(&one, &other, &link, "ada").await;
        assert_eq!(replica.revoked().await, [revoked]);

        let (_, first) = one.user("bob", "member").await;
        let second = one.token("bob", &["ai_request:create"]).await;
        let mut both = [hash(&first), hash(&second)];
        for token in both {
            link.authorize(token).await.unwrap();
        }
        both.sort_by_key(|hash| *hash.as_bytes());
        one.post(&one.owner, "/users/bob/suspend", json!({})).await.expect(200);
        assert_eq!(replica.revoked().await, both);
        one.post(&one.owner, "/users/bob/activate", json!({})).await.expect(200);
        one.delete(&one.owner, "/users/bob").await.expect(204);
        assert_eq!(replica.revoked().await, both);
        other.stop().await;
        one.stop().await;
    });
}

#[test]
fn providers_and_routes_changed_by_one_take_effect_at_the_other() {
    run(TestEngine::Postgres, async |db| {
        let one = Bench::start(db).await;
        let other = one.join(db).await;
        let (_, key) = one.key("edge").await;
        let mut replica = other.attach(&key).await;
        one.provider("claude", "anthropic").await;
        let Message::Configuration {
            configuration, resumed, ..
        } = replica.message().await
        else {
            panic!()
        };
        assert_eq!(
            (&*configuration.providers[0].name.to_string(), resumed),
            ("claude", true)
        );
        let route = json!({"name": "way", "provider": "claude", "model": "*", "targets": [{"provider": "claude"}]});
        one.post(&one.owner, "/ai-gateway/routes", route).await.expect(201);
        assert_eq!(replica.configuration().await.routes.len(), 1);
        one.patch(&one.owner, "/ai-gateway/providers/claude", json!({"enabled": false}))
            .await
            .expect(200);
        assert!(!replica.configuration().await.providers[0].enabled);
        // So is what a key serves.
        one.provider("gpt", "openai").await;
        one.patch(&one.owner, "/ai-gateway/keys/edge", json!({"providers": ["gpt"]}))
            .await
            .expect(200);
        loop {
            let configuration = replica.configuration().await;
            let names: Vec<_> = configuration
                .providers
                .iter()
                .map(|provider| provider.name.to_string())
                .collect();
            if names == ["gpt"] {
                break;
            }
        }
        other.stop().await;
        one.stop().await;
    });
}

#[test]
fn a_gateway_key_changed_by_one_is_changed_at_the_other() {
    run(TestEngine::Postgres, async |db| {
        let one = Bench::start(db).await;
        let other = one.join(db).await;
        let mut replicas = Vec::new();
        for name in ["deleted", "disabled", "rotated", "untouched"] {
            let (_, key) = one.key(name).await;
            replicas.push(other.attach(&key).await);
        }
        one.delete(&one.owner, "/ai-gateway/keys/deleted").await.expect(204);
        one.patch(&one.owner, "/ai-gateway/keys/disabled", json!({"disabled": true}))
            .await
            .expect(200);
        one.post(
            &one.owner,
            "/ai-gateway/keys/rotated/rotate",
            json!({"grace_seconds": 0}),
        )
        .await
        .expect(200);
        let reasons = [
            CloseReason::Refused(KeyRefusal::Revoked),
            CloseReason::Refused(KeyRefusal::Disabled),
            CloseReason::Refused(KeyRefusal::Rotated),
        ];
        let mut other_replica = replicas.pop().unwrap();
        for (replica, reason) in replicas.iter_mut().zip(reasons) {
            let Message::Close(received) = replica.message().await else {
                panic!()
            };
            assert_eq!(received, reason);
        }
        one.provider("claude", "anthropic").await;
        assert!(matches!(other_replica.message().await, Message::Configuration { .. }));
        other.stop().await;
        one.stop().await;
    });
}

#[test]
fn every_control_plane_lists_every_replica() {
    run(TestEngine::Postgres, async |db| {
        let one = Bench::start(db).await;
        let other = one.join(db).await;
        let (_, key) = one.key("edge").await;
        let (here, there) = (one.attach(&key).await, other.attach(&key).await);
        let mut listed = Vec::new();
        for control_plane in [&one, &other] {
            let list = control_plane
                .get(&control_plane.owner, "/ai-gateway/replicas")
                .await
                .expect(200)
                .value();
            assert_eq!(list["replicas"].as_array().unwrap().len(), 2);
            assert_ne!(
                list["replicas"][0]["control_plane_id"],
                list["replicas"][1]["control_plane_id"]
            );
            listed.push(list);
            let shown = control_plane
                .get(&control_plane.owner, "/ai-gateway/keys/edge")
                .await
                .expect(200)
                .value();
            assert_eq!(
                (&shown["live_replicas"], shown["replicas"].as_array().unwrap().len()),
                (&json!(2), 2)
            );
            let keys = control_plane
                .get(&control_plane.owner, "/ai-gateway/keys")
                .await
                .expect(200)
                .value();
            assert_eq!(keys["keys"][0]["live_replicas"], 2);
        }
        assert_eq!(listed[0], listed[1]);
        drop(there);
        eventually("the one that disappeared is lost", || async {
            let list = one
                .get(&one.owner, "/ai-gateway/replicas?state=lost")
                .await
                .expect(200)
                .value();
            (list["replicas"].as_array().unwrap().len() == 1).then_some(())
        })
        .await;
        drop(here);
        other.stop().await;
        one.stop().await;
    });
}

#[test]
fn a_drain_by_one_reaches_the_replica_of_the_other_and_is_sent_again_wherever_it_attaches() {
    run(TestEngine::Postgres, async |db| {
        let one = Bench::start(db).await;
        let other = one.join(db).await;
        let (_, key) = one.key("edge").await;
        let id = one.ambient.new_id();
        let (mut replica, mut other_replica) = (other.attach_as(id, &key).await, other.attach(&key).await);
        let path = format!("/ai-gateway/replicas/{id}");
        let drained = one
            .post(&one.owner, &format!("{path}/drain"), json!({}))
            .await
            .expect(200)
            .value();
        assert_eq!(drained["state"], "draining");
        assert!(matches!(replica.message().await, Message::Drain));
        let shown = other.get(&other.owner, &path).await.expect(200).value();
        assert_eq!(shown["state"], "draining");
        let mut again = one.attach_as(id, &key).await;
        assert!(matches!(again.message().await, Message::Drain));
        one.provider("claude", "anthropic").await;
        assert!(
            matches!(other_replica.message().await, Message::Configuration { .. }),
            "the others go on"
        );
        other.stop().await;
        one.stop().await;
    });
}

#[test]
fn a_control_plane_whose_listening_connection_is_cut_catches_up_and_listens_again() {
    run(TestEngine::Postgres, async |db| {
        let one = Bench::start(db).await;
        let other = one.join(db).await;
        let (_, key) = one.key("edge").await;
        let mut replica = other.attach(&key).await;
        let link = other.link(&key);
        let mut pids = two_listen(db, &[]).await;
        for round in 0..3 {
            for pid in &pids {
                db.execute(&format!("SELECT pg_terminate_backend({pid})")).await;
            }
            let revoked = revoke(&one, &other, &link, &format!("ada-{round}")).await;
            assert_eq!(replica.revoked().await, [revoked]);
            pids = two_listen(db, &pids).await;
        }
        other.stop().await;
        one.stop().await;
    });
}
