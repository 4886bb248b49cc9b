//! Whose the objects are that providers store.

use crate::people::{people, plane, record};
use lychgate_store::ReplicaStamp;
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::Ownership;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_types::secret::SecretHash;
use std::sync::Arc;
use std::time::Duration;

async fn ingest(db: &TestDb, records: &[InterceptionRecord]) {
    let records: Vec<_> = records.iter().cloned().map(Arc::new).collect();
    let report = db
        .store()
        .interception_ingest(&plane(), ReplicaStamp::default(), &records)
        .await
        .unwrap();
    assert!(report.rejected.is_empty(), "{report:?}");
}

async fn ownership(db: &TestDb, token: &SecretHash, object: &str) -> Ownership {
    db.store()
        .stored_object_get(&plane(), token, object)
        .await
        .unwrap()
        .ownership
}

both_engines! {
    async fn an_object_is_the_users_of_the_token_that_made_it(db: TestDb) {
        let people = people(db).await;
        let (alice, bob) = (people.member.hash, people.owner.hash);
        let made = |hash, object: Option<&str>| InterceptionRecord { stored_object: object.map(str::to_owned), ..record(db, hash) };
        // Twice in one batch, as by a request that changes it; an empty id is none; and ids that collide are both users'.
        let records = [made(alice, Some("resp_a")), made(alice, Some("resp_a")), made(bob, Some("resp_1")), made(alice, Some("resp_1")), made(bob, Some("")), made(bob, None)];
        ingest(db, &records).await;
        ingest(db, &records).await;
        for (token, object, expected) in [
            (alice, "resp_a", Ownership::Own),
            (bob, "resp_a", Ownership::Anothers),
            (alice, "resp_1", Ownership::Own),
            (bob, "resp_1", Ownership::Own),
            (bob, "", Ownership::Unknown),
            (alice, "resp_b", Ownership::Unknown),
            (SecretHash::from_bytes([9; 32]), "resp_a", Ownership::Anothers),
        ] {
            assert_eq!(ownership(db, &token, object).await, expected, "{object}");
        }
    }

    async fn it_is_forgotten_when_its_time_is_over(db: TestDb) {
        let people = people(db).await;
        let object = InterceptionRecord { stored_object: Some("resp_a".to_owned()), ..record(db, people.member.hash) };
        ingest(db, &[object]).await;
        let housekeep = async || db.store().housekeep(&plane()).await.unwrap().unwrap().stored_objects;
        assert_eq!(housekeep().await, 0);
        db.clock().advance(Duration::from_secs(401 * 24 * 3600));
        assert_eq!((housekeep().await, ownership(db, &people.member.hash, "resp_a").await), (1, Ownership::Unknown));
    }

    /// A process that ended between a record and the removal of its note leaves both.
    async fn a_record_that_is_there_is_not_interrupted(db: TestDb) {
        let people = people(db).await;
        let completed = record(db, people.member.hash);
        let interrupted = InterceptionRecord { outcome: Outcome::Interrupted, ended_at: completed.started_at, ..completed.clone() };
        ingest(db, &[completed.clone(), interrupted.clone()]).await;
        ingest(db, &[interrupted]).await;
        let found = db.store().interception_get(&people.owner.caller, completed.id).await.unwrap();
        assert_eq!(found.summary.outcome, completed.outcome);
    }
}
