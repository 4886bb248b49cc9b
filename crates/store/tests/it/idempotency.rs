//! Remembered answers.

use crate::people::{gateway_key, people, person};
use lychgate_authz::Role;
use lychgate_store::{Constraint, GatewayKey, Idempotency, Operation, StoreError};
use lychgate_testkit::both_engines;
use std::time::Duration;

fn answer(key: &str) -> Idempotency<'static, GatewayKey> {
    Idempotency {
        key: key.into(),
        request_fingerprint: [9; 32],
        answer: Box::new(|key| Ok(format!("sealed {}", key.name).into_bytes())),
    }
}

both_engines! {
    async fn an_answer_is_remembered_for_its_user_and_an_hour(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let other = person(db, &owner, "otto", Role::Owner).await.caller;
        db.store().ai_gateway_key_insert(&owner, gateway_key(db, "one").0, Some(answer("k"))).await.unwrap();
        let find = async |caller, key| db.store().idempotency_find(caller, Operation::AiGatewayKeyInsert, key).await.unwrap();
        let found = find(&owner, "k").await.unwrap();
        assert_eq!((found.request_fingerprint, &*found.sealed_answer), ([9; 32], b"sealed one".as_slice()));
        assert!(find(&owner, "K").await.is_none());
        assert!(find(&other, "k").await.is_none());
        db.store().ai_gateway_key_insert(&other, gateway_key(db, "two").0, Some(answer("k"))).await.unwrap();
        db.clock().advance(Duration::from_secs(3600));
        assert!(find(&owner, "k").await.is_none());
        db.store().ai_gateway_key_insert(&owner, gateway_key(db, "three").0, Some(answer("k"))).await.unwrap();
        assert!(find(&owner, "k").await.is_some(), "the key is free again");
    }

    async fn a_second_insert_under_the_key_makes_nothing(db: TestDb) {
        let owner = people(db).await.owner.caller;
        db.store().ai_gateway_key_insert(&owner, gateway_key(db, "one").0, Some(answer("k"))).await.unwrap();
        let again = db.store().ai_gateway_key_insert(&owner, gateway_key(db, "two").0, Some(answer("k"))).await;
        let Err(StoreError::Conflict(Constraint { name })) = again else { panic!("{again:?}") };
        assert_eq!(name, "idempotency_keys_user_operation_key_idx");
        assert!(matches!(db.store().ai_gateway_key_find(&owner, "two").await, Err(StoreError::NotFound)));
    }

    async fn an_insert_that_fails_remembers_nothing(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let bad = db.store().ai_gateway_key_insert(&owner, gateway_key(db, "no good").0, Some(answer("k"))).await;
        assert!(matches!(bad, Err(StoreError::Conflict(_))));
        let found = db.store().idempotency_find(&owner, Operation::AiGatewayKeyInsert, "k").await.unwrap();
        assert!(found.is_none());
    }
}
