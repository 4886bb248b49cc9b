//! Which gateway keys were told of which tokens, and what follows from it: who hears of a token's end, whose records are taken.

use crate::people::{People, gateway_key, grant, people, plane, provider, record, replica};
use crate::replicas::{attach, attachment};
use lychgate_authz::Caller;
use lychgate_store::{Changes, GatewayKeyPatch, ReplicaStamp, TOKEN_LEASE};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Ownership};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Delivers one record; why it is not taken, or an empty text.
async fn deliver(db: &TestDb, by: &Caller, stamp: ReplicaStamp, record: InterceptionRecord) -> String {
    let report = db
        .store()
        .interception_ingest(by, stamp, &[Arc::new(record)])
        .await
        .unwrap();
    report.rejected.into_iter().map(|(_, reason)| reason).collect()
}

/// Delivers one record of the member that began so long ago.
async fn deliver_old(db: &TestDb, people: &People, key: GatewayKeyId, provider: &str, ago: Duration) -> String {
    let mut old = record(db, people.member.hash);
    old.provider = provider.to_owned();
    (old.started_at, old.ended_at) = (db.ambient().now().minus(ago), db.ambient().now());
    deliver(db, &replica(key), ReplicaStamp::default(), old).await
}

async fn new_key(db: &TestDb, people: &People, name: &str) -> GatewayKeyId {
    key_that_replaces(db, people, name, None).await
}

async fn key_that_replaces(db: &TestDb, people: &People, name: &str, replaced: Option<GatewayKeyId>) -> GatewayKeyId {
    let (mut key, _) = gateway_key(db, name);
    key.replaces = replaced.map(Into::into);
    let made = db.store().ai_gateway_key_insert(&people.owner.caller, key, None).await;
    made.unwrap().id
}

/// The tokens that ended, as each key hears of them.
async fn heard(db: &TestDb, after: u64) -> HashMap<GatewayKeyId, Vec<SecretHash>> {
    match db.store().changes_since(&plane(), after, 99).await.unwrap() {
        Changes::Since { granted, .. } => granted,
        gap @ Changes::Gap { .. } => panic!("{gap:?}"),
    }
}

async fn missed(db: &TestDb, key: GatewayKeyId) -> Vec<SecretHash> {
    let missed = db.store().changes_tokens_revoked(&plane(), 0, 99, Some(key)).await;
    missed.unwrap().unwrap().hashes
}

both_engines! {
    async fn a_token_is_granted_to_the_key_that_was_told_and_to_no_other(db: TestDb) {
        let people = people(db).await;
        let (one, other) = (replica(db.ambient().new_id()), replica(db.ambient().new_id()));
        let is_granted = async |by: &Caller| db.store().token_authenticate(by, &people.member.hash).await.unwrap().unwrap().is_granted;
        assert!(!is_granted(&one).await);
        for _ in 0..2 {
            grant(db, &one, &people.member).await;
        }
        assert_eq!((is_granted(&one).await, is_granted(&other).await, is_granted(&plane()).await), (true, false, true));
        for (by, taken) in [(&one, true), (&other, false), (&plane(), true)] {
            let reason = deliver(db, by, ReplicaStamp::default(), record(db, people.member.hash)).await;
            assert_eq!(reason.is_empty(), taken, "{reason}");
            assert!(taken || reason.contains("never told"), "{reason}");
        }
        let reason = deliver(db, &one, ReplicaStamp::default(), record(db, people.owner.hash)).await;
        assert!(reason.contains("never told"), "{reason}");
    }

    async fn the_end_of_a_token_is_heard_by_whoever_was_told_of_it(db: TestDb) {
        let people = people(db).await;
        let [one, other] = [db.ambient().new_id(), db.ambient().new_id()];
        grant(db, &replica(one), &people.member).await;
        grant(db, &replica(other), &people.auditor).await;
        db.store().user_delete(&people.owner.caller, people.member.id).await.unwrap();
        assert_eq!(heard(db, 0).await, HashMap::from([(one, vec![people.member.hash])]));
        assert_eq!((missed(db, one).await, missed(db, other).await), (vec![people.member.hash], vec![]));
        db.store().user_delete(&people.owner.caller, people.auditor.id).await.unwrap();
        assert_eq!(heard(db, 1).await, HashMap::from([(other, vec![people.auditor.hash])]));
        assert_eq!(missed(db, other).await, [people.auditor.hash]);
    }

    /// Its records of the old key are still in the spool when it takes another.
    async fn what_was_told_to_a_process_by_its_earlier_key_counts_for_its_next(db: TestDb) {
        let people = people(db).await;
        let [old, new] = [new_key(db, &people, "old").await, new_key(db, &people, "new").await];
        let here = attachment(db, db.ambient().new_id(), old);
        attach(db, &here).await;
        grant(db, &replica(old), &people.member).await;
        db.store().ai_gateway_key_delete(&people.owner.caller, old).await.unwrap();
        let stamp = ReplicaStamp { replica_id: Some(here.replica_id), process: here.process };
        // Whoever has the same key but not the process secret was told nothing.
        for other in [ReplicaStamp { process: None, ..stamp }, ReplicaStamp { process: Some(SecretHash::from_bytes([1; 32])), ..stamp }, ReplicaStamp::default()] {
            let reason = deliver(db, &replica(new), other, record(db, people.member.hash)).await;
            assert!(reason.contains("never told"), "{reason}");
        }
        let reason = deliver(db, &replica(new), stamp, record(db, people.member.hash)).await;
        assert_eq!(reason, "", "even before it has attached with the new key");
        attach(db, &attachment(db, here.replica_id, new)).await;
        // A call by the old key that is answered only now.
        let late = db.store().token_authenticate(&plane(), &people.auditor.hash).await.unwrap().unwrap();
        db.store().token_grant(&replica(old), late.token_id, here.process).await.unwrap();
        db.store().user_delete(&people.owner.caller, people.member.id).await.unwrap();
        db.store().user_delete(&people.owner.caller, people.auditor.id).await.unwrap();
        assert_eq!(missed(db, new).await, [people.member.hash, people.auditor.hash]);
        db.store().housekeep(&plane()).await.unwrap().unwrap();
        // The next process has its spool, and the new key only.
        for hash in [people.member.hash, people.auditor.hash] {
            assert_eq!(deliver(db, &replica(new), ReplicaStamp::default(), record(db, hash)).await, "");
        }
    }

    async fn what_the_earlier_key_of_a_process_served_counts_for_its_next(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let mut keys = Vec::new();
        for name in ["claude", "openai", "vertex"] {
            let served = db.store().provider_insert(owner, provider(db, name, vec![])).await.unwrap().id;
            let (mut key, _) = gateway_key(db, name);
            key.providers = Some(vec![served]);
            keys.push(db.store().ai_gateway_key_insert(owner, key, None).await.unwrap().id);
        }
        let id = db.ambient().new_id();
        attach(db, &attachment(db, id, keys[0])).await;
        grant(db, &replica(keys[0]), &people.member).await;
        attach(db, &attachment(db, id, keys[1])).await;
        db.store().ai_gateway_key_delete(owner, keys[1]).await.unwrap();
        attach(db, &attachment(db, id, keys[2])).await;
        db.clock().advance(HOUR);
        for (name, ago, taken) in [("claude", HOUR, true), ("openai", HOUR, true), ("vertex", HOUR, true), ("claude", MINUTE, false), ("vertex", MINUTE, true)] {
            let reason = deliver_old(db, &people, keys[2], name, ago).await;
            assert_eq!(reason.is_empty(), taken, "{name} {ago:?}: {reason}");
        }
    }

    async fn records_of_a_token_that_ended_are_taken_if_they_began_before_or_while_a_replica_could_not_know(db: TestDb) {
        let people = people(db).await;
        let key = new_key(db, &people, "edge").await;
        grant(db, &replica(key), &people.member).await;
        db.store().user_delete(&people.owner.caller, people.member.id).await.unwrap();
        db.clock().advance(HOUR);
        for (ago, taken) in [(HOUR + MINUTE, true), (HOUR - TOKEN_LEASE, true), (MINUTE, false), (Duration::ZERO, false)] {
            let reason = deliver_old(db, &people, key, "claude", ago).await;
            assert_eq!(reason.is_empty(), taken, "{ago:?}: {reason}");
            assert!(taken || reason.contains("stopped working"), "{reason}");
        }
    }

    /// The token was used while another's clock was right.
    async fn a_control_plane_whose_clock_is_behind_does_not_end_a_token_in_the_past(db: TestDb) {
        const BEHIND: Duration = HOUR;
        let people = people(db).await;
        let key = new_key(db, &people, "edge").await;
        grant(db, &replica(key), &people.member).await;
        let token = db.store().token_authenticate(&plane(), &people.member.hash).await.unwrap().unwrap().token_id;
        let now = db.ambient().now().plus(BEHIND);
        db.store().token_touch(&plane(), token, now).await.unwrap();
        db.store().token_revoke(&people.owner.caller, token).await.unwrap();
        assert_eq!(db.store().token_get(&people.owner.caller, token).await.unwrap().revoked_at, Some(now));
        assert!(db.store().token_authenticate(&plane(), &people.member.hash).await.unwrap().unwrap().revoked_at.is_some());
        db.clock().advance(BEHIND + MINUTE);
        for ago in [MINUTE, Duration::ZERO] {
            assert_eq!(deliver_old(db, &people, key, "claude", ago).await, "", "{ago:?}");
        }
        db.clock().advance(HOUR);
        assert!(deliver_old(db, &people, key, "claude", MINUTE).await.contains("stopped working"));
    }

    async fn records_for_a_provider_are_taken_if_the_key_served_it_when_they_began(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let mut ids = Vec::new();
        for name in ["claude", "openai", "never"] {
            ids.push(db.store().provider_insert(owner, provider(db, name, vec![])).await.unwrap().id);
        }
        let (mut key, _) = gateway_key(db, "edge");
        key.providers = Some(ids[..2].to_vec());
        let key = db.store().ai_gateway_key_insert(owner, key, None).await.unwrap().id;
        grant(db, &replica(key), &people.member).await;
        let narrow = async |to: Option<Vec<_>>| {
            let patch = GatewayKeyPatch { providers: Some(to), ..GatewayKeyPatch::default() };
            db.store().ai_gateway_key_update(owner, key, patch).await.unwrap();
        };
        narrow(Some(vec![ids[0]])).await;
        db.clock().advance(HOUR);
        for (name, ago, taken) in [
            ("claude", Duration::ZERO, true),
            ("openai", HOUR + MINUTE, true),
            ("openai", HOUR - TOKEN_LEASE, true),
            ("openai", MINUTE, false),
            ("never", HOUR + MINUTE, false),
        ] {
            let reason = deliver_old(db, &people, key, name, ago).await;
            assert_eq!(reason.is_empty(), taken, "{name} {ago:?}: {reason}");
            assert!(taken || reason.contains("does not serve"), "{reason}");
        }
        narrow(None).await;
        assert_eq!(deliver_old(db, &people, key, "never", HOUR).await, "", "a key without a limit serves all");
        narrow(Some(vec![ids[0]])).await;
        db.clock().advance(HOUR);
        assert_eq!(deliver_old(db, &people, key, "never", HOUR + MINUTE).await, "");
    }

    async fn grants_go_with_the_tokens_and_keys_that_they_are_of(db: TestDb) {
        let people = people(db).await;
        let (kept, deleted) = (new_key(db, &people, "kept").await, new_key(db, &people, "deleted").await);
        for key in [kept, deleted] {
            grant(db, &replica(key), &people.member).await;
            grant(db, &replica(key), &people.auditor).await;
        }
        let pruned = async || db.store().housekeep(&plane()).await.unwrap().unwrap().token_grants;
        assert_eq!(pruned().await, 0);
        db.store().ai_gateway_key_delete(&people.owner.caller, deleted).await.unwrap();
        db.store().user_delete(&people.owner.caller, people.member.id).await.unwrap();
        db.clock().advance(31 * 24 * HOUR);
        assert_eq!(pruned().await, 0, "a record may still be on its way, and another key may replace the deleted one");
        db.clock().advance(HOUR);
        assert_eq!(pruned().await, 3, "no replica attached with the deleted key");
    }

    /// The replicas of the replaced key still run, are told of new tokens and serve new providers; what they then leave on a disk, those
    /// of the next key deliver.
    async fn what_a_replaced_key_is_told_and_serves_afterwards_counts_for_the_next(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let mut providers = Vec::new();
        for name in ["claude", "openai", "never"] {
            providers.push(db.store().provider_insert(owner, provider(db, name, vec![])).await.unwrap().id);
        }
        let serve = async |key, served: &[_]| {
            let patch = GatewayKeyPatch { providers: Some(Some(served.to_vec())), ..GatewayKeyPatch::default() };
            db.store().ai_gateway_key_update(owner, key, patch).await.unwrap();
        };
        let old = new_key(db, &people, "old").await;
        let next = key_that_replaces(db, &people, "next", Some(old)).await;
        let last = key_that_replaces(db, &people, "last", Some(next)).await;
        let other = new_key(db, &people, "other").await;
        for key in [old, next, last, other] {
            serve(key, &providers[..1]).await;
        }
        db.clock().advance(HOUR);
        grant(db, &replica(old), &people.member).await;
        serve(old, &providers[..2]).await;
        for (key, name, taken) in [(next, "openai", true), (last, "openai", true), (last, "never", false), (other, "claude", false)] {
            let reason = deliver_old(db, &people, key, name, Duration::ZERO).await;
            assert_eq!(reason.is_empty(), taken, "{name}: {reason}");
        }
        assert_eq!(missed(db, next).await, [], "it was told of no token itself");
        for (key, ownership) in [(last, Ownership::Unknown), (other, Ownership::Anothers)] {
            let found = db.store().stored_objects_get(&replica(key), &people.member.hash, &["resp_a".to_owned()]).await.unwrap().remove(0);
            assert_eq!(found, ownership.into());
        }
        db.store().ai_gateway_key_delete(owner, old).await.unwrap();
        db.clock().advance(HOUR);
        db.store().housekeep(&plane()).await.unwrap().unwrap();
        for (ago, taken) in [(HOUR + MINUTE, true), (MINUTE, false)] {
            let reason = deliver_old(db, &people, last, "openai", ago).await;
            assert_eq!(reason.is_empty(), taken, "{ago:?}: {reason}");
        }
    }

    /// What the replaced key served counts for what began while it worked.
    async fn a_limited_key_that_replaces_an_unlimited_one_is_limited_again_once_that_is_disabled(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let served = db.store().provider_insert(owner, provider(db, "claude", vec![])).await.unwrap().id;
        db.store().provider_insert(owner, provider(db, "openai", vec![])).await.unwrap();
        let old = new_key(db, &people, "old").await;
        grant(db, &replica(old), &people.member).await;
        let next = key_that_replaces(db, &people, "next", Some(old)).await;
        let patch = GatewayKeyPatch { providers: Some(Some(vec![served])), ..GatewayKeyPatch::default() };
        db.store().ai_gateway_key_update(owner, next, patch).await.unwrap();
        db.clock().advance(HOUR);
        let reason = deliver_old(db, &people, next, "openai", Duration::ZERO).await;
        assert_eq!(reason, "", "the replaced key works");
        let patch = GatewayKeyPatch { disabled: Some(true), ..GatewayKeyPatch::default() };
        db.store().ai_gateway_key_update(owner, old, patch).await.unwrap();
        db.clock().advance(HOUR);
        for (name, ago, taken) in [("openai", HOUR + MINUTE, true), ("openai", MINUTE, false), ("claude", MINUTE, true)] {
            let reason = deliver_old(db, &people, next, name, ago).await;
            assert_eq!(reason.is_empty(), taken, "{name} {ago:?}: {reason}");
        }
    }

    async fn a_key_that_replaces_one_deleted_a_month_ago_delivers_its_records(db: TestDb) {
        let people = people(db).await;
        let old = new_key(db, &people, "old").await;
        grant(db, &replica(old), &people.member).await;
        db.store().ai_gateway_key_delete(&people.owner.caller, old).await.unwrap();
        db.clock().advance(30 * 24 * HOUR);
        db.store().housekeep(&plane()).await.unwrap().unwrap();
        let next = key_that_replaces(db, &people, "next", Some(old)).await;
        assert_eq!(deliver_old(db, &people, next, "claude", 30 * 24 * HOUR).await, "");
        // Nothing of it is forgotten as long as there is a key that replaces it.
        db.clock().advance(30 * 24 * HOUR);
        db.store().housekeep(&plane()).await.unwrap().unwrap();
        assert_eq!(deliver_old(db, &people, next, "claude", 30 * 24 * HOUR).await, "");
    }

    /// Also what the earlier one replaces: it is in the spool with which the process goes on.
    async fn a_process_that_takes_another_key_takes_along_what_its_key_replaces(db: TestDb) {
        let people = people(db).await;
        let old = new_key(db, &people, "old").await;
        let next = key_that_replaces(db, &people, "next", Some(old)).await;
        let other = new_key(db, &people, "other").await;
        grant(db, &replica(old), &people.member).await;
        let here = attachment(db, db.ambient().new_id(), next);
        attach(db, &here).await;
        let stamp = ReplicaStamp { replica_id: Some(here.replica_id), process: here.process };
        assert_eq!(deliver(db, &replica(other), stamp, record(db, people.member.hash)).await, "", "before it has attached again");
        attach(db, &attachment(db, here.replica_id, other)).await;
        assert_eq!(deliver(db, &replica(other), stamp, record(db, people.member.hash)).await, "");
    }

    async fn grants_are_deleted_in_steps(db: TestDb) {
        let people = people(db).await;
        let key = new_key(db, &people, "edge").await;
        grant(db, &replica(key), &people.member).await;
        let (id, hash) = match db.engine() {
            TestEngine::Sqlite => ("randomblob(16)", "randomblob(32)"),
            TestEngine::Postgres => ("gen_random_uuid()", "uuid_send(gen_random_uuid())"),
        };
        // Those of keys that are not there.
        db.execute(&format!(
            "INSERT INTO tokens (id, created_at, user_id, name, secret_prefix, token_hash, scopes) \
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500) \
             SELECT {id}, t.created_at, t.user_id, t.name, t.secret_prefix, {hash}, t.scopes \
             FROM n CROSS JOIN (SELECT * FROM tokens ORDER BY created_at LIMIT 1) t; \
             INSERT INTO token_grants (token_id, gateway_key_id) SELECT t.id, t.id FROM tokens t"
        ))
        .await;
        let done = db.store().housekeep(&plane()).await.unwrap().unwrap();
        assert!(done.token_grants > 2500, "{done:?}");
        assert_eq!(db.store().housekeep(&plane()).await.unwrap().unwrap().token_grants, 0);
        assert_eq!(deliver(db, &replica(key), ReplicaStamp::default(), record(db, people.member.hash)).await, "", "the other stays");
    }
}
