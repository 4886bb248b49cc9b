//! Providers and the configuration version.

use crate::people::{people, plane, provider, provider_key};
use lychgate_authz::{Caller, Denial, Principal};
use lychgate_store::{Page, ProviderAddress, ProviderPatch, RuleBroken, Sealed, StoreError, WantedKey};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{START, TestDb};
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::ProviderSettings;
use std::time::Duration;

fn region(name: &str) -> ProviderSettings {
    [("region".to_owned(), name.to_owned())].into_iter().collect()
}

async fn version(db: &TestDb) -> u64 {
    db.store().configuration(&plane()).await.unwrap().version
}

both_engines! {
    async fn insert_answers_every_field(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let mut new = provider(db, "Claude", vec![provider_key(db, "sk-b…2"), provider_key(db, "sk-a…1")]);
        new.provider_type = ProviderType::OpenAiCompatible;
        (new.enabled, new.allow_private) = (false, true);
        new.settings = region("eu");
        let made = db.store().provider_insert(&owner, new.clone()).await.unwrap();
        assert_eq!((made.id, &*made.name, made.provider_type), (new.id, "claude", ProviderType::OpenAiCompatible));
        assert_eq!((&made.base_url, made.enabled, made.allow_private), (&new.base_url, false, true));
        assert_eq!(made.settings, new.settings);
        assert_eq!(db.store().configuration(&plane()).await.unwrap().providers[0].settings, new.settings);
        assert_eq!((made.created_at, made.updated_at), (START, START));
        let keys: Vec<_> = made.keys.iter().map(|key| (key.id, &*key.masked, key.created_at)).collect();
        assert_eq!(keys, [(new.keys[0].id, "sk-b…2", START), (new.keys[1].id, "sk-a…1", START)], "in the operator's order");
        for text in ["CLAUDE", &new.id.to_string()] {
            assert_eq!(db.store().provider_find(&owner, text).await.unwrap(), made);
        }
        let again = db.store().provider_insert(&owner, provider(db, "CLAUDE", vec![])).await;
        assert!(matches!(again, Err(StoreError::Conflict(c)) if c.name == "providers_name_idx"));
    }

    async fn a_change_made_for_another_address_is_refused(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let new = provider(db, "claude", vec![]);
        db.store().provider_insert(&owner, new.clone()).await.unwrap();
        let made_for = Some(ProviderAddress { base_url: new.base_url, allow_private: new.allow_private, settings: new.settings });
        let made = || ProviderPatch { made_for: made_for.clone(), ..ProviderPatch::default() };
        let moved = ProviderPatch { base_url: Some("https://b.example".into()), ..made() };
        db.store().provider_update(&owner, new.id, moved).await.unwrap();
        for late in [
            ProviderPatch { keys: Some(vec![WantedKey::Add(provider_key(db, "k"))]), ..made() },
            ProviderPatch { allow_private: Some(true), ..made() },
            ProviderPatch { settings: Some(region("us")), ..made() },
        ] {
            let refused = db.store().provider_update(&owner, new.id, late).await;
            assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::ProviderMoved))), "{refused:?}");
        }
        let kept = db.store().provider_update(&owner, new.id, ProviderPatch::default()).await.unwrap();
        assert_eq!((&*kept.base_url, kept.allow_private, kept.keys.len()), ("https://b.example", new.allow_private, 0));
    }

    async fn who_may_change_a_provider_gets_it_and_others_are_refused_in_the_audit_log(db: TestDb) {
        let people = people(db).await;
        let made = db.store().provider_insert(&people.owner.caller, provider(db, "claude", vec![])).await.unwrap();
        assert_eq!(db.store().provider_to_change(&people.owner.caller, "claude").await.unwrap(), made);
        let unknown = db.store().provider_to_change(&people.owner.caller, "none").await;
        assert!(matches!(unknown, Err(StoreError::NotFound)), "{unknown:?}");
        for name in ["claude", "none"] {
            let refused = db.store().provider_to_change(&people.member.caller, name).await;
            assert!(matches!(refused, Err(StoreError::Denied(Denial::Hidden))), "{name}: {refused:?}");
        }
    }

    async fn the_list_is_oldest_first_with_each_ones_keys(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let mut made = Vec::new();
        for name in ["c", "a", "b"] {
            db.clock().advance(Duration::from_secs(1));
            let new = provider(db, name, vec![provider_key(db, name)]);
            made.push(db.store().provider_insert(&owner, new).await.unwrap());
        }
        let first = db.store().provider_list(&owner, Page::first(2)).await.unwrap();
        assert_eq!(first.items, made[..2]);
        let second = db.store().provider_list(&owner, Page { limit: 2, after: first.next }).await.unwrap();
        assert_eq!((&second.items[..], second.next), (&made[2..], None));
    }

    async fn a_patch_changes_what_it_names_and_no_more(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let new = provider(db, "claude", vec![provider_key(db, "old"), provider_key(db, "stays")]);
        let made = db.store().provider_insert(&owner, new.clone()).await.unwrap();
        db.clock().advance(Duration::from_secs(1));
        let patch = ProviderPatch { enabled: Some(false), ..ProviderPatch::default() };
        let off = db.store().provider_update(&owner, made.id, patch).await.unwrap();
        let expected = lychgate_store::Provider { enabled: false, updated_at: db.ambient().now(), ..made.clone() };
        assert_eq!(off, expected);
        let added = provider_key(db, "new");
        let keys = vec![WantedKey::Add(added.clone()), WantedKey::Keep(new.keys[1].id)];
        let patch = ProviderPatch {
            base_url: Some(format!("{}/elsewhere", made.base_url)),
            keys: Some(keys),
            ..ProviderPatch::default()
        };
        let changed = db.store().provider_update(&owner, made.id, patch).await.unwrap();
        assert_eq!((changed.base_url, changed.enabled), (format!("{}/elsewhere", made.base_url), false));
        assert_eq!(changed.keys.iter().map(|key| &*key.masked).collect::<Vec<_>>(), ["new", "stays"]);
        let sealed = db.store().configuration(&plane()).await.unwrap().providers;
        assert_eq!(sealed[0].keys, [(added.id, added.sealed), (new.keys[1].id, new.keys[1].sealed.clone())]);
    }

    /// Keys go to the address that they were given for, and nowhere else.
    async fn another_address_needs_the_keys_anew(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let new = provider(db, "claude", vec![provider_key(db, "old")]);
        let made = db.store().provider_insert(&owner, new.clone()).await.unwrap();
        let before = version(db).await;
        let kept = || Some(vec![WantedKey::Keep(new.keys[0].id), WantedKey::Add(provider_key(db, "new"))]);
        let (elsewhere, port) = ("https://evil.example".to_owned(), format!("{}:8443", made.base_url));
        for keys in [None, kept()] {
            for moved in [
                ProviderPatch { base_url: Some(elsewhere.clone()), ..ProviderPatch::default() },
                ProviderPatch { base_url: Some(port.clone()), ..ProviderPatch::default() },
                ProviderPatch { allow_private: Some(true), ..ProviderPatch::default() },
                ProviderPatch { settings: Some(region("us")), ..ProviderPatch::default() },
            ] {
                let patch = ProviderPatch { keys: keys.clone(), ..moved };
                let refused = db.store().provider_update(&owner, made.id, patch).await;
                assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::KeysNeeded))), "{refused:?}");
            }
        }
        assert_eq!(db.store().provider_find(&owner, "claude").await.unwrap(), made);
        assert_eq!(version(db).await, before);
        // The settings that it has are no change.
        let same = ProviderPatch { settings: Some(made.settings.clone()), ..ProviderPatch::default() };
        assert_eq!(db.store().provider_update(&owner, made.id, same).await.unwrap().keys, made.keys);
        let settled = ProviderPatch { settings: Some(region("us")), keys: Some(Vec::new()), ..ProviderPatch::default() };
        assert_eq!(db.store().provider_update(&owner, made.id, settled).await.unwrap().settings, region("us"));
        for (keys, count) in [(vec![WantedKey::Add(provider_key(db, "new"))], 1), (vec![], 0)] {
            let patch = ProviderPatch { base_url: Some(elsewhere.clone()), keys: Some(keys), ..ProviderPatch::default() };
            let moved = db.store().provider_update(&owner, made.id, patch).await.unwrap();
            assert_eq!((&moved.base_url, moved.keys.len()), (&elsewhere, count));
        }
    }

    async fn a_patch_that_fails_changes_nothing(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (one, two) = (provider(db, "one", vec![provider_key(db, "a")]), provider(db, "two", vec![provider_key(db, "b")]));
        let made = db.store().provider_insert(&owner, one.clone()).await.unwrap();
        db.store().provider_insert(&owner, two.clone()).await.unwrap();
        let before = version(db).await;
        let twice = vec![WantedKey::Keep(one.keys[0].id), WantedKey::Keep(one.keys[0].id)];
        for keys in [vec![WantedKey::Keep(two.keys[0].id)], twice] {
            let patch = ProviderPatch { enabled: Some(false), keys: Some(keys), ..ProviderPatch::default() };
            let refused = db.store().provider_update(&owner, one.id, patch).await;
            assert!(matches!(refused, Err(StoreError::Rule(RuleBroken::NoSuchProviderKey))), "{refused:?}");
        }
        let missing = db.store().provider_update(&owner, "none", ProviderPatch::default()).await;
        assert!(matches!(missing, Err(StoreError::NotFound)));
        assert_eq!(db.store().provider_find(&owner, "one").await.unwrap(), made);
        assert_eq!(version(db).await, before);
    }

    async fn a_policy_is_changed_setting_by_setting(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let mut new = provider(db, "claude", vec![]);
        new.policy.retry.max_attempts = Some(5);
        new.policy.http2 = Some(true);
        let mut policy = ProviderPolicy { http2: true, ..ProviderPolicy::default() };
        policy.retry.max_attempts = 5;
        let made = db.store().provider_insert(&owner, new.clone()).await.unwrap();
        assert_eq!(made.policy, policy);
        let mut patch = ProviderPatch::default();
        patch.policy.retry.budget_percent = Some(0);
        patch.policy.breaker.failures = Some(0);
        (policy.retry.budget_percent, policy.breaker.failures) = (0, 0);
        let changed = db.store().provider_update(&owner, new.id, patch).await.unwrap();
        assert_eq!(changed.policy, policy, "what was set before stays");
        let kept = db.store().provider_update(&owner, new.id, ProviderPatch::default()).await.unwrap();
        assert_eq!(kept.policy, policy);
        db.clock().advance(Duration::from_secs(1));
        let plain = db.store().provider_insert(&owner, provider(db, "plain", vec![])).await.unwrap();
        assert_eq!(plain.policy, ProviderPolicy::default());
        assert_eq!(db.store().provider_list(&owner, Page::first(9)).await.unwrap().items, [kept, plain]);
        let sealed = db.store().configuration(&plane()).await.unwrap().providers;
        assert_eq!(sealed.iter().map(|p| p.policy).collect::<Vec<_>>(), [policy, ProviderPolicy::default()]);
    }

    async fn concurrent_changes_of_a_policy_lose_nothing(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let new = provider(db, "claude", vec![]);
        db.store().provider_insert(&owner, new.clone()).await.unwrap();
        let mut changes = [ProviderPatch::default(), ProviderPatch::default(), ProviderPatch::default()];
        changes[0].policy.retry.max_attempts = Some(7);
        changes[1].policy.timeouts.idle_ms = Some(7);
        changes[2].policy.key_cooldown_seconds = Some(7);
        let mut tasks = tokio::task::JoinSet::new();
        for change in changes {
            let (store, owner) = (db.store().clone(), owner.clone());
            tasks.spawn(async move { store.provider_update(&owner, new.id, change).await.map(drop) });
        }
        for done in tasks.join_all().await {
            done.unwrap();
        }
        let policy = db.store().provider_find(&owner, "claude").await.unwrap().policy;
        assert_eq!((policy.retry.max_attempts, policy.timeouts.idle_ms, policy.key_cooldown_seconds), (7, 7, 7));
    }

    async fn every_change_counts_the_version_up(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let new = provider(db, "claude", vec![]);
        let start = version(db).await;
        db.store().provider_insert(&owner, new.clone()).await.unwrap();
        assert_eq!(version(db).await, start + 1);
        db.store().provider_update(&owner, new.id, ProviderPatch::default()).await.unwrap();
        assert_eq!(version(db).await, start + 2);
        db.store().provider_delete(&owner, new.id).await.unwrap();
        assert_eq!(version(db).await, start + 3);
        assert!(matches!(db.store().provider_delete(&owner, new.id).await, Err(StoreError::NotFound)));
        let _conflict = db.store().provider_insert(&owner, provider(db, "a_b", vec![])).await.unwrap_err();
        assert_eq!(version(db).await, start + 3, "what changed nothing does not count");
    }

    async fn replicas_get_sealed_keys_and_users_do_not(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let new = provider(db, "claude", vec![provider_key(db, "k")]);
        db.store().provider_insert(&owner, new.clone()).await.unwrap();
        let replica = Caller { principal: Principal::Replica { gateway_key_id: db.ambient().new_id() }, request_id: None };
        let sealed = db.store().configuration(&replica).await.unwrap().providers;
        let one = &sealed[0];
        assert_eq!((one.id, &*one.name, one.provider_type, &one.base_url), (new.id, "claude", new.provider_type, &new.base_url));
        assert_eq!((one.enabled, one.allow_private), (true, false));
        assert_eq!(one.keys, [(new.keys[0].id, Sealed::from_bytes(b"sealed k".to_vec()))]);
        let refused = db.store().configuration(&owner).await;
        assert!(matches!(refused, Err(StoreError::Denied(Denial::Forbidden))));
    }

    async fn concurrent_changes_each_get_a_version(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let start = version(db).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..16 {
            let (store, owner, new) = (db.store().clone(), owner.clone(), provider(db, &format!("p-{n}"), vec![]));
            tasks.spawn(async move { store.provider_insert(&owner, new).await.map(drop) });
        }
        for done in tasks.join_all().await {
            done.unwrap();
        }
        assert_eq!(version(db).await, start + 16);
    }
}
