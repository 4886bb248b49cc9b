//! Each named constraint of `ai_gateway_keys`, broken once and alone.

use crate::people::{gateway_key, people, set_bytes};
use lychgate_store::{AiGatewayKeyInsert, StoreError};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::secret::SecretHash;

/// Inserts each key in turn; all but the last must go well. Gives the name of the constraint that refused the last.
async fn refusal(db: &TestDb, keys: Vec<AiGatewayKeyInsert>) -> String {
    let owner = people(db).await.owner.caller;
    let (last, before) = keys.split_last().unwrap();
    for key in before {
        db.store()
            .ai_gateway_key_insert(&owner, key.clone(), None)
            .await
            .unwrap();
    }
    match db.store().ai_gateway_key_insert(&owner, last.clone(), None).await {
        Err(StoreError::Conflict(constraint)) => constraint.name,
        other => panic!("not refused by a constraint: {other:?}"),
    }
}

/// A key whose secret differs from all others', with one thing changed.
fn key(db: &TestDb, name: &str, change: impl FnOnce(&mut AiGatewayKeyInsert)) -> AiGatewayKeyInsert {
    let (mut key, _) = gateway_key(db, name);
    change(&mut key);
    key
}

macro_rules! name_check {
    ($($test:ident: $name:expr;)*) => { both_engines! { $(
        async fn $test(db: TestDb) {
            assert_eq!(refusal(db, vec![key(db, $name, |_| ())]).await, "ai_gateway_keys_name_check");
        }
    )* } };
}

name_check! {
    empty_name_breaks_ai_gateway_keys_name_check: "";
    leading_dash_breaks_ai_gateway_keys_name_check: "-edge";
    trailing_dash_breaks_ai_gateway_keys_name_check: "edge-";
    two_dashes_break_ai_gateway_keys_name_check: "edge--1";
    underscore_breaks_ai_gateway_keys_name_check: "edge_1";
    space_breaks_ai_gateway_keys_name_check: "edge 1";
    dot_breaks_ai_gateway_keys_name_check: "edge.1";
    non_ascii_breaks_ai_gateway_keys_name_check: "édge";
    nul_breaks_ai_gateway_keys_name_check: "edge\0";
    newline_breaks_ai_gateway_keys_name_check: "edge\n";
    sixty_five_characters_break_ai_gateway_keys_name_check: &"a".repeat(65);
}

both_engines! {
    async fn names_at_the_edge_of_the_rule_are_taken(db: TestDb) {
        let owner = people(db).await.owner.caller;
        for name in ["a", "0", "a-b", "edge-1-eu", &"a".repeat(64)] {
            let made = db.store().ai_gateway_key_insert(&owner, key(db, name, |_| ()), None).await.unwrap();
            assert_eq!(made.name, name);
        }
    }

    async fn duplicate_name_breaks_ai_gateway_keys_name_idx(db: TestDb) {
        let keys = vec![key(db, "test-key", |_| ()), key(db, "test-key", |_| ())];
        assert_eq!(refusal(db, keys).await, "ai_gateway_keys_name_idx");
    }

    async fn duplicate_name_case_insensitive_breaks_ai_gateway_keys_name_idx(db: TestDb) {
        let keys = vec![key(db, "test-key", |_| ()), key(db, "TEST-KEY", |_| ())];
        assert_eq!(refusal(db, keys).await, "ai_gateway_keys_name_idx");
    }

    async fn duplicate_secret_prefix_breaks_ai_gateway_keys_secret_prefix_idx(db: TestDb) {
        let same = |key: &mut AiGatewayKeyInsert| key.secret_prefix = "lgw_0000000".into();
        assert_eq!(refusal(db, vec![key(db, "one", same), key(db, "two", same)]).await, "ai_gateway_keys_secret_prefix_idx");
    }

    async fn duplicate_hashed_secret_breaks_ai_gateway_keys_hashed_secret_idx(db: TestDb) {
        let same = |key: &mut AiGatewayKeyInsert| key.secret_hash = SecretHash::from_bytes([7; 32]);
        assert_eq!(refusal(db, vec![key(db, "one", same), key(db, "two", same)]).await, "ai_gateway_keys_hashed_secret_idx");
    }

    async fn ten_character_prefix_breaks_ai_gateway_keys_secret_prefix_check(db: TestDb) {
        let short = key(db, "one", |key| key.secret_prefix = "lgw_000000".into());
        assert_eq!(refusal(db, vec![short]).await, "ai_gateway_keys_secret_prefix_check");
    }

    async fn twelve_character_prefix_breaks_ai_gateway_keys_secret_prefix_check(db: TestDb) {
        let long = key(db, "one", |key| key.secret_prefix = "lgw_00000000".into());
        assert_eq!(refusal(db, vec![long]).await, "ai_gateway_keys_secret_prefix_check");
    }

    async fn empty_hash_breaks_ai_gateway_keys_hashed_secret_check(db: TestDb) {
        let owner = people(db).await.owner.caller;
        db.store().ai_gateway_key_insert(&owner, key(db, "one", |_| ()), None).await.unwrap();
        let refused = set_bytes(db, "UPDATE ai_gateway_keys SET hashed_secret = $1", &[]).await;
        assert!(refused.contains("ai_gateway_keys_hashed_secret_check"), "{refused}");
    }

    async fn duplicate_id_breaks_ai_gateway_keys_pkey(db: TestDb) {
        let first = key(db, "one", |_| ());
        let second = key(db, "two", |key| key.id = first.id);
        assert_eq!(refusal(db, vec![first, second]).await, "ai_gateway_keys_pkey");
    }

    async fn long_description_breaks_ai_gateway_keys_description_check(db: TestDb) {
        let fits = key(db, "one", |key| key.description = Some("é".repeat(500)));
        let long = key(db, "two", |key| key.description = Some("é".repeat(501)));
        assert_eq!(refusal(db, vec![fits, long]).await, "ai_gateway_keys_description_check");
    }
}
