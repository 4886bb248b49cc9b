//! The feed of changes: what is in it, in which order, and for how long.

use crate::people::{gateway_key, people, person, plane, provider, rotation, route, token};
use lychgate_authz::Role;
use lychgate_store::{
    Change, ChangeListener, Changes, DatabaseUrl, GatewayKeyPatch, ProviderPatch, RoutePatch, Store, UserState,
};
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::DEADLINE;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

async fn since(store: &Store, after: u64) -> (Vec<Change>, u64) {
    match store.changes_since(&plane(), after, 1000).await.unwrap() {
        Changes::Since { changes, upto, .. } => (changes, upto),
        gap @ Changes::Gap { .. } => panic!("{gap:?}"),
    }
}

async fn wake(listener: &mut ChangeListener) {
    tokio::time::timeout(DEADLINE, listener.wait()).await.unwrap().unwrap();
}

both_engines! {
    async fn changes_for_replicas_are_in_the_feed(db: TestDb) {
        let (people, store) = (people(db).await, db.store());
        let owner = &people.owner.caller;
        let ada = person(db, owner, "ada", Role::Member).await;
        assert_eq!(since(store, 0).await, (vec![], 0), "new users and tokens concern no replica");
        let mut place = 0;
        let mut news = async || {
            let (changes, upto) = since(store, place).await;
            assert_eq!(upto - place, changes.len() as u64);
            place = upto;
            changes
        };

        let new = provider(db, "anthropic", vec![]);
        store.provider_insert(owner, new.clone()).await.unwrap();
        store.provider_update(owner, new.id, ProviderPatch::default()).await.unwrap();
        assert_eq!(news().await, [Change::Configuration; 2]);
        let way = route(db, "way", "anthropic");
        store.route_insert(owner, way.clone()).await.unwrap();
        store.route_update(owner, way.id, RoutePatch::default()).await.unwrap();
        store.route_delete(owner, way.id).await.unwrap();
        store.provider_delete(owner, new.id).await.unwrap();
        assert_eq!(news().await, [Change::Configuration; 4]);

        let (second, secret) = token(db, ada.id);
        let id = second.id;
        store.token_insert(owner, second, None).await.unwrap();
        store.token_revoke(owner, id).await.unwrap();
        assert_eq!(news().await, [Change::TokenRevoked(secret.hash())]);
        store.user_set_state(owner, ada.id, UserState::Suspended).await.unwrap();
        assert_eq!(news().await, [Change::TokenRevoked(ada.hash)]);
        store.user_set_state(owner, ada.id, UserState::Active).await.unwrap();
        assert_eq!(news().await, []);
        let (third, secret) = token(db, ada.id);
        store.token_insert(owner, third, None).await.unwrap();
        store.user_delete(owner, ada.id).await.unwrap();
        let mut both = news().await;
        both.sort_by_key(|change| *change == Change::TokenRevoked(ada.hash));
        assert_eq!(both, [Change::TokenRevoked(secret.hash()), Change::TokenRevoked(ada.hash)]);

        let (key, _) = gateway_key(db, "edge");
        let id = key.id;
        store.ai_gateway_key_insert(owner, key, None).await.unwrap();
        assert_eq!(news().await, [], "nobody waits for a new key");
        store.ai_gateway_key_rotate(owner, id, rotation(db).0, None).await.unwrap();
        assert_eq!(news().await, [Change::GatewayKey(id)]);
        let disabled = GatewayKeyPatch { disabled: Some(true), ..GatewayKeyPatch::default() };
        store.ai_gateway_key_update(owner, id, disabled).await.unwrap();
        assert_eq!(news().await, [Change::GatewayKey(id)]);
        let providers = GatewayKeyPatch { providers: Some(None), ..GatewayKeyPatch::default() };
        store.ai_gateway_key_update(owner, id, providers).await.unwrap();
        assert_eq!(news().await, [Change::GatewayKey(id), Change::Configuration]);
        store.ai_gateway_key_delete(owner, id).await.unwrap();
        assert_eq!(news().await, [Change::GatewayKey(id)]);
    }

    async fn a_refused_change_is_not_in_the_feed(db: TestDb) {
        let (people, store) = (people(db).await, db.store());
        store.user_set_state(&people.owner.caller, people.owner.id, UserState::Suspended).await.unwrap_err();
        store.user_delete(&people.auditor.caller, people.member.id).await.unwrap_err();
        store.provider_insert(&people.member.caller, provider(db, "anthropic", vec![])).await.unwrap_err();
        let misfit = provider(db, "Not A Name", vec![]);
        store.provider_insert(&people.owner.caller, misfit).await.unwrap_err();
        assert_eq!(since(store, 0).await, (vec![], 0));
    }

    /// What makes a reader that goes on from the last number it saw miss nothing.
    async fn numbers_become_visible_in_their_order(db: TestDb) {
        let (people, store) = (people(db).await, db.store());
        let owner = &people.owner.caller;
        let mut ids = Vec::new();
        for _ in 0..40 {
            let (new, secret) = token(db, people.member.id);
            ids.push((new.id, secret.hash()));
            store.token_insert(owner, new, None).await.unwrap();
        }
        let wanted: BTreeSet<_> = ids.iter().map(|(_, hash)| *hash.as_bytes()).collect();
        let revoking = async {
            let mut tasks = tokio::task::JoinSet::new();
            for (id, _) in ids {
                let (store, owner) = (store.clone(), owner.clone());
                tasks.spawn(async move { store.token_revoke(&owner, id).await });
            }
            for done in tasks.join_all().await {
                done.unwrap();
            }
        };
        let reading = async {
            let (mut seen, mut place) = (BTreeSet::new(), 0);
            while place < 40 {
                let (changes, upto) = since(store, place).await;
                for change in changes {
                    let Change::TokenRevoked(hash) = change else { panic!("{change:?}") };
                    assert!(seen.insert(*hash.as_bytes()), "each once");
                }
                place = upto;
            }
            seen
        };
        let ((), seen) = tokio::join!(revoking, reading);
        assert_eq!(seen, wanted);
        assert_eq!(store.changes_last(&plane()).await.unwrap(), 40);
    }

    async fn the_feed_is_read_in_parts(db: TestDb) {
        let (people, store) = (people(db).await, db.store());
        for n in 0..5 {
            store.provider_insert(&people.owner.caller, provider(db, &format!("p-{n}"), vec![])).await.unwrap();
        }
        let part = store.changes_since(&plane(), 1, 3).await.unwrap();
        assert_eq!(part, Changes::Since { changes: vec![Change::Configuration; 3], granted: HashMap::new(), upto: 4 });
        assert_eq!(since(store, 4).await, (vec![Change::Configuration], 5));
        assert_eq!(since(store, 5).await, (vec![], 5));
    }

    async fn changes_older_than_a_day_are_dropped_and_a_reader_behind_gets_a_gap(db: TestDb) {
        let (people, store) = (people(db).await, db.store());
        let owner = &people.owner.caller;
        for n in 0..3 {
            store.provider_insert(owner, provider(db, &format!("p-{n}"), vec![])).await.unwrap();
        }
        db.clock().advance(Duration::from_secs(24 * 3600 + 1));
        assert_eq!(store.housekeep(&plane()).await.unwrap().unwrap().changes, 3);
        assert_eq!(since(store, 3).await, (vec![], 3), "who has seen all has no gap");
        assert_eq!(store.changes_since(&plane(), 2, 9).await.unwrap(), Changes::Gap { now: 3 });
        let (id, hash) = (people.member.id, people.member.hash);
        store.user_delete(owner, id).await.unwrap();
        assert_eq!(since(store, 3).await, (vec![Change::TokenRevoked(hash)], 4));
        assert_eq!(store.changes_since(&plane(), 2, 9).await.unwrap(), Changes::Gap { now: 4 });
        assert_eq!(store.changes_since(&plane(), 5, 9).await.unwrap(), Changes::Gap { now: 4 }, "a place of another feed");
        assert_eq!(store.changes_since(&plane(), u64::MAX, 9).await.unwrap(), Changes::Gap { now: 4 });
        assert_eq!(store.housekeep(&plane()).await.unwrap().unwrap().changes, 0, "what is young stays");
    }

    async fn a_replica_that_comes_back_learns_which_tokens_stopped_working(db: TestDb) {
        let (people, store) = (people(db).await, db.store());
        let owner = &people.owner.caller;
        let since = async |after, most| {
            let found = store.changes_tokens_revoked(&plane(), after, most, None).await.unwrap();
            found.map(|found| (found.hashes, found.upto))
        };
        assert_eq!(since(0, 9).await, Some((vec![], 0)));
        store.user_delete(owner, people.member.id).await.unwrap();
        store.provider_insert(owner, provider(db, "anthropic", vec![])).await.unwrap();
        store.user_delete(owner, people.auditor.id).await.unwrap();
        let (one, two) = (people.member.hash, people.auditor.hash);
        assert_eq!(since(0, 9).await, Some((vec![one, two], 3)));
        assert_eq!(since(1, 9).await, Some((vec![two], 3)));
        assert_eq!(since(3, 9).await, Some((vec![], 3)));
        assert_eq!(since(0, 2).await, Some((vec![one, two], 3)));
        assert_eq!(since(0, 1).await, None, "more than can be told");
        assert_eq!(since(4, 9).await, None, "a place of another feed");
        db.clock().advance(Duration::from_secs(24 * 3600 + 1));
        store.housekeep(&plane()).await.unwrap().unwrap();
        assert_eq!(since(3, 9).await, Some((vec![], 3)));
        assert_eq!(since(2, 9).await, None, "forgotten");
    }

    async fn who_listens_is_woken(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        // Another control plane on PostgreSQL; on SQLite there is only the one store.
        let other = match db.url().starts_with("postgres") {
            true => Store::connect(&DatabaseUrl::parse(db.url()).unwrap(), db.ambient()).await.unwrap(),
            false => db.store().clone(),
        };
        let mut listener = other.changes_listen(&plane()).unwrap();
        if db.url().starts_with("postgres") {
            wake(&mut listener).await;
        }
        for n in 0..3 {
            db.store().provider_insert(owner, provider(db, &format!("p-{n}"), vec![])).await.unwrap();
            wake(&mut listener).await;
            assert_eq!(other.changes_last(&plane()).await.unwrap(), n + 1);
        }
        listener.renew();
        if db.url().starts_with("postgres") {
            wake(&mut listener).await;
        }
        db.store().user_delete(owner, people.member.id).await.unwrap();
        wake(&mut listener).await;
        drop(listener);
        other.close().await;
    }
}
