//! The audit log: what each change leaves in it, and what it never holds.

use crate::people::{gateway_key, narrowed, people, plane, provider, provider_key, rotation, route, token};
use lychgate_authz::{Caller, Principal, Resource, Role, Scopes};
use lychgate_store::{
    ActorKind, AuditEntry, AuditFilter, AuditInsert, AuditOutcome, GatewayKeyPatch, Page, ProviderPatch, RoutePatch,
    StoreError, UserInsert, UserState,
};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{START, TestDb};
use lychgate_types::policy::PolicyChange;
use std::collections::BTreeMap;
use std::time::Duration;

async fn entries(db: &TestDb, owner: &Caller, filter: AuditFilter) -> Vec<AuditEntry> {
    db.store()
        .audit_list(owner, &filter, Page::first(200))
        .await
        .unwrap()
        .items
}

fn told(fields: &BTreeMap<String, String>) -> String {
    let words: Vec<_> = fields.iter().map(|(field, text)| format!("{field}={text}")).collect();
    words.join(" ")
}

fn words(entries: &[AuditEntry]) -> Vec<(&str, &str, &str, Option<&str>)> {
    let word = |e: &'static str| e;
    entries
        .iter()
        .map(|e| {
            (
                &*e.action,
                word(e.resource_type.as_str()),
                word(e.outcome.as_str()),
                e.target_name.as_deref(),
            )
        })
        .collect()
}

both_engines! {
    async fn an_entry_says_who_did_what_to_what_when_and_in_which_request(db: TestDb) {
        let people = people(db).await;
        db.clock().advance(Duration::from_secs(3));
        let (new, _) = gateway_key(db, "Edge");
        db.store().ai_gateway_key_insert(&people.owner.caller, new.clone(), None).await.unwrap();
        let filter = AuditFilter { resource_type: Some(Resource::AiGatewayKey), ..AuditFilter::default() };
        let found = entries(db, &people.auditor.caller, filter).await;
        let [entry] = &found[..] else { panic!("{found:?}") };
        let Principal::User(user) = &people.owner.caller.principal else { unreachable!() };
        assert_eq!(entry.created_at, START.plus(Duration::from_secs(3)));
        assert_eq!((entry.actor_kind, entry.actor_id), (ActorKind::User, Some(people.owner.id.as_uuid())));
        assert_eq!((entry.actor_name.as_deref(), entry.actor_token_id), (Some("root"), Some(user.token_id)));
        assert_eq!((&*entry.action, entry.resource_type, entry.outcome), ("create", Resource::AiGatewayKey, AuditOutcome::Ok));
        assert_eq!((entry.target_id, entry.target_name.as_deref()), (Some(new.id.as_uuid()), Some("edge")));
        assert_eq!((entry.target_prefix.as_ref(), &entry.detail), (Some(&new.secret_prefix), &None));
        assert_eq!(entry.request_id, people.owner.caller.request_id);
    }

    async fn every_change_leaves_one_entry(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let store = db.store();
        let tick = || db.clock().advance(Duration::from_secs(1));
        let since = Some(db.ambient().now().plus(Duration::from_secs(1)));
        tick();
        let user = store.user_insert(owner, UserInsert { username: "Ada".into(), role: Role::Member }).await.unwrap();
        tick();
        store.user_set_state(owner, user.id, UserState::Suspended).await.unwrap();
        tick();
        store.user_set_state(owner, user.id, UserState::Active).await.unwrap();
        tick();
        let made = store.token_insert(owner, token(db, user.id).0, None).await.unwrap();
        tick();
        store.token_revoke(owner, made.id).await.unwrap();
        tick();
        store.user_delete(owner, user.id).await.unwrap();
        tick();
        let (key, _) = gateway_key(db, "edge");
        store.ai_gateway_key_insert(owner, key.clone(), None).await.unwrap();
        tick();
        store.ai_gateway_key_rotate(owner, key.id, rotation(db).0, None).await.unwrap();
        tick();
        let patch = GatewayKeyPatch { disabled: Some(true), allowed_cidrs: Some(Some(vec!["10.0.0.0/8".parse().unwrap()])), ..GatewayKeyPatch::default() };
        store.ai_gateway_key_update(owner, key.id, patch).await.unwrap();
        tick();
        store.ai_gateway_key_delete(owner, key.id).await.unwrap();
        tick();
        let new = provider(db, "claude", vec![]);
        store.provider_insert(owner, new.clone()).await.unwrap();
        tick();
        store.provider_update(owner, new.id, ProviderPatch::default()).await.unwrap();
        tick();
        store.provider_delete(owner, new.id).await.unwrap();
        // Nothing was there any more, so nothing was done.
        store.provider_delete(owner, new.id).await.unwrap_err();
        store.ai_gateway_key_delete(owner, key.id).await.unwrap_err();
        store.user_delete(owner, user.id).await.unwrap_err();
        store.token_revoke(owner, made.id).await.unwrap_err();
        let mut found = entries(db, owner, AuditFilter { since, ..AuditFilter::default() }).await;
        found.reverse();
        let expected = [
            ("create", "user", "ok", Some("ada")),
            ("suspend", "user", "ok", Some("ada")),
            ("activate", "user", "ok", Some("ada")),
            ("create", "token", "ok", Some("laptop")),
            ("revoke", "token", "ok", Some("laptop")),
            ("delete", "user", "ok", Some("ada")),
            ("create", "ai_gateway_key", "ok", Some("edge")),
            ("rotate", "ai_gateway_key", "ok", Some("edge")),
            ("update", "ai_gateway_key", "ok", Some("edge")),
            ("delete", "ai_gateway_key", "ok", Some("edge")),
            ("create", "provider", "ok", Some("claude")),
            ("update", "provider", "ok", Some("claude")),
            ("delete", "provider", "ok", Some("claude")),
        ];
        assert_eq!(words(&found), expected);
        assert!(found[7].detail.as_deref().unwrap().starts_with("the secret before works until 2026-11-24T10:"), "{:?}", found[7]);
        for action in expected.map(|(action, ..)| action).into_iter().chain(["attach", "detach", "drain", "refuse"]) {
            let filter = AuditFilter { action: Some(action.into()), since: Some(db.ambient().now().plus(Duration::from_secs(1))), ..AuditFilter::default() };
            assert_eq!(entries(db, owner, filter).await, [], "{action}: what has not happened is nothing mistyped");
        }
        let fields = |entry: &AuditEntry| (told(&entry.change.before), told(&entry.change.after));
        assert_eq!(fields(&found[0]), (String::new(), "role=member state=active username=ada".into()));
        assert_eq!(fields(&found[1]), ("state=active".into(), "state=suspended".into()));
        assert_eq!(fields(&found[4]).1, "", "what ends has no fields any more");
        assert!(fields(&found[4]).0.contains("name=laptop scopes=* token_prefix="), "{:?}", found[4]);
        assert_eq!(fields(&found[5]), ("role=member state=active username=ada".into(), String::new()));
        assert_eq!(found[7].change.after["key_prefix"], *found[7].target_prefix.as_ref().unwrap());
        assert_eq!(found[7].change.before["key_prefix"], *found[6].target_prefix.as_ref().unwrap());
        assert_eq!(fields(&found[8]), ("disabled=false".into(), "allowed_cidrs=10.0.0.0/8 disabled=true".into()));
        assert_eq!(fields(&found[11]), (String::new(), String::new()), "nothing was changed");
        assert!(found[7].target_prefix != found[6].target_prefix && found[8].target_prefix == found[7].target_prefix);
    }

    async fn an_entry_tells_a_providers_and_a_routes_fields_before_and_after(db: TestDb) {
        let people = people(db).await;
        let (store, owner) = (db.store(), &people.owner.caller);
        let new = provider(db, "claude", vec![provider_key(db, "sk-a…0001")]);
        let key = new.keys[0].id;
        store.provider_insert(owner, new.clone()).await.unwrap();
        let mut policy = PolicyChange { http2: Some(true), ..PolicyChange::default() };
        policy.retry.max_attempts = Some(5);
        db.clock().advance(Duration::from_secs(1));
        let patch = ProviderPatch {
            base_url: Some("https://eu.example".into()), settings: Some([("region".to_owned(), "eu".to_owned())].into_iter().collect()),
            keys: Some(Vec::new()), policy, ..ProviderPatch::default()
        };
        store.provider_update(owner, new.id, patch).await.unwrap();
        let way = route(db, "way", "claude");
        store.route_insert(owner, way.clone()).await.unwrap();
        db.clock().advance(Duration::from_secs(1));
        store.route_update(owner, way.id, RoutePatch { enabled: Some(false), model: Some("a*".into()), ..RoutePatch::default() }).await.unwrap();
        let of = async |resource| {
            let filter = AuditFilter { resource_type: Some(resource), ..AuditFilter::default() };
            let mut found = entries(db, owner, filter).await;
            found.reverse();
            found.into_iter().map(|entry| (told(&entry.change.before), told(&entry.change.after))).collect::<Vec<_>>()
        };
        let made = format!("allow_private=false base_url=https://api.anthropic.com enabled=true keys=sk-a…0001 ({key}) name=claude type=anthropic");
        let providers = [
            (String::new(), made),
            (
                format!("base_url=https://api.anthropic.com keys=sk-a…0001 ({key}) policy.http2=false policy.retry.max_attempts=3"),
                "base_url=https://eu.example keys= policy.http2=true policy.retry.max_attempts=5 settings.region=eu".to_owned(),
            ),
        ];
        assert_eq!(of(Resource::Provider).await, providers);
        let routes = [
            (String::new(), "enabled=true fallbacks= model=claude-sonnet-* name=way provider=claude targets=claude:1".to_owned()),
            ("enabled=true model=claude-sonnet-*".to_owned(), "enabled=false model=a*".to_owned()),
        ];
        assert_eq!(of(Resource::Route).await, routes);
    }

    async fn what_is_refused_is_written_down_too(db: TestDb) {
        let people = people(db).await;
        let member = &people.member.caller;
        let since = Some(db.ambient().now().plus(Duration::from_secs(1)));
        db.clock().advance(Duration::from_secs(1));
        let (key, _) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(member, key.clone(), None).await.unwrap_err();
        db.clock().advance(Duration::from_secs(1));
        db.store().user_delete(member, people.owner.id).await.unwrap_err();
        db.clock().advance(Duration::from_secs(1));
        db.store().user_delete(&people.owner.caller, people.owner.id).await.unwrap_err();
        db.clock().advance(Duration::from_secs(1));
        let (mut wide, _) = token(db, people.member.id);
        wide.scopes = Scopes::all();
        db.store().token_insert(&narrowed(member, &["token:create"]), wide, None).await.unwrap_err();
        let until = Some(db.ambient().now().plus(Duration::from_secs(1)));
        db.clock().advance(Duration::from_secs(1));
        db.store().ai_gateway_key_insert(&people.owner.caller, key.clone(), None).await.unwrap();
        db.store().ai_gateway_key_rotate(&people.owner.caller, key.id, rotation(db).0, None).await.unwrap();
        let since_then = Some(db.ambient().now().plus(Duration::from_secs(1)));
        db.clock().advance(Duration::from_secs(1));
        db.store().ai_gateway_key_rotate(&people.owner.caller, key.id, rotation(db).0, None).await.unwrap_err();
        db.clock().advance(Duration::from_secs(1));
        db.store().ai_gateway_key_rotate(&people.auditor.caller, key.id, rotation(db).0, None).await.unwrap_err();
        db.clock().advance(Duration::from_secs(1));
        db.store().ai_gateway_key_update(&people.auditor.caller, key.id, GatewayKeyPatch::default()).await.unwrap_err();
        let mut of_keys = entries(db, &people.owner.caller, AuditFilter { since: since_then, ..AuditFilter::default() }).await;
        of_keys.reverse();
        let expected = [
            ("rotate", "ai_gateway_key", "denied", Some("edge")),
            ("rotate", "ai_gateway_key", "denied", None),
            ("update", "ai_gateway_key", "denied", None),
        ];
        assert_eq!(words(&of_keys), expected);
        assert!(of_keys[0].detail.as_deref().unwrap().contains("still works"));

        let mut found = entries(db, &people.owner.caller, AuditFilter { since, until, ..AuditFilter::default() }).await;
        found.reverse();
        let expected = [
            ("create", "ai_gateway_key", "denied", Some("edge")),
            ("delete", "user", "denied", Some("root")),
            ("delete", "user", "denied", Some("root")),
            ("create", "token", "denied", Some("laptop")),
        ];
        assert_eq!(words(&found), expected);
        assert_eq!(found[0].actor_name.as_deref(), Some("mel"));
        assert_eq!(found[1].target_id, Some(people.owner.id.as_uuid()));
        assert!(found[2].detail.as_deref().unwrap().contains("last active owner"));
        assert!(found[3].detail.as_deref().unwrap().contains("scopes"));
    }

    async fn no_entry_holds_a_secret_or_a_hash(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let (key, secret) = gateway_key(db, "edge");
        let id = key.id;
        db.store().ai_gateway_key_insert(owner, key, None).await.unwrap();
        let (rotation, second) = rotation(db);
        db.store().ai_gateway_key_rotate(owner, id, rotation, None).await.unwrap();
        let canary = provider_key(db, "sk-a…cdef");
        db.store().provider_insert(owner, provider(db, "claude", vec![canary])).await.unwrap();
        let text = format!("{:?}", entries(db, owner, AuditFilter::default()).await);
        assert!(text.contains(secret.prefix()), "the public prefix is there");
        let hex = |hash: &[u8]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for secret_text in [secret.expose(), second.expose(), people.owner.secret.expose(), people.member.secret.expose()] {
            assert!(!text.contains(&secret_text[..12]), "more than the prefix");
        }
        for secret in [secret, second] {
            assert!(!text.contains(&hex(&secret.hash().as_bytes()[..4])) && !text.contains("sealed"));
        }
    }

    /// Nobody fills the log by asking for what is refused.
    async fn refusals_of_one_kind_are_counted_together(db: TestDb) {
        let people = people(db).await;
        let store = db.store();
        let refuse = async |times: usize| {
            for n in 0..times {
                let user = UserInsert { username: format!("e-{n}"), role: Role::Owner };
                store.user_insert(&people.member.caller, user).await.unwrap_err();
            }
        };
        let denied = async || {
            let mut found = entries(db, &people.owner.caller, AuditFilter::default()).await;
            found.retain(|entry| entry.outcome == AuditOutcome::Denied);
            found.into_iter().map(|entry| (entry.actor_id, entry.detail)).collect::<Vec<_>>()
        };
        let by = |detail: Option<&str>| (Some(people.member.id.as_uuid()), detail.map(str::to_owned));
        refuse(500).await;
        store.audit_denied_flush(&plane(), false).await.unwrap();
        assert_eq!(denied().await, vec![by(None); 10]);
        store.user_delete(&people.member.caller, people.owner.id).await.unwrap_err();
        assert_eq!(denied().await.len(), 11, "another action is told by itself");
        db.clock().advance(Duration::from_secs(60));
        store.audit_denied_flush(&plane(), false).await.unwrap();
        let found = denied().await;
        assert_eq!((found.len(), &found[0]), (12, &by(Some("490 more within a minute"))));
        refuse(12).await;
        db.clock().advance(Duration::from_secs(1));
        store.audit_denied_flush(&plane(), true).await.unwrap();
        assert_eq!(denied().await[0], by(Some("2 more within a minute")));
    }

    async fn appended_entries_are_cut_to_fit_and_found_by_each_filter(db: TestDb) {
        let people = people(db).await;
        let (key, _) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&people.owner.caller, key.clone(), None).await.unwrap();
        let long = || "é\0".repeat(2000);
        let entry = AuditInsert {
            action: "attach".into(),
            resource_type: Resource::AiGatewayKey,
            target_id: Some(key.id.as_uuid()),
            target_name: Some(long()),
            target_prefix: Some(long()),
            outcome: AuditOutcome::Failed,
            detail: Some(long()),
        };
        db.clock().advance(Duration::from_secs(1));
        let at = db.ambient().now();
        db.store().audit_append(&plane(), entry).await.unwrap();
        let owner = &people.owner.caller;
        let by = |filter: AuditFilter| entries(db, owner, filter);
        let found = by(AuditFilter { action: Some("attach".into()), ..AuditFilter::default() }).await;
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.actor_kind, one.actor_id, &one.actor_name), (ActorKind::ControlPlane, None, &None));
        assert_eq!(one.target_name.as_ref().unwrap().chars().count(), 200);
        assert_eq!(one.detail.as_ref().unwrap().chars().count(), 500);
        assert_eq!((one.outcome, one.request_id), (AuditOutcome::Failed, None));
        assert_eq!(by(AuditFilter { since: Some(at), ..AuditFilter::default() }).await, found);
        assert_eq!(by(AuditFilter { until: Some(at), action: Some("attach".into()), ..AuditFilter::default() }).await, []);
        let roots = by(AuditFilter { actor: Some("ROOT".into()), ..AuditFilter::default() }).await;
        assert_eq!(roots.len(), 5, "two users, their tokens, one gateway key");
        assert_eq!(by(AuditFilter { actor: Some(people.owner.id.to_string()), ..AuditFilter::default() }).await, roots);
        assert_eq!(by(AuditFilter { actor: Some("control_plane".into()), action: Some("attach".into()), ..AuditFilter::default() }).await, found);
        let mistyped = [
            (AuditFilter { actor: Some("nobody".into()), ..AuditFilter::default() }, "actor"),
            (AuditFilter { action: Some("atach".into()), ..AuditFilter::default() }, "action"),
        ];
        for (filter, field) in mistyped {
            match db.store().audit_list(owner, &filter, Page::first(9)).await {
                Err(StoreError::Unmatched(filters)) => assert_eq!(filters[0].filter, field),
                listed => panic!("{listed:?}"),
            }
        }
        let first = db.store().audit_list(owner, &AuditFilter::default(), Page::first(5)).await.unwrap();
        let second = db.store().audit_list(owner, &AuditFilter::default(), Page { limit: 5, after: first.next }).await.unwrap();
        let mut walked = first.items;
        walked.extend(second.items);
        assert_eq!(walked, by(AuditFilter::default()).await);
        assert!(walked.is_sorted_by_key(|entry| std::cmp::Reverse((entry.created_at, entry.id))));
    }
}
