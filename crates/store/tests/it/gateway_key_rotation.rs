//! Rotation of gateway keys: which secrets work, when, and what is remembered of the others.

use crate::people::{gateway_key, people, plane, rotation};
use lychgate_authz::Caller;
use lychgate_store::{GatewayKeyPatch, GatewayKeyRotation, RuleBroken, SecretState, StoreError};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::GatewayKeyId;
use lychgate_types::secret::GatewayKeySecret;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Makes a key and gives it a second secret; the id and both secrets.
async fn rotated(db: &TestDb, owner: &Caller) -> (GatewayKeyId, [GatewayKeySecret; 2]) {
    let (new, first) = gateway_key(db, "edge");
    db.store()
        .ai_gateway_key_insert(owner, new.clone(), None)
        .await
        .unwrap();
    db.clock().advance(Duration::from_secs(1));
    let (rotation, second) = rotation(db);
    db.store()
        .ai_gateway_key_rotate(owner, new.id, rotation, None)
        .await
        .unwrap();
    (new.id, [first, second])
}

/// `None`: nobody knows the secret.
async fn standing(db: &TestDb, secret: &GatewayKeySecret) -> Option<SecretState> {
    let found = db
        .store()
        .ai_gateway_key_authenticate(&plane(), &secret.hash())
        .await
        .unwrap();
    found.map(|found| {
        assert_eq!((&*found.name, &*found.secret_prefix), ("edge", secret.prefix()));
        found.secret
    })
}

both_engines! {
    async fn the_secret_before_works_until_its_grace_ends_and_is_then_known_as_rotated(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (id, [first, second]) = rotated(db, &owner).await;
        let now = db.ambient().now();
        let until = now.plus(HOUR);
        let shown = db.store().ai_gateway_key_find(&owner, "edge").await.unwrap();
        assert_eq!((shown.id, &*shown.secret_prefix), (id, second.prefix()));
        assert_eq!((shown.rotated_at, shown.previous_valid_until), (Some(now), Some(until)));
        assert_eq!(standing(db, &first).await, Some(SecretState::InGrace { until }));
        assert_eq!(standing(db, &second).await, Some(SecretState::Present));
        let marks = db.store().ai_gateway_key_marks(&plane()).await.unwrap();
        assert_eq!(marks, [&second, &first].map(|secret| secret.hash().mark()), "of both secrets");

        db.clock().advance(HOUR);
        assert_eq!(standing(db, &first).await, Some(SecretState::Rotated), "at that very moment");
        assert_eq!(standing(db, &second).await, Some(SecretState::Present));
        let shown = db.store().ai_gateway_key_find(&owner, "edge").await.unwrap();
        assert_eq!((shown.rotated_at, shown.previous_valid_until), (Some(now), None));
        let listed = db.store().ai_gateway_key_list(&owner, &lychgate_store::KeyFilter::default(), lychgate_store::Page::first(9)).await.unwrap();
        assert_eq!(listed.items, [shown]);
    }

    async fn no_grace_ends_the_secret_before_at_once(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (new, first) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        let (now, second) = rotation(db);
        let now = GatewayKeyRotation { grace: Duration::ZERO, ..now };
        let shown = db.store().ai_gateway_key_rotate(&owner, new.id, now, None).await.unwrap();
        assert_eq!(shown.previous_valid_until, None);
        assert_eq!(standing(db, &first).await, Some(SecretState::Rotated));
        assert_eq!(standing(db, &second).await, Some(SecretState::Present));
        // Nothing works but the present secret, so nothing keeps the next rotation from coming.
        db.store().ai_gateway_key_rotate(&owner, new.id, rotation(db).0, None).await.unwrap();
    }

    async fn while_a_grace_runs_only_force_rotates_and_ends_it(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (id, [first, second]) = rotated(db, &owner).await;
        let until = db.ambient().now().plus(HOUR);
        let (again, third) = rotation(db);
        let refused = db.store().ai_gateway_key_rotate(&owner, id, again.clone(), None).await;
        assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::RotationInGrace { until: u })) if u == until), "{refused:?}");
        assert_eq!(standing(db, &first).await, Some(SecretState::InGrace { until }), "a refused rotation changes nothing");
        assert_eq!(standing(db, &second).await, Some(SecretState::Present));
        assert_eq!(standing(db, &third).await, None);

        db.clock().advance(Duration::from_secs(1));
        db.store().ai_gateway_key_rotate(&owner, id, GatewayKeyRotation { force: true, ..again }, None).await.unwrap();
        assert_eq!(standing(db, &first).await, Some(SecretState::Rotated), "at most two secrets work");
        assert!(matches!(standing(db, &second).await, Some(SecretState::InGrace { .. })));
        assert_eq!(standing(db, &third).await, Some(SecretState::Present));
    }

    async fn of_rotations_at_the_same_moment_one_wins(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (new, first) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        let (one, two, three) = (rotation(db), rotation(db), rotation(db));
        let rotate = |rotation: GatewayKeyRotation| db.store().ai_gateway_key_rotate(&owner, new.id, rotation, None);
        let done = tokio::join!(rotate(one.0), rotate(two.0), rotate(three.0));
        let won = [done.0.is_ok(), done.1.is_ok(), done.2.is_ok()];
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
        assert!(matches!(standing(db, &first).await, Some(SecretState::InGrace { .. })));
        for (won, secret) in won.into_iter().zip([one.1, two.1, three.1]) {
            assert_eq!(standing(db, &secret).await.is_some(), won);
        }
    }

    async fn rotated_secrets_are_forgotten_after_a_month_or_with_their_key(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (id, [first, second]) = rotated(db, &owner).await;
        db.clock().advance(HOUR + MONTH);
        assert_eq!(db.store().ai_gateway_key_secrets_prune(&plane()).await.unwrap(), 0);
        assert_eq!(standing(db, &first).await, Some(SecretState::Rotated));
        db.clock().advance(Duration::from_micros(1));
        assert_eq!(db.store().ai_gateway_key_secrets_prune(&plane()).await.unwrap(), 1);
        assert_eq!(standing(db, &first).await, None);

        let (rotation, third) = rotation(db);
        db.store().ai_gateway_key_rotate(&owner, id, rotation, None).await.unwrap();
        assert_eq!(db.store().ai_gateway_key_delete(&owner, id).await.unwrap(), id);
        for secret in [&second, &third] {
            assert_eq!(standing(db, secret).await, None);
        }
    }

    async fn a_key_that_is_not_there_is_not_found(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let nobody: GatewayKeyId = db.ambient().new_id();
        let rotated = db.store().ai_gateway_key_rotate(&owner, nobody, rotation(db).0, None).await;
        assert!(matches!(rotated, Err(StoreError::NotFound)), "{rotated:?}");
        let updated = db.store().ai_gateway_key_update(&owner, nobody, GatewayKeyPatch::default()).await;
        assert!(matches!(updated, Err(StoreError::NotFound)), "{updated:?}");
    }

    async fn a_taken_prefix_is_refused_by_name_and_changes_nothing(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (id, [_, second]) = rotated(db, &owner).await;
        let (other, _) = gateway_key(db, "other");
        db.store().ai_gateway_key_insert(&owner, other.clone(), None).await.unwrap();
        let (mut again, _) = rotation(db);
        (again.secret_prefix, again.force) = (other.secret_prefix, true);
        let refused = db.store().ai_gateway_key_rotate(&owner, id, again, None).await;
        assert!(matches!(refused, Err(StoreError::Conflict(c)) if c.name == "ai_gateway_keys_secret_prefix_idx"));
        assert_eq!(standing(db, &second).await, Some(SecretState::Present));
    }
}
