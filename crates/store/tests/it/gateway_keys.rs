//! Gateway keys: what each method answers.

use crate::people::{gateway_key, people, plane};
use lychgate_store::{KeyFilter, KeyState, Page, RuleBroken, StoreError, UserRef};
use lychgate_testkit::both_engines;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Timestamp};
use std::time::Duration;

both_engines! {
    async fn insert_answers_every_field(db: TestDb) {
        let owner = people(db).await.owner;
        let (mut new, _) = gateway_key(db, "Edge-1");
        new.created_at = Timestamp::from_micros(1_700_000_000_123_456);
        new.description = Some("in the cellar\0".into());
        new.expires_at = Some(new.created_at.plus(Duration::from_micros(1)));
        let made = db.store().ai_gateway_key_insert(&owner.caller, new.clone(), None).await.unwrap();
        assert_eq!(made.id, new.id);
        assert_eq!(made.name, "edge-1", "stored in lower case");
        assert_eq!(made.secret_prefix, new.secret_prefix);
        assert_eq!(made.created_at, new.created_at, "to the microsecond, as the caller gave it");
        assert_eq!(made.last_used_at, None);
        assert_eq!(made.description.as_deref(), Some("in the cellar\u{fffd}"));
        assert_eq!(made.expires_at, new.expires_at);
        assert_eq!(made.created_by, Some(UserRef { id: owner.id, username: "root".into(), deleted: false }));
        assert_eq!(db.store().ai_gateway_key_find(&owner.caller, "EDGE-1").await.unwrap(), made);
        assert_eq!(db.store().ai_gateway_key_find(&owner.caller, &*new.id.to_string()).await.unwrap(), made);
    }

    async fn list_is_oldest_first_then_by_id_and_answers_every_field(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let mut made = Vec::new();
        for (name, second) in [("c", 1), ("b", 0), ("a", 1), ("d", 2)] {
            let (mut new, _) = gateway_key(db, name);
            new.created_at = Timestamp::from_micros(second * 1_000_000 + 1);
            made.push(db.store().ai_gateway_key_insert(&owner, new, None).await.unwrap());
        }
        db.store().ai_gateway_key_touch(&plane(), made[0].id, Timestamp::from_micros(77)).await.unwrap();
        made[0].last_used_at = Some(Timestamp::from_micros(77));
        made.sort_by_key(|key| (key.created_at, key.id));
        let list = |page| db.store().ai_gateway_key_list(&owner, const { &KeyFilter { q: None } }, page);
        let whole = list(Page::first(200)).await.unwrap();
        assert_eq!((&whole.items, whole.next), (&made, None));
        let (mut walked, mut page) = (Vec::new(), Page::first(1));
        loop {
            let part = list(page).await.unwrap();
            assert_eq!(part.items.len(), 1);
            walked.extend(part.items);
            match part.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(walked, made, "the same by pages of one");
    }

    async fn list_finds_part_of_a_name_and_takes_wildcards_literally(db: TestDb) {
        let owner = people(db).await.owner.caller;
        for name in ["edge-eu-1", "edge-us-1", "cellar"] {
            db.store().ai_gateway_key_insert(&owner, gateway_key(db, name).0, None).await.unwrap();
        }
        for (q, count) in [("EDGE", 2), ("eu", 1), ("%", 0), ("e_g", 0), ("\\", 0), ("\0", 0), ("", 3)] {
            let filter = KeyFilter { q: Some(q.into()) };
            let found = db.store().ai_gateway_key_list(&owner, &filter, Page::first(10)).await.unwrap();
            assert_eq!(found.items.len(), count, "{q:?}");
        }
    }

    async fn a_deleted_key_is_gone(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (new, secret) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        assert_eq!(db.store().ai_gateway_key_delete(&owner, "EDGE").await.unwrap(), new.id);
        for missing in [new.id, db.ambient().new_id::<GatewayKeyId>()] {
            assert!(matches!(db.store().ai_gateway_key_delete(&owner, missing).await, Err(StoreError::NotFound)));
        }
        assert!(matches!(db.store().ai_gateway_key_delete(&owner, "edge").await, Err(StoreError::NotFound)));
        assert!(db.store().ai_gateway_key_authenticate(&plane(), &secret.hash()).await.unwrap().is_none());
        assert!(matches!(db.store().ai_gateway_key_find(&owner, "edge").await, Err(StoreError::NotFound)));
    }

    async fn authentication_takes_the_hash_and_answers_id_name_and_state(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (mut new, secret) = gateway_key(db, "edge");
        new.expires_at = Some(db.ambient().now().plus(Duration::from_secs(60)));
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        let look_up = async |hash| db.store().ai_gateway_key_authenticate(&plane(), &hash).await.unwrap();
        let found = look_up(secret.hash()).await.unwrap();
        assert_eq!((found.id, &*found.name, &found.secret_prefix), (new.id, "edge", &new.secret_prefix));
        assert_eq!(found.state, KeyState::Active);
        db.clock().advance(Duration::from_secs(60));
        assert_eq!(look_up(secret.hash()).await.unwrap().state, KeyState::Expired, "at that very moment");
        assert!(look_up(SecretHash::from_bytes([1; 32])).await.is_none());
    }

    async fn last_used_at_only_moves_forward(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (new, _) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        for (micros, shown) in [(10, 10), (30, 30), (20, 30)] {
            db.store().ai_gateway_key_touch(&plane(), new.id, Timestamp::from_micros(micros)).await.unwrap();
            let key = db.store().ai_gateway_key_find(&owner, "edge").await.unwrap();
            assert_eq!(key.last_used_at, Some(Timestamp::from_micros(shown)));
        }
    }

    async fn a_key_replaces_what_its_replaced_key_replaced(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let mut ids: Vec<GatewayKeyId> = Vec::new();
        for number in 0..3 {
            let (mut new, _) = gateway_key(db, &format!("edge-{number}"));
            new.replaces = ids.last().map(|last| (*last).into());
            db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
            let replaced = db.store().ai_gateway_key_replaced(&plane(), new.id).await.unwrap();
            assert!(replaced.iter().eq(ids.iter().rev()), "the nearest first");
            ids.push(new.id);
        }
        let (mut new, _) = gateway_key(db, "other");
        new.replaces = Some("none".into());
        let refused = db.store().ai_gateway_key_insert(&owner, new, None).await;
        assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::NoSuchGatewayKey))), "{refused:?}");
    }
}
