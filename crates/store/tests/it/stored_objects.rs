//! Whose the objects are that providers store.

use crate::people::{People, gateway_key, grant, people_and_provider, plane, provider, record, replica, share_objects};
use lychgate_authz::Caller;
use lychgate_store::{IngestReport, ReplicaStamp};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Ownership, ProviderId, StoredObject};
use std::sync::Arc;
use std::time::Duration;

async fn report(db: &TestDb, caller: &Caller, records: &[InterceptionRecord]) -> IngestReport {
    let records: Vec<_> = records.iter().cloned().map(Arc::new).collect();
    let ingested = db
        .store()
        .interception_ingest(caller, ReplicaStamp::default(), &records)
        .await;
    ingested.unwrap()
}

async fn ingest(db: &TestDb, records: &[InterceptionRecord]) {
    let report = report(db, &plane(), records).await;
    assert!(report.rejected.is_empty(), "{report:?}");
}

async fn known(db: &TestDb, caller: &Caller, token: &SecretHash, object: &str) -> StoredObject {
    let found = db.store().stored_objects_get(caller, token, &[object.to_owned()]).await;
    found.unwrap().remove(0)
}

async fn ownership(db: &TestDb, token: &SecretHash, object: &str) -> Ownership {
    known(db, &plane(), token, object).await.ownership
}

fn made(db: &TestDb, hash: SecretHash, object: &str) -> InterceptionRecord {
    InterceptionRecord {
        stored_object: Some(object.to_owned()),
        ..record(db, hash)
    }
}

/// One that goes on in the background.
fn begun(db: &TestDb, hash: SecretHash, object: &str) -> InterceptionRecord {
    InterceptionRecord {
        outcome: Outcome::Unfinished,
        ..made(db, hash, object)
    }
}

/// Replicas of a gateway key that serves these providers, or all.
async fn replica_of(db: &TestDb, people: &People, name: &str, providers: Option<Vec<ProviderId>>) -> Caller {
    let (mut key, _) = gateway_key(db, name);
    key.providers = providers;
    let id = key.id;
    db.store()
        .ai_gateway_key_insert(&people.owner.caller, key, None)
        .await
        .unwrap();
    replica(id)
}

both_engines! {
    async fn an_object_is_the_users_of_the_token_that_made_it_first(db: TestDb) {
        let people = people_and_provider(db).await;
        let (alice, bob) = (people.member.hash, people.owner.hash);
        let none = record(db, bob);
        // Twice in one batch, as by a request that changes it; an empty id is none; and nobody takes another's, in one batch or later.
        let records = [made(db, alice, "resp_a"), made(db, alice, "resp_a"), made(db, bob, "resp_1"), made(db, alice, "resp_1"), made(db, bob, ""), none];
        ingest(db, &records).await;
        ingest(db, &records).await;
        ingest(db, &[made(db, bob, "resp_a")]).await;
        // Nor by a record that is said to be older.
        let mut older = made(db, bob, "resp_a");
        older.started_at = records[0].started_at.minus(Duration::from_secs(60));
        ingest(db, &[older]).await;
        for (token, object, expected) in [
            (alice, "resp_a", Ownership::Own),
            (bob, "resp_a", Ownership::Anothers),
            (alice, "resp_1", Ownership::Anothers),
            (bob, "resp_1", Ownership::Own),
            (bob, "", Ownership::Unknown),
            (alice, "resp_b", Ownership::Unknown),
            (SecretHash::from_bytes([9; 32]), "resp_a", Ownership::Anothers),
        ] {
            assert_eq!(ownership(db, &token, object).await, expected, "{object}");
        }
    }

    async fn many_are_asked_about_at_once_and_told_of_in_their_order(db: TestDb) {
        let people = people_and_provider(db).await;
        let (alice, bob) = (people.member.hash, people.owner.hash);
        let begun = begun(db, alice, "resp_b");
        ingest(db, &[made(db, alice, "resp_a"), begun.clone(), made(db, bob, "resp_c")]).await;
        let mut asked: Vec<_> = ["resp_c", "resp_x", "resp_b", "resp_a", "resp_b", ""].map(str::to_owned).into();
        asked.extend((0..65).map(|n| format!("resp_{n}")));
        let found = db.store().stored_objects_get(&plane(), &alice, &asked).await.unwrap();
        assert_eq!(found.len(), asked.len());
        let told: Vec<_> = found.iter().map(|object| (object.ownership, object.unfinished.as_ref().map(|of| of.id))).collect();
        let (own, end) = ((Ownership::Own, None), (Ownership::Own, Some(begun.id)));
        assert_eq!(told[..5], [(Ownership::Anothers, None), (Ownership::Unknown, None), end, own, end]);
        assert!(told[5..].iter().all(|told| *told == (Ownership::Unknown, None)));
        assert_eq!(db.store().stored_objects_get(&plane(), &alice, &[]).await.unwrap(), Vec::new());
    }

    async fn it_is_made_at_a_provider_that_there_is_and_that_the_key_serves(db: TestDb) {
        let people = people_and_provider(db).await;
        let bob = &people.owner;
        let other = provider(db, "other", Vec::new());
        let served = other.id;
        db.store().provider_insert(&bob.caller, other).await.unwrap();
        let hostile = replica_of(db, &people, "hostile", Some(vec![served])).await;
        grant(db, &hostile, bob).await;
        for (object, provider, is_taken, ownership_after) in [
            ("resp_x", "invented", true, Ownership::Unknown),
            ("resp_y", "anthropic", false, Ownership::Unknown),
            ("resp_z", "other", true, Ownership::Own),
        ] {
            let claim = InterceptionRecord { provider: provider.to_owned(), ..made(db, bob.hash, object) };
            let report = report(db, &hostile, &[claim]).await;
            assert_eq!(report.rejected.is_empty(), is_taken, "{provider}: {report:?}");
            assert_eq!(ownership(db, &bob.hash, object).await, ownership_after, "{provider}");
        }
    }

    async fn the_maker_of_what_is_unfinished_is_not_displaced_and_no_newer_one_by_an_older(db: TestDb) {
        let people = people_and_provider(db).await;
        let alice = people.member.hash;
        let unfinished = async || known(db, &plane(), &alice, "resp_a").await.unfinished.map(|of| of.id);
        let (finished, first, second) = (made(db, alice, "resp_a"), begun(db, alice, "resp_a"), begun(db, alice, "resp_a"));
        ingest(db, std::slice::from_ref(&first)).await;
        assert_eq!(unfinished().await, Some(first.id));
        // A server that gives the same ids again and again; what was delivered late; and both in one batch.
        for later in [&second, &finished] {
            ingest(db, std::slice::from_ref(later)).await;
            assert_eq!(unfinished().await, Some(first.id));
        }
        let end = InterceptionRecord { id: first.id, completes: true, ..made(db, alice, "resp_a") };
        ingest(db, &[end]).await;
        assert_eq!(unfinished().await, None);
        let third = begun(db, alice, "resp_a");
        ingest(db, &[third.clone(), begun(db, alice, "resp_a")]).await;
        assert_eq!(unfinished().await, Some(third.id));
    }

    async fn a_key_is_told_of_its_own_tokens_and_of_what_it_serves(db: TestDb) {
        let people = people_and_provider(db).await;
        let (alice, bob) = (&people.member, &people.owner);
        let begun = begun(db, alice.hash, "resp_a");
        ingest(db, &[begun.clone(), made(db, alice.hash, "resp_b")]).await;
        let nothing = StoredObject::from(Ownership::Anothers);
        let all = replica_of(db, &people, "all", None).await;
        for object in ["resp_a", "resp_b", "resp_x"] {
            assert_eq!(known(db, &all, &alice.hash, object).await, nothing, "not granted");
        }
        for person in [alice, bob] {
            grant(db, &all, person).await;
        }
        let told = known(db, &all, &alice.hash, "resp_a").await;
        assert_eq!((told.ownership, told.unfinished.map(|of| of.id)), (Ownership::Own, Some(begun.id)));
        assert_eq!(known(db, &all, &bob.hash, "resp_a").await, nothing, "another's");
        assert_eq!(known(db, &all, &bob.hash, "resp_x").await, Ownership::Unknown.into());
        let narrow = replica_of(db, &people, "narrow", Some(Vec::new())).await;
        grant(db, &narrow, alice).await;
        assert_eq!(known(db, &narrow, &alice.hash, "resp_a").await, Ownership::Own.into(), "its provider is not served");
        // Where users share what the provider stores, they share its end.
        share_objects(db, &bob.caller).await;
        let told = known(db, &all, &bob.hash, "resp_a").await;
        assert_eq!((told.ownership, told.unfinished.map(|of| of.id)), (Ownership::Anothers, Some(begun.id)));
    }

    async fn it_is_forgotten_when_its_time_is_over(db: TestDb) {
        let people = people_and_provider(db).await;
        let object = InterceptionRecord { stored_object: Some("resp_a".to_owned()), ..record(db, people.member.hash) };
        ingest(db, &[object]).await;
        let housekeep = async || db.store().housekeep(&plane()).await.unwrap().unwrap().stored_objects;
        assert_eq!(housekeep().await, 0);
        db.clock().advance(Duration::from_secs(401 * 24 * 3600));
        assert_eq!((housekeep().await, ownership(db, &people.member.hash, "resp_a").await), (1, Ownership::Unknown));
    }

    /// A process that ended between a record and the removal of its note leaves both.
    async fn a_record_that_is_there_is_not_interrupted(db: TestDb) {
        let people = people_and_provider(db).await;
        let completed = record(db, people.member.hash);
        let interrupted = InterceptionRecord { outcome: Outcome::Interrupted, ended_at: completed.started_at, ..completed.clone() };
        ingest(db, &[completed.clone(), interrupted.clone()]).await;
        ingest(db, &[interrupted]).await;
        let found = db.store().interception_get(&people.owner.caller, completed.id).await.unwrap();
        assert_eq!(found.summary.outcome, completed.outcome);
    }
}
