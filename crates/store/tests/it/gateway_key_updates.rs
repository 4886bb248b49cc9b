//! What may be changed of a gateway key, and what a key's bounds come to.

use crate::people::{gateway_key, people, plane, provider};
use lychgate_authz::{Action, Caller, Principal};
use lychgate_store::{GatewayKeyPatch, KeyState, ProviderRef, RuleBroken, StoreError};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::{Cidr, GatewayKeyId, ProviderId};
use std::time::Duration;

fn cidrs(texts: &[&str]) -> Vec<Cidr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Makes providers of these names.
async fn providers<const N: usize>(db: &TestDb, owner: &Caller, names: [&str; N]) -> [ProviderRef; N] {
    let mut made = Vec::new();
    for name in names {
        let new = provider(db, name, vec![]);
        let provider = db.store().provider_insert(owner, new).await.unwrap();
        made.push(ProviderRef {
            id: provider.id,
            name: provider.name,
        });
    }
    made.try_into().unwrap()
}

/// What the configuration says of a key, asked for by the control plane and by a replica of that key.
async fn scope(db: &TestDb, key: GatewayKeyId) -> Option<Option<Vec<ProviderId>>> {
    let replica = Caller {
        principal: Principal::Replica { gateway_key_id: key },
        request_id: None,
    };
    let by_plane = db.store().configuration(&plane()).await.unwrap().scopes.remove(&key);
    let mut by_replica = db.store().configuration(&replica).await.unwrap().scopes;
    assert_eq!(by_replica.remove(&key), by_plane);
    assert!(by_replica.is_empty(), "a replica learns about its own key only");
    by_plane
}

both_engines! {
    async fn a_patch_changes_what_it_names_and_no_more(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let [claude, gpt] = providers(db, &owner, ["claude", "gpt"]).await;
        let (mut new, _) = gateway_key(db, "edge");
        (new.description, new.providers) = (Some("rack".into()), Some(vec![claude.id]));
        new.allowed_cidrs = Some(cidrs(&["10.0.0.0/8", "2001:db8::/32"]));
        let made = db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        assert_eq!((&made.providers, &made.allowed_cidrs), (&Some(vec![claude.clone()]), &new.allowed_cidrs));
        assert_eq!((made.disabled_at, made.rotated_at, made.previous_valid_until), (None, None, None));
        let update = async |patch| db.store().ai_gateway_key_update(&owner, new.id, patch).await.unwrap();
        assert_eq!(update(GatewayKeyPatch::default()).await, made);

        let at = db.ambient().now().plus(Duration::from_secs(60));
        let mut expected = made.clone();
        expected.expires_at = Some(at);
        assert_eq!(update(GatewayKeyPatch { expires_at: Some(Some(at)), ..GatewayKeyPatch::default() }).await, expected);
        expected.description = None;
        assert_eq!(update(GatewayKeyPatch { description: Some(None), ..GatewayKeyPatch::default() }).await, expected);
        expected.providers = Some(vec![gpt.clone(), claude.clone()]);
        let ids = vec![gpt.id, claude.id];
        assert_eq!(update(GatewayKeyPatch { providers: Some(Some(ids)), ..GatewayKeyPatch::default() }).await, expected);
        expected.allowed_cidrs = Some(cidrs(&["192.0.2.7"]));
        let patch = GatewayKeyPatch { allowed_cidrs: Some(expected.allowed_cidrs.clone()), ..GatewayKeyPatch::default() };
        assert_eq!(update(patch).await, expected);
        (expected.providers, expected.allowed_cidrs, expected.expires_at) = (None, None, None);
        let patch = GatewayKeyPatch {
            providers: Some(None),
            allowed_cidrs: Some(None),
            expires_at: Some(None),
            ..GatewayKeyPatch::default()
        };
        assert_eq!(update(patch).await, expected);
        assert_eq!(db.store().ai_gateway_key_find(&owner, "edge").await.unwrap(), expected);
    }

    async fn disabled_since_the_first_time_until_enabled(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let (new, secret) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        let set = async |disabled| {
            let patch = GatewayKeyPatch { disabled: Some(disabled), ..GatewayKeyPatch::default() };
            db.store().ai_gateway_key_update(&owner, new.id, patch).await.unwrap()
        };
        let state = async || db.store().ai_gateway_key_authenticate(&plane(), &secret.hash()).await.unwrap().unwrap().state;
        let since = db.ambient().now();
        assert_eq!(set(true).await.disabled_at, Some(since));
        assert_eq!(state().await, KeyState::Disabled);
        db.clock().advance(Duration::from_secs(60));
        assert_eq!(set(true).await.disabled_at, Some(since));
        assert_eq!(set(false).await.disabled_at, None);
        assert_eq!(state().await, KeyState::Active);
    }

    async fn only_a_change_of_providers_makes_a_new_configuration(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let [claude] = providers(db, &owner, ["claude"]).await;
        let (new, _) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        let version = async || db.store().configuration(&plane()).await.unwrap().version;
        let before = version().await;
        let other = GatewayKeyPatch { disabled: Some(true), description: Some(None), ..GatewayKeyPatch::default() };
        db.store().ai_gateway_key_update(&owner, new.id, other).await.unwrap();
        assert_eq!((version().await, scope(db, new.id).await), (before, Some(None)));
        let patch = GatewayKeyPatch { providers: Some(Some(vec![claude.id])), ..GatewayKeyPatch::default() };
        db.store().ai_gateway_key_update(&owner, new.id, patch).await.unwrap();
        assert_eq!((version().await, scope(db, new.id).await), (before + 1, Some(Some(vec![claude.id]))));
        db.store().ai_gateway_key_delete(&owner, new.id).await.unwrap();
        assert_eq!(scope(db, new.id).await, None, "a deleted key serves nothing");
    }

    async fn providers_are_found_by_id_or_name_once_each_or_reported_by_position(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let [claude, gpt] = providers(db, &owner, ["claude", "gpt"]).await;
        let find = async |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            db.store().ai_gateway_key_providers(&owner, Action::Create, &wanted).await
        };
        let found = find(&["GPT", &claude.id.to_string(), "gpt", "claude"]).await.unwrap();
        assert_eq!(found, [gpt, claude]);
        let nobody = db.ambient().new_id::<ProviderId>().to_string();
        let refused = find(&["mistral", "gpt", &nobody]).await;
        assert!(matches!(&refused, Err(StoreError::Rule(RuleBroken::NoSuchProviders { places })) if places == &[0, 2]), "{refused:?}");
    }

    /// A key that served one provider does not come to serve all when that one goes.
    async fn a_deleted_provider_leaves_a_gap(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let [claude] = providers(db, &owner, ["claude"]).await;
        let (mut new, _) = gateway_key(db, "edge");
        new.providers = Some(vec![claude.id]);
        db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
        db.store().provider_delete(&owner, claude.id).await.unwrap();
        assert_eq!(db.store().ai_gateway_key_find(&owner, "edge").await.unwrap().providers, Some(vec![]));
        assert_eq!(scope(db, new.id).await, Some(Some(vec![claude.id])));
    }

    async fn keys_near_their_expiry_are_listed_the_next_first(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let day = |days: u64| db.ambient().now().plus(Duration::from_secs(days * 24 * 3600));
        for (name, expires_at) in [("later", Some(day(3))), ("next", Some(day(1))), ("far", Some(day(4))), ("never", None), ("off", Some(day(1)))] {
            let (mut new, _) = gateway_key(db, name);
            new.expires_at = expires_at;
            db.store().ai_gateway_key_insert(&owner, new.clone(), None).await.unwrap();
            if name == "off" {
                let patch = GatewayKeyPatch { disabled: Some(true), ..GatewayKeyPatch::default() };
                db.store().ai_gateway_key_update(&owner, new.id, patch).await.unwrap();
            }
        }
        let names = async |until| -> Vec<_> {
            let found = db.store().ai_gateway_key_expiring(&plane(), until).await.unwrap();
            found.into_iter().map(|key| (key.name, key.expires_at)).collect()
        };
        assert_eq!(names(day(3)).await, [("next".to_owned(), day(1)), ("later".to_owned(), day(3))]);
        let counted = async || {
            let mut counted = db.store().ai_gateway_key_count(&plane()).await.unwrap();
            counted.sort_unstable_by_key(|(state, _)| state.as_str());
            counted
        };
        assert_eq!(counted().await, [(KeyState::Active, 4), (KeyState::Disabled, 1)]);
        let (third, fourth) = (day(3), day(4));
        db.clock().advance(Duration::from_secs(24 * 3600));
        assert_eq!(
            counted().await,
            [(KeyState::Active, 3), (KeyState::Disabled, 1), (KeyState::Expired, 1)],
            "what is disabled and expired counts as disabled"
        );
        assert_eq!(names(third).await, [("later".to_owned(), third)], "what has expired is not told");
        assert_eq!(names(fourth).await.len(), 2);
    }
}
