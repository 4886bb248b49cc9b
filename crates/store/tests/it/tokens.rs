//! User tokens.

use crate::people::{narrowed, people, plane, set_bytes, token};
use lychgate_authz::{Caller, Denial, Principal, Role, Scopes, UserPrincipal};
use lychgate_store::{Page, RuleBroken, StoreError, TOKENS_PER_USER, TokenFilter, UserState};
use lychgate_testkit::both_engines;
use lychgate_types::secret::SecretHash;
use lychgate_types::{Timestamp, TokenId};
use std::time::Duration;

both_engines! {
    async fn insert_answers_every_field(db: TestDb) {
        let people = people(db).await;
        let (mut new, secret) = token(db, people.member.id);
        new.name = "Laptop".into();
        new.scopes = Scopes::from_texts(["token:read", "ai_request:create"]).unwrap();
        new.expires_at = Some(new.created_at.plus(Duration::from_secs(1)));
        let made = db.store().token_insert(&people.owner.caller, new.clone(), None).await.unwrap();
        assert_eq!((made.id, made.user.id, &*made.user.username), (new.id, people.member.id, "mel"));
        assert_eq!((&*made.name, &made.secret_prefix, &made.scopes), ("laptop", &new.secret_prefix, &new.scopes));
        assert_eq!((made.created_at, made.expires_at), (new.created_at, new.expires_at));
        assert_eq!((made.last_used_at, made.revoked_at), (None, None));
        assert_eq!(db.store().token_get(&people.member.caller, made.id).await.unwrap(), made);
        let found = db.store().token_authenticate(&plane(), &secret.hash()).await.unwrap().unwrap();
        assert_eq!((found.token_id, found.user_id, &*found.username), (made.id, people.member.id, "mel"));
        assert_eq!((found.role, found.user_state), (Role::Member, UserState::Active));
        assert_eq!((found.scopes, found.expires_at, found.revoked_at), (made.scopes, made.expires_at, None));
        assert!(db.store().token_authenticate(&plane(), &SecretHash::from_bytes([0; 32])).await.unwrap().is_none());
    }

    async fn marks_are_those_of_all_tokens_revoked_ones_too(db: TestDb) {
        let people = people(db).await;
        let before = db.store().token_marks(&plane(), None).await.unwrap();
        let (new, secret) = token(db, people.member.id);
        db.store().token_insert(&people.owner.caller, new.clone(), None).await.unwrap();
        db.store().token_revoke(&people.owner.caller, new.id).await.unwrap();
        let added = |mark: &u64| !before.contains(mark);
        let after = db.store().token_marks(&plane(), None).await.unwrap();
        assert_eq!(after.into_iter().filter(added).collect::<Vec<_>>(), [secret.hash().mark()]);
        let later = Timestamp::from_micros(new.created_at.as_micros() + 1);
        for (since, found) in [(new.created_at, vec![secret.hash().mark()]), (later, vec![])] {
            let marks = db.store().token_marks(&plane(), Some(since)).await.unwrap();
            assert_eq!(marks.into_iter().filter(|mark| !before.contains(mark)).collect::<Vec<_>>(), found);
        }
    }

    async fn a_token_is_revoked_once_and_stays_on_record(db: TestDb) {
        let people = people(db).await;
        let (new, secret) = token(db, people.member.id);
        db.store().token_insert(&people.member.caller, new.clone(), None).await.unwrap();
        db.clock().advance(Duration::from_secs(9));
        let now = db.ambient().now();
        assert_eq!(db.store().token_revoke(&people.member.caller, new.id).await.unwrap(), [secret.hash()]);
        assert!(matches!(db.store().token_revoke(&people.member.caller, new.id).await, Err(StoreError::NotFound)));
        let unknown = db.ambient().new_id();
        assert!(matches!(db.store().token_revoke(&people.owner.caller, unknown).await, Err(StoreError::NotFound)));
        assert_eq!(db.store().token_get(&people.member.caller, new.id).await.unwrap().revoked_at, Some(now));
        let found = db.store().token_authenticate(&plane(), &secret.hash()).await.unwrap().unwrap();
        assert_eq!(found.revoked_at, Some(now));
    }

    /// What a stolen token makes for itself is gone with it.
    async fn a_token_makes_none_that_outlives_it_and_takes_its_own_with_it(db: TestDb) {
        let people = people(db).await;
        let store = db.store();
        let by = |token_id, user: &crate::people::Person| Caller {
            principal: Principal::User(UserPrincipal { user_id: user.id, token_id, role: Role::Owner, scopes: Scopes::all() }),
            request_id: None,
        };
        let (mut first, _) = token(db, people.owner.id);
        let end = first.created_at.plus(Duration::from_secs(60));
        first.expires_at = Some(end);
        store.token_insert(&people.owner.caller, first.clone(), None).await.unwrap();
        let (mut second, _) = token(db, people.owner.id);
        for longer in [None, Some(end.plus(Duration::from_micros(1)))] {
            second.expires_at = longer;
            let refused = store.token_insert(&by(first.id, &people.owner), second.clone(), None).await;
            assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::OutlivesMaker { until })) if until == end), "{refused:?}");
        }
        second.expires_at = Some(end);
        store.token_insert(&by(first.id, &people.owner), second.clone(), None).await.unwrap();
        let (mut third, third_secret) = token(db, people.owner.id);
        third.expires_at = Some(end);
        store.token_insert(&by(second.id, &people.owner), third.clone(), None).await.unwrap();
        // For another user there is no such bound, and it stays.
        let (others, _) = token(db, people.member.id);
        store.token_insert(&by(first.id, &people.owner), others.clone(), None).await.unwrap();

        assert_eq!(store.token_revoke(&people.owner.caller, first.id).await.unwrap().len(), 3);
        let found = store.token_authenticate(&plane(), &third_secret.hash()).await.unwrap().unwrap();
        assert_eq!(found.revoked_at, Some(db.ambient().now()));
        assert_eq!(store.token_get(&people.owner.caller, others.id).await.unwrap().revoked_at, None);
        let (mut late, _) = token(db, people.owner.id);
        late.expires_at = Some(end);
        let refused = store.token_insert(&by(first.id, &people.owner), late, None).await;
        assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::OutlivesMaker { .. }))), "a revoked one makes none: {refused:?}");
    }

    async fn a_user_has_so_many_working_tokens(db: TestDb) {
        let people = people(db).await;
        let store = db.store();
        let make = async || store.token_insert(&people.owner.caller, token(db, people.member.id).0, None).await;
        let mut last = None;
        let refused = loop {
            match make().await {
                Ok(made) => last = Some(made.id),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, StoreError::Rule(RuleBroken::TooManyTokens { most: TOKENS_PER_USER })), "{refused:?}");
        store.token_revoke(&people.owner.caller, last.unwrap()).await.unwrap();
        make().await.unwrap();
    }

    async fn a_token_makes_none_wider_than_itself(db: TestDb) {
        let people = people(db).await;
        let narrow = narrowed(&people.member.caller, &["token:create", "interception:read"]);
        for (scopes, fits) in [(vec!["interception:read"], true), (vec![], true), (vec!["interception:*"], false), (vec!["*"], false)] {
            let (mut new, _) = token(db, people.member.id);
            new.scopes = Scopes::from_texts(&scopes).unwrap();
            match db.store().token_insert(&narrow, new, None).await {
                Ok(made) => assert!(fits && made.scopes.to_texts() == scopes, "{scopes:?}"),
                Err(StoreError::Rule(RuleBroken::ScopesTooWide)) => assert!(!fits, "{scopes:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn others_tokens_are_the_owners_business_only(db: TestDb) {
        let people = people(db).await;
        let store = db.store();
        let theirs = store.token_insert(&people.owner.caller, token(db, people.owner.id).0, None).await.unwrap().id;
        let hidden = |r: Result<_, StoreError>| assert!(matches!(r, Err(StoreError::Denied(Denial::Hidden))), "{r:?}");
        hidden(store.token_insert(&people.member.caller, token(db, people.owner.id).0, None).await.map(drop));
        hidden(store.token_revoke(&people.member.caller, theirs).await.map(drop));
        hidden(store.token_get(&people.member.caller, theirs).await.map(drop));
        // The same as for what is not there.
        hidden(store.token_insert(&people.member.caller, token(db, db.ambient().new_id()).0, None).await.map(drop));
        hidden(store.token_revoke(&people.member.caller, db.ambient().new_id()).await.map(drop));
        hidden(store.token_get(&people.member.caller, db.ambient().new_id()).await.map(drop));
        let seen = store.token_revoke(&people.auditor.caller, theirs).await;
        assert!(matches!(seen, Err(StoreError::Denied(Denial::Forbidden))), "an auditor may know of it");
        assert_eq!(store.token_get(&people.auditor.caller, theirs).await.unwrap().revoked_at, None);
        let own = store.token_list(&people.member.caller, &TokenFilter::default(), Page::first(9)).await.unwrap();
        assert_eq!(own.items.iter().map(|token| token.user.id).collect::<Vec<_>>(), [people.member.id]);
        let by_name = |name: &str| TokenFilter { user: Some(name.into()) };
        assert_eq!(store.token_list(&people.auditor.caller, &by_name("ROOT"), Page::first(9)).await.unwrap().items.len(), 2);
        let nobody = store.token_list(&people.auditor.caller, &by_name("nobody"), Page::first(9)).await;
        assert!(matches!(nobody, Err(StoreError::Unmatched(_))), "{nobody:?}");
        let filter = TokenFilter { user: Some(people.owner.id.into()) };
        let others = store.token_list(&people.member.caller, &filter, Page::first(9)).await;
        assert!(matches!(others, Err(StoreError::Unmatched(_))), "{others:?}");
        assert_eq!(store.token_list(&people.auditor.caller, &filter, Page::first(9)).await.unwrap().items.len(), 2);
        assert_eq!(store.token_list(&people.auditor.caller, &TokenFilter::default(), Page::first(9)).await.unwrap().items.len(), 4);
    }

    async fn use_is_noted_at_most_once_a_minute(db: TestDb) {
        let people = people(db).await;
        let (new, _) = token(db, people.member.id);
        db.store().token_insert(&people.member.caller, new.clone(), None).await.unwrap();
        let minute = 60_000_000;
        for (micros, shown) in [(minute, minute), (minute * 2 - 1, minute), (minute * 2, minute * 2), (5, minute * 2)] {
            db.store().token_touch(&plane(), new.id, Timestamp::from_micros(micros)).await.unwrap();
            let token = db.store().token_get(&people.member.caller, new.id).await.unwrap();
            assert_eq!(token.last_used_at, Some(Timestamp::from_micros(shown)));
        }
        db.store().token_touch(&plane(), db.ambient().new_id::<TokenId>(), Timestamp::from_micros(1)).await.unwrap();
    }

    async fn each_constraint_has_its_name(db: TestDb) {
        let people = people(db).await;
        type Break = fn(&mut lychgate_store::TokenInsert);
        let cases: [(&str, Break); 4] = [
            ("tokens_name_check", |new| new.name = "a b".into()),
            ("tokens_secret_prefix_check", |new| new.secret_prefix = "lgu_".into()),
            ("tokens_token_hash_idx", |new| new.secret_hash = SecretHash::from_bytes([3; 32])),
            ("tokens_pkey", |new| new.id = TokenId::from_uuid(Default::default())),
        ];
        let (mut first, _) = token(db, people.member.id);
        first.secret_hash = SecretHash::from_bytes([3; 32]);
        first.id = TokenId::from_uuid(Default::default());
        db.store().token_insert(&people.owner.caller, first, None).await.unwrap();
        for (name, break_it) in cases {
            let (mut new, _) = token(db, people.member.id);
            break_it(&mut new);
            let refused = db.store().token_insert(&people.owner.caller, new, None).await;
            assert!(matches!(&refused, Err(StoreError::Conflict(c)) if c.name == name), "{name}: {refused:?}");
        }
        // Past the types, which can't hold such a hash.
        let refused = set_bytes(db, "UPDATE tokens SET token_hash = $1", &[]).await;
        assert!(refused.contains("tokens_token_hash_check"), "{refused}");
    }
}
