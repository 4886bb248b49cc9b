//! The master key's check.

use crate::people::{people, plane};
use lychgate_authz::Denial;
use lychgate_store::{Sealer, StoreError};
use lychgate_testkit::both_engines;
use lychgate_types::secret::MasterKey;

both_engines! {
    async fn the_first_master_key_is_the_one_from_then_on(db: TestDb) {
        let sealer = || Sealer::new(MasterKey::generate(&db.ambient()));
        let (right, wrong) = (sealer(), sealer());
        for _ in 0..2 {
            db.store().master_key_check(&plane(), &right).await.unwrap();
            assert!(matches!(db.store().master_key_check(&plane(), &wrong).await, Err(StoreError::WrongMasterKey)));
        }
    }

    async fn of_two_first_starts_with_different_keys_one_wins(db: TestDb) {
        let sealer = || Sealer::new(MasterKey::generate(&db.ambient()));
        let (one, two, caller) = (sealer(), sealer(), plane());
        let (first, second) =
            tokio::join!(db.store().master_key_check(&caller, &one), db.store().master_key_check(&caller, &two));
        assert_ne!(first.is_ok(), second.is_ok());
    }

    async fn no_user_may_ask(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let sealer = Sealer::new(MasterKey::generate(&db.ambient()));
        let refused = db.store().master_key_check(&owner, &sealer).await;
        assert!(matches!(refused, Err(StoreError::Denied(Denial::Forbidden))));
    }
}
