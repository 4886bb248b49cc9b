//! Attaching: what a replica receives, and when the attachment ends.

use crate::bench::{Attached, Bench, hash, hello, text};
use lychgate_link::{CloseReason, ControlLink, Down, Heartbeat, LinkError, Message, PROTOCOL, ProtocolVersion};
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::eventually;
use lychgate_types::KeyRefusal;
use serde_json::json;
use std::time::Duration;

#[track_caller]
fn providers(down: Option<Result<Down, LinkError>>) -> Vec<(String, bool, Vec<String>)> {
    let Some(Ok(Down {
        message: Message::Configuration { configuration, .. },
        ..
    })) = down
    else {
        panic!("no configuration: {down:?}")
    };
    let keys = |p: &lychgate_link::ProviderConfig| p.keys.iter().map(|key| key.secret.expose().to_owned()).collect();
    configuration
        .providers
        .iter()
        .map(|p| (p.name.to_string(), p.enabled, keys(p)))
        .collect()
}

both_engines! {
    async fn a_change_of_providers_reaches_replicas_before_the_answer(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let mut replica = bench.attach(&key).await;
        assert!(replica.providers.is_empty());
        let path = "/ai-gateway/providers";
        let body = json!({"name": "anthropic", "type": "anthropic", "keys": ["sk-1"]});
        bench.post(&bench.owner, path, body).await.expect(201);
        assert_eq!(providers(replica.next().await), [("anthropic".to_owned(), true, vec!["sk-1".to_owned()])]);
        bench.patch(&bench.owner, &format!("{path}/anthropic"), json!({"enabled": false})).await.expect(200);
        assert_eq!(providers(replica.next().await), [("anthropic".to_owned(), false, vec!["sk-1".to_owned()])]);
        bench.patch(&bench.owner, &format!("{path}/anthropic"), json!({"keys": [{"key": "sk-2"}]})).await.expect(200);
        assert_eq!(providers(replica.next().await), [("anthropic".to_owned(), false, vec!["sk-2".to_owned()])]);
        bench.delete(&bench.owner, &format!("{path}/anthropic")).await.expect(204);
        assert_eq!(providers(replica.next().await), []);
    }

    async fn tokens_that_become_invalid_are_pushed(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let mut replica = bench.attach(&key).await;
        let (_, first) = bench.user("ada", "member").await;
        let second = bench.token("ada", &["ai_request:create"]).await;
        for token in [&first, &second] {
            bench.link(&key).authorize(hash(token)).await.unwrap();
        }
        let mut revoked = async || match replica.next().await {
            Some(Ok(Down { message: Message::TokensRevoked(mut hashes), .. })) => {
                hashes.sort_by_key(|hash| *hash.as_bytes());
                hashes
            }
            other => panic!("{other:?}"),
        };
        let mut both = [hash(&first), hash(&second)];
        both.sort_by_key(|hash| *hash.as_bytes());

        bench.post(&bench.owner, "/users/ada/suspend", json!({})).await.expect(200);
        assert_eq!(revoked().await, both);
        bench.post(&bench.owner, "/users/ada/activate", json!({})).await.expect(200);
        let tokens = bench.get(&bench.owner, "/tokens?user=ada").await.expect(200).value();
        bench.delete(&bench.owner, &format!("/tokens/{}", text(&tokens["tokens"][0]["id"]))).await.expect(204);
        assert_eq!(revoked().await.len(), 1);
        bench.delete(&bench.owner, "/users/ada").await.expect(204);
        assert_eq!(revoked().await.len(), 1, "only the token that was still valid");
    }

    async fn deleting_the_key_closes_its_attachments_at_once(db: TestDb) {
        let bench = Bench::start(db).await;
        let ((id, key), (_, other)) = (bench.key("edge").await, bench.key("other").await);
        let (mut one, mut two, mut other_replica) = (bench.attach(&key).await, bench.attach(&key).await, bench.attach(&other).await);
        let shown = bench.get(&bench.owner, &format!("/ai-gateway/keys/{id}")).await.expect(200).value();
        assert_eq!(shown["live_replicas"], 2);
        bench.delete(&bench.owner, &format!("/ai-gateway/keys/{id}")).await.expect(204);
        // Checked first: the background work would refuse the key half a second later anyway.
        let link = bench.link(&key);
        let revoked = LinkError::refused(KeyRefusal::Revoked);
        assert_eq!(link.authorize(hash(&bench.owner)).await.unwrap_err(), revoked);
        for replica in [&mut one, &mut two] {
            assert!(matches!(replica.next().await, Some(Ok(Down { message: Message::Close(CloseReason::Refused(KeyRefusal::Revoked)), .. }))));
            assert!(replica.next().await.is_none());
        }
        assert_eq!(link.deliver(bench.ambient.new_id(), vec![]).await.unwrap_err(), revoked);
        assert_eq!(Attached::open(&link, hello(bench.ambient.new_id())).await.err(), Some(revoked));
        bench.post(&bench.owner, "/ai-gateway/providers", json!({"name": "a", "type": "anthropic"})).await.expect(201);
        assert_eq!(providers(other_replica.next().await).len(), 1);
    }

    async fn an_expired_key_closes_its_attachments(db: TestDb) {
        let bench = Bench::start(db).await;
        let body = json!({"name": "edge", "expires_at": "2026-11-24T10:30:00Z"});
        let made = bench.post(&bench.owner, "/ai-gateway/keys", body).await.expect(201).value();
        let key = lychgate_types::secret::GatewayKeySecret::parse(made["key"].as_str().unwrap()).unwrap();
        let mut replica = bench.attach(&key).await;
        db.clock().advance(Duration::from_secs(3600));
        assert!(matches!(replica.next().await, Some(Ok(Down { message: Message::Close(CloseReason::Refused(KeyRefusal::Expired)), .. }))));
        assert!(replica.next().await.is_none());
        let expired = LinkError::refused(KeyRefusal::Expired);
        assert_eq!(bench.link(&key).authorize(hash(&bench.owner)).await.unwrap_err(), expired);
    }

    /// Another control plane on the same database deletes the key: the background work notices it here.
    async fn a_key_deleted_elsewhere_is_noticed(db: TestDb) {
        let bench = Bench::start(db).await;
        let (id, key) = bench.key("edge").await;
        let mut replica = bench.attach(&key).await;
        let owner = db.store().token_authenticate(&lychgate_authz::Caller::control_plane(), &hash(&bench.owner)).await.unwrap().unwrap();
        let principal = lychgate_authz::Principal::User(lychgate_authz::UserPrincipal {
            user_id: owner.user_id,
            token_id: owner.token_id,
            role: owner.role,
            scopes: owner.scopes,
        });
        let caller = lychgate_authz::Caller { principal, request_id: None };
        db.store().ai_gateway_key_delete(&caller, &*id).await.unwrap();
        assert!(matches!(replica.next().await, Some(Ok(Down { message: Message::Close(CloseReason::Refused(KeyRefusal::Revoked)), .. }))));
    }

    async fn the_registry_shows_who_is_attached(db: TestDb) {
        let bench = Bench::start(db).await;
        let (id, key) = bench.key("edge").await;
        let path = format!("/ai-gateway/keys/{id}");
        let replica_id = bench.ambient.new_id();
        let link = bench.link(&key);
        let first = Attached::open(&link, hello(replica_id)).await.unwrap();
        first.heartbeats.send_replace(Heartbeat { spool_depth: 3, in_flight: 2, configuration_version: 1, ..Heartbeat::default() });
        let shown = eventually("the heartbeat", || async {
            let shown = bench.get(&bench.owner, &path).await.expect(200).value();
            (shown["replicas"][0]["spool_depth"] == 3).then_some(shown)
        })
        .await;
        assert_eq!(shown["replicas"].as_array().unwrap().len(), 1);
        assert_eq!((&shown["replicas"][0]["id"], &shown["live_replicas"]), (&json!(replica_id), &json!(1)));
        assert_eq!(shown["last_used_at"], "2026-11-24T09:30:00.000000Z");

        // The same replica again, before its first connection is known to be lost: it replaces its own attachment.
        let mut first = first;
        let second = Attached::open(&link, hello(replica_id)).await.unwrap();
        assert!(first.next().await.is_none());
        let live = async || {
            let shown = bench.get(&bench.owner, &path).await.expect(200).value();
            shown["live_replicas"].as_u64().unwrap()
        };
        eventually("one replica", || async { (live().await == 1).then_some(()) }).await;
        drop(second);
        eventually("no replica", || async { (live().await == 0).then_some(()) }).await;

        let entries = eventually("two attachments and their ends", || async {
            let all = bench.audit("resource_type=ai_gateway_key").await;
            let entries: Vec<_> = all.into_iter().filter(|entry| entry["action"] != "create").collect();
            (entries.len() == 4).then_some(entries)
        })
        .await;
        for entry in &entries {
            assert_eq!((&entry["target_id"], &entry["target_name"]), (&json!(id), &json!("edge")));
            assert_eq!(entry["target_prefix"], key.prefix());
            assert_eq!(entry["detail"], format!("replica {replica_id}"));
        }
    }

    async fn an_incompatible_version_is_refused(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        for protocol in [
            ProtocolVersion { major: PROTOCOL.major, minor: PROTOCOL.minor + 1 },
            ProtocolVersion { major: PROTOCOL.major + 1, minor: 0 },
        ] {
            let hello = lychgate_link::Hello { protocol, ..hello(bench.ambient.new_id()) };
            let error = Attached::open(&bench.link(&key), hello).await.err().unwrap();
            let refusal = PROTOCOL.accepts(protocol).unwrap_err();
            assert_eq!(error, LinkError::Refused(refusal.into()));
        }
    }

    async fn stopping_closes_the_attachments_of_replicas(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let mut replica = bench.attach(&key).await;
        bench.stop().await;
        assert!(matches!(replica.next().await, Some(Ok(Down { message: Message::Close(CloseReason::ShuttingDown), .. }))));
    }
}
