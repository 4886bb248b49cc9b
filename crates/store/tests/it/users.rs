//! Users: names, states, and the owner who must stay.

use crate::people::{people, person, plane, token};
use lychgate_authz::Role;
use lychgate_store::{Page, RuleBroken, StoreError, TokenFilter, UserFilter, UserInsert, UserPatch, UserState};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::START;
use std::time::Duration;

fn last_owner<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Rule(RuleBroken::LastOwner))),
        "{result:?}"
    );
}

both_engines! {
    async fn insert_answers_every_field_and_list_is_oldest_first(db: TestDb) {
        let people = people(db).await;
        db.clock().advance(Duration::from_secs(5));
        let new = UserInsert { username: "Ada".into(), role: Role::Auditor };
        let ada = db.store().user_insert(&people.owner.caller, new).await.unwrap();
        assert_eq!((&*ada.username, ada.role, ada.state), ("ada", Role::Auditor, UserState::Active));
        assert_eq!(ada.created_at, START.plus(Duration::from_secs(5)));
        let list = db.store().user_list(&people.owner.caller, &UserFilter::default(), Page::first(200)).await.unwrap();
        assert_eq!(list.items.len(), 4);
        assert_eq!(list.items.last(), Some(&ada));
        assert!(list.items.is_sorted_by_key(|user| (user.created_at, user.id)));
        let filter = UserFilter { q: Some("D".into()), ..UserFilter::default() };
        let found = db.store().user_list(&people.owner.caller, &filter, Page::first(200)).await.unwrap();
        assert_eq!(found.items.iter().map(|user| &*user.username).collect::<Vec<_>>(), ["audrey", "ada"]);
        for text in ["ADA", &ada.id.to_string()] {
            assert_eq!(db.store().user_find(&people.owner.caller, text).await.unwrap(), ada);
        }
        assert_eq!(db.store().user_find(&people.owner.caller, ada.id).await.unwrap(), ada);
    }

    async fn usernames_are_as_directories_have_them(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let make = |name: &str| db.store().user_insert(&owner, UserInsert { username: name.into(), role: Role::Member });
        for good in ["ada.lovelace@example.com", "Ada+ai@b-c.example", "svc_build--7", "7", &"a".repeat(200)] {
            let made = make(good).await.unwrap();
            assert_eq!(made.username, good.to_ascii_lowercase());
            assert_eq!(db.store().user_find(&owner, &good.to_ascii_uppercase()).await.unwrap(), made);
        }
        for bad in ["", "a@", "@a", ".a", "a b", "a/b", "é", "a\n", &"a".repeat(201)] {
            let refused = make(bad).await;
            assert!(matches!(&refused, Err(StoreError::Conflict(c)) if c.name == "users_username_check"), "{bad:?}: {refused:?}");
        }
    }

    async fn a_change_of_role_or_details_keeps_the_rest_and_an_owner(db: TestDb) {
        let people = people(db).await;
        let (store, owner) = (db.store(), &people.owner.caller);
        let details = UserPatch { display_name: Some(Some("Mel B.".into())), email: Some(Some("mel@example.com".into())), ..UserPatch::default() };
        let (mel, hashes) = store.user_update(owner, people.member.id, details).await.unwrap();
        assert_eq!((mel.role, mel.display_name.as_deref(), mel.email.as_deref()), (Role::Member, Some("Mel B."), Some("mel@example.com")));
        assert!(hashes.is_empty(), "no token may do anything else");
        let role = |role| UserPatch { role: Some(role), ..UserPatch::default() };
        let (mel, hashes) = store.user_update(owner, "MEL", role(Role::Auditor)).await.unwrap();
        assert_eq!((mel.role, mel.display_name.as_deref(), hashes), (Role::Auditor, Some("Mel B."), vec![people.member.hash]));
        let (mel, _) = store.user_update(owner, "mel", UserPatch { email: Some(None), ..UserPatch::default() }).await.unwrap();
        assert_eq!((mel.email, mel.role), (None, Role::Auditor));
        let last = store.user_update(owner, people.owner.id, role(Role::Member)).await;
        assert!(matches!(last, Err(StoreError::Rule(RuleBroken::LastOwner))), "{last:?}");
        store.user_update(owner, "mel", role(Role::Owner)).await.unwrap();
        store.user_update(owner, people.owner.id, role(Role::Member)).await.unwrap();
        for (field, patch) in [
            ("users_display_name_check", UserPatch { display_name: Some(Some("x".repeat(101))), ..UserPatch::default() }),
            ("users_email_check", UserPatch { email: Some(Some(String::new())), ..UserPatch::default() }),
        ] {
            let refused = store.user_update(owner, "mel", patch).await;
            assert!(matches!(&refused, Err(StoreError::Conflict(c)) if c.name == field), "{refused:?}");
        }
    }

    async fn a_duplicate_username_breaks_users_username_idx_whatever_its_case(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let again = db.store().user_insert(&owner, UserInsert { username: "MEL".into(), role: Role::Member }).await;
        assert!(matches!(again, Err(StoreError::Conflict(c)) if c.name == "users_username_idx"));
        let bad = db.store().user_insert(&owner, UserInsert { username: "a b".into(), role: Role::Member }).await;
        assert!(matches!(bad, Err(StoreError::Conflict(c)) if c.name == "users_username_check"));
    }

    async fn a_suspended_users_tokens_stop_and_start_with_the_user(db: TestDb) {
        let people = people(db).await;
        let state = async || {
            let found = db.store().token_authenticate(&plane(), &people.member.hash).await.unwrap().unwrap();
            assert_eq!((found.user_id, found.revoked_at), (people.member.id, None));
            found.user_state
        };
        assert_eq!(state().await, UserState::Active);
        let set = async |wanted| db.store().user_set_state(&people.owner.caller, people.member.id, wanted).await.unwrap();
        let (user, hashes) = set(UserState::Suspended).await;
        assert_eq!((user.state, hashes), (UserState::Suspended, vec![people.member.hash]));
        assert_eq!(state().await, UserState::Suspended);
        let refused = db.store().token_insert(&people.owner.caller, token(db, people.member.id).0, None).await;
        assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::OwnerSuspended))));
        assert_eq!(set(UserState::Active).await.0.state, UserState::Active);
        assert_eq!(state().await, UserState::Active);
    }

    async fn a_deleted_user_stays_for_the_books_but_is_gone_for_everything_else(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let hashes = db.store().user_delete(owner, people.member.id).await.unwrap();
        assert_eq!(hashes, [people.member.hash]);
        assert!(matches!(db.store().user_delete(owner, people.member.id).await, Err(StoreError::NotFound)));
        assert!(matches!(db.store().user_find(owner, people.member.id).await, Err(StoreError::NotFound)));
        assert!(matches!(db.store().user_find(owner, "mel").await, Err(StoreError::NotFound)));
        let found = db.store().token_authenticate(&plane(), &people.member.hash).await.unwrap().unwrap();
        assert_eq!(found.user_state, UserState::Suspended);
        assert_eq!(found.revoked_at, Some(START));
        let tokens = db.store().token_list(owner, &TokenFilter { user: Some(people.member.id.into()) }, Page::first(9)).await.unwrap();
        assert_eq!(tokens.items[0].user.username, "mel", "what the user left keeps its name");
        assert!(matches!(db.store().token_insert(owner, token(db, people.member.id).0, None).await, Err(StoreError::NotFound)));
        let state = db.store().user_set_state(owner, people.member.id, UserState::Active).await;
        assert!(matches!(state, Err(StoreError::NotFound)));
        let again = person(db, owner, "mel", Role::Member).await;
        assert_ne!(again.id, people.member.id, "the name is free again");
    }

    async fn the_last_active_owner_stays(db: TestDb) {
        let people = people(db).await;
        let (root, caller) = (people.owner.id, &people.owner.caller);
        last_owner(&db.store().user_set_state(caller, root, UserState::Suspended).await);
        last_owner(&db.store().user_delete(caller, root).await);
        let second = person(db, caller, "second", Role::Owner).await;
        db.store().user_set_state(caller, second.id, UserState::Suspended).await.unwrap();
        last_owner(&db.store().user_delete(caller, root).await);
        db.store().user_delete(caller, second.id).await.unwrap();
        last_owner(&db.store().user_set_state(caller, root, UserState::Suspended).await);
    }

    async fn owners_who_all_leave_at_once_leave_one(db: TestDb) {
        let first = people(db).await.owner;
        let mut owners = vec![(first.caller.clone(), first.id)];
        for n in 0..7 {
            let next = person(db, &first.caller, &format!("owner-{n}"), Role::Owner).await;
            owners.push((next.caller, next.id));
        }
        let mut tasks = tokio::task::JoinSet::new();
        for (n, (caller, id)) in owners.into_iter().enumerate() {
            let store = db.store().clone();
            tasks.spawn(async move {
                if n % 2 == 0 {
                    store.user_delete(&caller, id).await.map(drop)
                } else {
                    store.user_set_state(&caller, id, UserState::Suspended).await.map(drop)
                }
            });
        }
        let (left, stayed): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((left.len(), stayed.len()), (7, 1));
        last_owner(&stayed[0]);
    }

    async fn the_bootstrap_works_once_and_never_again(db: TestDb) {
        let people = people(db).await;
        assert_eq!(db.store().user_find(&people.owner.caller, people.owner.id).await.unwrap().username, "root");
        let found = db.store().token_authenticate(&plane(), &people.owner.hash).await.unwrap().unwrap();
        assert_eq!((&*found.username, found.role), ("root", Role::Owner));
        let again = UserInsert { username: "other".into(), role: Role::Owner };
        let made = db.store().users_bootstrap(&plane(), again, token(db, people.owner.id).0).await.unwrap();
        assert_eq!(made, None);
    }

    async fn of_two_bootstraps_at_once_one_makes_the_owner(db: TestDb) {
        let new = |name: &str| UserInsert { username: name.into(), role: Role::Owner };
        let (caller, any) = (plane(), db.ambient().new_id());
        let (one, two) = tokio::join!(
            db.store().users_bootstrap(&caller, new("one"), token(db, any).0),
            db.store().users_bootstrap(&caller, new("two"), token(db, any).0),
        );
        assert_ne!(one.unwrap().is_some(), two.unwrap().is_some());
    }
}
