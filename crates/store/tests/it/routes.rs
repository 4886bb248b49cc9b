//! Routes, and what they do to the configuration and to the providers that they name.

use crate::people::{people, plane, provider, route, target};
use lychgate_authz::{Caller, Denial, Principal};
use lychgate_store::{
    AuditFilter, AuditOutcome, Page, ProviderInsert, Route, RouteInsert, RouteMisfit, RouteMisfitReason, RoutePatch,
    RoutePlace, RuleBroken, StoreError,
};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{START, TestDb};
use lychgate_types::ProviderId;
use lychgate_types::provider::ProviderType::{self, Anthropic, OpenAi, OpenAiCompatible, Vertex};
use std::time::Duration;

async fn version(db: &TestDb) -> u64 {
    db.store().configuration(&plane()).await.unwrap().version
}

/// Makes providers: `claude` and `claude-eu` speak Anthropic's format, `openai` and `local` OpenAI's.
async fn providers(db: &TestDb, owner: &Caller) -> [ProviderId; 4] {
    let types = [
        ("claude", Anthropic),
        ("claude-eu", Anthropic),
        ("openai", OpenAi),
        ("local", OpenAiCompatible),
    ];
    let mut ids = Vec::new();
    for (name, provider_type) in types {
        let mut new = provider(db, name, vec![]);
        new.provider_type = provider_type;
        ids.push(db.store().provider_insert(owner, new).await.unwrap().id);
    }
    ids.try_into().unwrap()
}

#[track_caller]
fn misfits(result: Result<Route, StoreError>) -> Vec<(RoutePlace, RouteMisfitReason)> {
    match result {
        Err(StoreError::Rule(RuleBroken::RouteProviders(misfits))) => misfits
            .into_iter()
            .map(|RouteMisfit { place, why }| (place, why))
            .collect(),
        other => panic!("not refused for its providers: {other:?}"),
    }
}

fn other(entry: ProviderType, other: ProviderType) -> RouteMisfitReason {
    RouteMisfitReason::OtherRequests { entry, other }
}

#[track_caller]
fn users(result: Result<(), StoreError>) -> Vec<String> {
    match result {
        Err(StoreError::Rule(RuleBroken::ProviderInUse { routes })) => routes,
        other => panic!("not refused for its routes: {other:?}"),
    }
}

fn names(routes: &[Route]) -> Vec<&str> {
    routes.iter().map(|route| &*route.name).collect()
}

both_engines! {
    async fn insert_answers_every_field(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let [claude, eu, ..] = providers(db, &owner).await;
        let new = RouteInsert {
            targets: vec![target("CLAUDE-EU", Some("b"), 1000), target(&claude.to_string(), None, 1)],
            fallbacks: vec![target("claude", Some("z"), 1), target("claude-eu", None, 1), target("claude", Some("a"), 1)],
            enabled: false,
            ..route(db, "Sonnet", "Claude")
        };
        let made = db.store().route_insert(&owner, new.clone()).await.unwrap();
        assert_eq!((made.id, &*made.name, &*made.model, made.enabled), (new.id, "sonnet", "claude-sonnet-*", false));
        assert_eq!((made.provider.id, &*made.provider.name), (claude, "claude"));
        assert_eq!((made.created_at, made.updated_at), (START, START));
        let targets: Vec<_> = made.targets.iter().map(|t| (t.provider.id, &*t.provider.name, t.model.as_deref(), t.weight)).collect();
        assert_eq!(targets, [(eu, "claude-eu", Some("b"), 1000), (claude, "claude", None, 1)]);
        let fallbacks: Vec<_> = made.fallbacks.iter().map(|t| (t.provider.id, t.model.as_deref())).collect();
        assert_eq!(fallbacks, [(claude, Some("z")), (eu, None), (claude, Some("a"))], "in the operator's order");
        for text in ["SONNET", &new.id.to_string()] {
            assert_eq!(db.store().route_find(&owner, text).await.unwrap(), made);
        }
    }

    async fn the_list_is_oldest_first_with_each_ones_targets(db: TestDb) {
        let owner = people(db).await.owner.caller;
        providers(db, &owner).await;
        let mut made = Vec::new();
        for name in ["c", "a", "b"] {
            db.clock().advance(Duration::from_secs(1));
            let new = RouteInsert { targets: vec![target("claude", Some(name), 1)], ..route(db, name, "claude") };
            made.push(db.store().route_insert(&owner, new).await.unwrap());
        }
        let first = db.store().route_list(&owner, Page::first(2)).await.unwrap();
        assert_eq!(first.items, made[..2]);
        let second = db.store().route_list(&owner, Page { limit: 2, after: first.next }).await.unwrap();
        assert_eq!((&second.items[..], second.next), (&made[2..], None));
    }

    async fn providers_must_be_there_and_take_the_same_requests(db: TestDb) {
        let owner = people(db).await.owner.caller;
        providers(db, &owner).await;
        let before = version(db).await;
        let new = RouteInsert {
            targets: vec![target("claude", None, 1), target("openai", None, 1), target("gone", None, 1)],
            fallbacks: vec![target("local", None, 1)],
            ..route(db, "mixed", "claude")
        };
        let expected = [
            (RoutePlace::Target(1), other(Anthropic, OpenAi)),
            (RoutePlace::Target(2), RouteMisfitReason::Unknown),
            (RoutePlace::Fallback(0), other(Anthropic, OpenAiCompatible)),
        ];
        assert_eq!(misfits(db.store().route_insert(&owner, new).await), expected);
        let stranger = db.ambient().new_id::<ProviderId>().to_string();
        let nowhere = RouteInsert { provider: stranger, ..route(db, "nowhere", "openai") };
        assert_eq!(misfits(db.store().route_insert(&owner, nowhere).await), [(RoutePlace::Entry, RouteMisfitReason::Unknown)]);
        assert_eq!(version(db).await, before, "what changed nothing does not count");
        // Anthropic's models at Vertex AI have another path and another body.
        let new = ProviderInsert { provider_type: Vertex, ..provider(db, "vertex", vec![]) };
        db.store().provider_insert(&owner, new).await.unwrap();
        for (entry, target_name, why) in [("claude", "vertex", other(Anthropic, Vertex)), ("vertex", "claude", other(Vertex, Anthropic))] {
            let new = RouteInsert { targets: vec![target(target_name, None, 1)], ..route(db, "apart", entry) };
            assert_eq!(misfits(db.store().route_insert(&owner, new).await), [(RoutePlace::Target(0), why)]);
        }
        // Their paths name the project and the location.
        for (name, location) in [("vertex-us", "us"), ("vertex-eu", "eu"), ("vertex-eu-2", "eu")] {
            let settings = [("project", "p"), ("location", location)].map(|(name, value)| (name.into(), value.into()));
            let new = ProviderInsert { provider_type: Vertex, settings: settings.into_iter().collect(), ..provider(db, name, vec![]) };
            db.store().provider_insert(&owner, new).await.unwrap();
        }
        let new = RouteInsert { targets: vec![target("vertex-eu-2", None, 1)], fallbacks: vec![target("vertex-us", None, 1)], ..route(db, "away", "vertex-eu") };
        let elsewhere = [(RoutePlace::Fallback(0), RouteMisfitReason::OtherSetting("location"))];
        assert_eq!(misfits(db.store().route_insert(&owner, new.clone()).await), elsewhere);
        db.store().route_insert(&owner, RouteInsert { fallbacks: vec![], ..new }).await.unwrap();
        // Both speak OpenAI's format.
        let fits = RouteInsert { fallbacks: vec![target("local", None, 1)], ..route(db, "fits", "openai") };
        db.store().route_insert(&owner, fits).await.unwrap();
    }

    async fn a_patch_changes_what_it_names_and_no_more(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let [_, eu, openai, _] = providers(db, &owner).await;
        let new = RouteInsert {
            targets: vec![target("claude", Some("a"), 3), target("claude-eu", None, 2)],
            fallbacks: vec![target("claude", Some("c"), 1)],
            ..route(db, "sonnet", "claude")
        };
        let made = db.store().route_insert(&owner, new.clone()).await.unwrap();
        db.clock().advance(Duration::from_secs(1));
        let patch = RoutePatch { enabled: Some(false), ..RoutePatch::default() };
        let off = db.store().route_update(&owner, made.id, patch).await.unwrap();
        assert_eq!(off, Route { enabled: false, updated_at: db.ambient().now(), ..made.clone() });
        let patch = RoutePatch {
            provider: Some("claude-eu".into()),
            model: Some("claude-opus-4-1".into()),
            fallbacks: Some(vec![]),
            ..RoutePatch::default()
        };
        let moved = db.store().route_update(&owner, made.id, patch).await.unwrap();
        assert_eq!((moved.provider.id, &*moved.model, moved.enabled), (eu, "claude-opus-4-1", false));
        assert_eq!((&moved.targets, moved.fallbacks.len()), (&made.targets, 0));
        // What stays must go with what is new.
        let patch = RoutePatch { provider: Some("openai".into()), ..RoutePatch::default() };
        let others = [0, 1].map(|at| (RoutePlace::Target(at), other(OpenAi, Anthropic)));
        assert_eq!(misfits(db.store().route_update(&owner, made.id, patch.clone()).await), others);
        assert_eq!(db.store().route_find(&owner, "sonnet").await.unwrap(), moved);
        let whole = RoutePatch { targets: Some(vec![target("local", None, 1)]), ..patch };
        let changed = db.store().route_update(&owner, made.id, whole).await.unwrap();
        assert_eq!((changed.provider.id, &*changed.targets[0].provider.name), (openai, "local"));
        let missing = db.store().route_update(&owner, "none", RoutePatch::default()).await;
        assert!(matches!(missing, Err(StoreError::NotFound)));
    }

    async fn a_provider_that_routes_name_stays(db: TestDb) {
        let owner = people(db).await.owner.caller;
        let [claude, eu, openai, local] = providers(db, &owner).await;
        db.store().route_insert(&owner, route(db, "entry", "claude")).await.unwrap();
        db.clock().advance(Duration::from_secs(1));
        let new = RouteInsert { targets: vec![target("claude-eu", None, 1)], ..route(db, "by-target", "claude") };
        db.store().route_insert(&owner, new).await.unwrap();
        db.clock().advance(Duration::from_secs(1));
        let new = RouteInsert { fallbacks: vec![target("claude-eu", None, 1)], ..route(db, "a-fallback", "claude") };
        let last = db.store().route_insert(&owner, new).await.unwrap();
        let before = version(db).await;
        assert_eq!(users(db.store().provider_delete(&owner, claude).await), ["entry", "by-target", "a-fallback"]);
        db.clock().advance(Duration::from_secs(1));
        assert_eq!(users(db.store().provider_delete(&owner, eu).await), ["by-target", "a-fallback"]);
        assert_eq!(version(db).await, before);
        assert!(db.store().provider_find(&owner, "claude-eu").await.is_ok());
        let filter = AuditFilter { action: Some("delete".into()), ..AuditFilter::default() };
        let refused = &db.store().audit_list(&owner, &filter, Page::first(1)).await.unwrap().items[0];
        assert_eq!((refused.target_id, refused.outcome), (Some(eu.as_uuid()), AuditOutcome::Denied));
        assert_eq!(
            refused.detail.as_deref(),
            Some("these routes use the provider: by-target, a-fallback; change or delete them first")
        );
        let patch = RoutePatch { targets: Some(vec![target("claude", None, 1)]), ..RoutePatch::default() };
        let by_target = db.store().route_find(&owner, "by-target").await.unwrap().id;
        db.store().route_update(&owner, by_target, patch).await.unwrap();
        db.store().route_delete(&owner, last.id).await.unwrap();
        for free in [eu, openai, local] {
            db.store().provider_delete(&owner, free).await.unwrap();
        }
    }

    async fn every_change_counts_the_version_up_and_is_in_the_audit_log(db: TestDb) {
        let owner = people(db).await.owner.caller;
        providers(db, &owner).await;
        let start = version(db).await;
        let new = route(db, "Sonnet", "claude");
        db.store().route_insert(&owner, new.clone()).await.unwrap();
        assert_eq!(version(db).await, start + 1);
        db.clock().advance(Duration::from_secs(1));
        db.store().route_update(&owner, new.id, RoutePatch::default()).await.unwrap();
        assert_eq!(version(db).await, start + 2);
        db.clock().advance(Duration::from_secs(1));
        db.store().route_delete(&owner, new.id).await.unwrap();
        assert_eq!(version(db).await, start + 3);
        assert!(matches!(db.store().route_delete(&owner, new.id).await, Err(StoreError::NotFound)));
        assert_eq!(version(db).await, start + 3, "what changed nothing does not count");
        assert!(matches!(db.store().route_find(&owner, "sonnet").await, Err(StoreError::NotFound)));
        let filter = AuditFilter { resource_type: Some(lychgate_authz::Resource::Route), ..AuditFilter::default() };
        let log = db.store().audit_list(&owner, &filter, Page::first(9)).await.unwrap().items;
        let told: Vec<_> = log.iter().map(|e| (&*e.action, e.target_id, e.target_name.as_deref(), e.outcome)).collect();
        let entry = |action| (action, Some(new.id.as_uuid()), Some("sonnet"), AuditOutcome::Ok);
        assert_eq!(told, [entry("delete"), entry("update"), entry("create")]);
    }

    async fn replicas_get_the_routes_in_force_in_the_order_of_trying(db: TestDb) {
        let owner = people(db).await.owner.caller;
        providers(db, &owner).await;
        for (name, provider, model) in [
            ("all", "claude", "*"),
            ("short", "claude", "claude-*"),
            ("exact", "claude", "claude-sonnet-5"),
            ("long", "claude", "claude-sonnet-*"),
            ("other", "openai", "gpt-*"),
            ("long-again", "claude", "claude-sonnet-*"),
            ("off", "claude", "claude-haiku-4-5"),
            ("exact-short", "claude", "c"),
        ] {
            db.clock().advance(Duration::from_secs(1));
            let new = RouteInsert { model: model.into(), enabled: name != "off", ..route(db, name, provider) };
            db.store().route_insert(&owner, new).await.unwrap();
        }
        let replica = Caller { principal: Principal::Replica { gateway_key_id: db.ambient().new_id() }, request_id: None };
        let sent = db.store().configuration(&replica).await.unwrap().routes;
        let of_claude: Vec<_> = sent.iter().filter(|route| route.provider.name == "claude").cloned().collect();
        assert_eq!(names(&of_claude), ["exact", "exact-short", "long", "long-again", "short", "all"]);
        assert_eq!(sent.len(), 7);
        assert_eq!(sent[0], db.store().route_find(&replica, "exact").await.unwrap(), "with targets");
        let refused = db.store().configuration(&owner).await;
        assert!(matches!(refused, Err(StoreError::Denied(Denial::Forbidden))));
    }

    /// Neither may win halfway: no route may be left that names a provider which is not there.
    async fn a_route_and_the_end_of_its_provider_at_once(db: TestDb) {
        let owner = people(db).await.owner.caller;
        for n in 0..8 {
            let name = format!("p-{n}");
            let id = db.store().provider_insert(&owner, provider(db, &name, vec![])).await.unwrap().id;
            let new = route(db, &name, &name);
            let (made, gone) = tokio::join!(db.store().route_insert(&owner, new), db.store().provider_delete(&owner, id));
            match (made, gone) {
                (Ok(_), gone) => assert_eq!(users(gone), [name]),
                (made, Ok(())) => assert_eq!(misfits(made).len(), 2),
                other => panic!("{other:?}"),
            }
        }
    }
}
