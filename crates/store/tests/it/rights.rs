//! Who gets through this door: role × action × resource, each at a method that asks for it, held against the policy itself.

use crate::people::{gateway_key, narrowed, people, plane, provider, record, rotation, route, token};
use crate::replicas::attachment;
use lychgate_authz::{Action, Caller, Denial, Principal, Role, Scopes, UserPrincipal};
use lychgate_store::{
    AuditFilter, AuditInsert, AuditOutcome, GatewayKeyPatch, InterceptionFilter, KeyFilter, Page, ProviderPatch,
    ReplicaFilter, ReplicaStamp, RoutePatch,
};
use lychgate_store::{StoreError, TokenFilter, UserFilter, UserInsert, UserState};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::{Ambient, Timestamp, UserId};
use std::sync::Arc;

/// What a call came to, as far as rights go.
fn verdict<T>(result: &Result<T, StoreError>) -> &'static str {
    match result {
        Err(StoreError::Denied(Denial::Forbidden)) => "forbidden",
        Err(StoreError::Denied(Denial::Hidden)) => "hidden",
        // Not there, or a rule of another kind: the right itself was given.
        _ => "allowed",
    }
}

/// One call per method, aimed at things that are not there or belong to nobody, so that no call changes the next one's answer.
async fn verdicts(db: &TestDb, caller: &Caller, n: usize) -> Vec<(&'static str, &'static str)> {
    let (store, page) = (db.store(), Page::first(1));
    let ambient: Ambient = db.ambient();
    let stranger: UserId = ambient.new_id();
    let name = |what: &str| format!("{what}-{n}");
    let user = UserInsert {
        username: name("user"),
        role: Role::Member,
    };
    let entry = AuditInsert {
        action: "attach".into(),
        resource_type: lychgate_authz::Resource::AiGatewayKey,
        target_id: None,
        target_name: None,
        target_prefix: None,
        outcome: AuditOutcome::Ok,
        detail: None,
    };
    let hash = lychgate_types::secret::SecretHash::from_bytes([1; 32]);
    let records = [Arc::new(record(db, hash))];
    let attachment = attachment(db, ambient.new_id(), ambient.new_id());
    let at = Timestamp::from_micros(0);
    vec![
        ("user create", verdict(&store.user_insert(caller, user).await)),
        (
            "user list",
            verdict(&store.user_list(caller, &UserFilter::default(), page).await),
        ),
        ("user read", verdict(&store.user_get(caller, stranger).await)),
        (
            "user update",
            verdict(&store.user_set_state(caller, stranger, UserState::Suspended).await),
        ),
        ("user delete", verdict(&store.user_delete(caller, stranger).await)),
        (
            "token create for another",
            verdict(&store.token_insert(caller, token(db, stranger).0).await),
        ),
        (
            "token list",
            verdict(&store.token_list(caller, TokenFilter::default(), page).await),
        ),
        ("token read", verdict(&store.token_get(caller, ambient.new_id()).await)),
        (
            "token revoke",
            verdict(&store.token_revoke(caller, ambient.new_id()).await),
        ),
        (
            "token authenticate",
            verdict(&store.token_authenticate(caller, &hash).await),
        ),
        (
            "token touch",
            verdict(&store.token_touch(caller, ambient.new_id(), at).await),
        ),
        (
            "key create",
            verdict(
                &store
                    .ai_gateway_key_insert(caller, gateway_key(db, &name("key")).0, None)
                    .await,
            ),
        ),
        (
            "key list",
            verdict(&store.ai_gateway_key_list(caller, &KeyFilter::default(), page).await),
        ),
        ("key read", verdict(&store.ai_gateway_key_find(caller, "none").await)),
        (
            "key authenticate",
            verdict(&store.ai_gateway_key_authenticate(caller, &hash).await),
        ),
        (
            "key providers for a new one",
            verdict(&store.ai_gateway_key_providers(caller, Action::Create, &[]).await),
        ),
        (
            "key update",
            verdict(
                &store
                    .ai_gateway_key_update(caller, ambient.new_id(), GatewayKeyPatch::default())
                    .await,
            ),
        ),
        (
            "key providers for a change",
            verdict(&store.ai_gateway_key_providers(caller, Action::Update, &[]).await),
        ),
        (
            "key rotate",
            verdict(
                &store
                    .ai_gateway_key_rotate(caller, ambient.new_id(), rotation(db).0)
                    .await,
            ),
        ),
        (
            "key expiring",
            verdict(&store.ai_gateway_key_expiring(caller, at).await),
        ),
        ("key count", verdict(&store.ai_gateway_key_count(caller).await)),
        (
            "key secrets prune",
            verdict(&store.ai_gateway_key_secrets_prune(caller).await),
        ),
        (
            "key touch",
            verdict(&store.ai_gateway_key_touch(caller, ambient.new_id(), at).await),
        ),
        (
            "key delete",
            verdict(&store.ai_gateway_key_delete(caller, ambient.new_id()).await),
        ),
        (
            "provider create",
            verdict(
                &store
                    .provider_insert(caller, provider(db, &name("provider"), vec![]))
                    .await,
            ),
        ),
        ("provider list", verdict(&store.provider_list(caller, page).await)),
        ("provider read", verdict(&store.provider_find(caller, "none").await)),
        (
            "provider update",
            verdict(
                &store
                    .provider_update(caller, ambient.new_id(), ProviderPatch::default())
                    .await,
            ),
        ),
        (
            "provider delete",
            verdict(&store.provider_delete(caller, ambient.new_id()).await),
        ),
        (
            "route create",
            verdict(&store.route_insert(caller, route(db, &name("route"), "none")).await),
        ),
        ("route list", verdict(&store.route_list(caller, page).await)),
        ("route read", verdict(&store.route_find(caller, "none").await)),
        (
            "route update",
            verdict(
                &store
                    .route_update(caller, ambient.new_id(), RoutePatch::default())
                    .await,
            ),
        ),
        (
            "route delete",
            verdict(&store.route_delete(caller, ambient.new_id()).await),
        ),
        ("configuration", verdict(&store.configuration(caller).await)),
        (
            "interception create",
            verdict(
                &store
                    .interception_ingest(caller, ReplicaStamp::default(), &records)
                    .await,
            ),
        ),
        (
            "interception list",
            verdict(
                &store
                    .interception_list(caller, &InterceptionFilter::default(), page)
                    .await,
            ),
        ),
        (
            "interception read",
            verdict(&store.interception_get(caller, ambient.new_id()).await),
        ),
        (
            "replica list",
            verdict(&store.replica_list(caller, ReplicaFilter::default(), page).await),
        ),
        (
            "replica read",
            verdict(&store.replica_get(caller, ambient.new_id()).await),
        ),
        (
            "replica drain",
            verdict(&store.replica_drain(caller, ambient.new_id()).await),
        ),
        (
            "replica attach",
            verdict(&store.replica_attach(caller, &attachment, &entry).await),
        ),
        (
            "replica heartbeat",
            verdict(&store.replica_heartbeat(caller, &[]).await),
        ),
        (
            "replica detach",
            verdict(&store.replica_detach(caller, &attachment, None, None, &entry).await),
        ),
        ("replica count", verdict(&store.replica_count(caller).await)),
        (
            "replicas of a key",
            verdict(&store.ai_gateway_key_replicas(caller, ambient.new_id()).await),
        ),
        (
            "live replicas of keys",
            verdict(&store.ai_gateway_key_live_replicas(caller, &[]).await),
        ),
        ("changes last", verdict(&store.changes_last(caller).await)),
        ("changes since", verdict(&store.changes_since(caller, 0, 1).await)),
        (
            "changes of tokens",
            verdict(&store.changes_tokens_revoked(caller, 0, 1).await),
        ),
        ("changes listen", verdict(&store.changes_listen(caller))),
        ("housekeeping", verdict(&store.housekeep(caller).await)),
        ("audit create", verdict(&store.audit_append(caller, entry).await)),
        (
            "audit list",
            verdict(&store.audit_list(caller, &AuditFilter::default(), page).await),
        ),
    ]
}

const fn short(verdict: &str) -> char {
    match verdict.as_bytes()[0] {
        b'a' => 'y',
        b'f' => 'n',
        _ => 'h',
    }
}

both_engines! {
    /// y: allowed, n: forbidden, h: hidden.
    async fn the_whole_door(db: TestDb) {
        let people = people(db).await;
        let replica = Caller { principal: Principal::Replica { gateway_key_id: db.ambient().new_id() }, request_id: None };
        let bare = narrowed(&people.owner.caller, &[]);
        let callers = [&people.owner.caller, &people.auditor.caller, &people.member.caller, &replica, &plane(), &bare];
        let mut columns = Vec::new();
        for (n, caller) in callers.into_iter().enumerate() {
            columns.push(Box::pin(verdicts(db, caller, n)).await);
        }
        let found: Vec<String> = (0..columns[0].len())
            .map(|row| {
                let cells: String = columns.iter().map(|column| short(column[row].1)).collect();
                format!("{cells} {}", columns[0][row].0)
            })
            .collect();
        // owner, auditor, member, replica, control plane, an owner's token without scopes
        let expected = [
            "ynnnyn user create",
            "yyynyn user list",
            "yyhhyn user read",
            "ynhhnn user update",
            "ynhhnn user delete",
            "ynhnyn token create for another",
            "yyynyn token list",
            "yyynyn token read",
            "yyynnn token revoke",
            "yyhyyn token authenticate",
            "ynhnyn token touch",
            "ynnnnn key create",
            "yynnyn key list",
            "yyhhyn key read",
            "yyhhyn key authenticate",
            "ynnnnn key providers for a new one",
            "ynhhyn key update",
            "ynhhyn key providers for a change",
            "ynhhyn key rotate",
            "yyhhyn key expiring",
            "yyhhyn key count",
            "ynhhyn key secrets prune",
            "ynhhyn key touch",
            "ynhhnn key delete",
            "ynnnnn provider create",
            "yynyyn provider list",
            "yyhyyn provider read",
            "ynhnnn provider update",
            "ynhnnn provider delete",
            "ynnnnn route create",
            "yynyyn route list",
            "yyhyyn route read",
            "ynhnnn route update",
            "ynhnnn route delete",
            "nnnyyn configuration",
            "nnhyyn interception create",
            "yyynnn interception list",
            "yyynnn interception read",
            "yynnyn replica list",
            "yyhhyn replica read",
            "ynhhyn replica drain",
            "nnnnyn replica attach",
            "nnhhyn replica heartbeat",
            "nnhhyn replica detach",
            "yyhhyn replica count",
            "yyhhyn replicas of a key",
            "yyhhyn live replicas of keys",
            "nnhhyn changes last",
            "nnhhyn changes since",
            "nnhhyn changes of tokens",
            "nnhhyn changes listen",
            "nnhhyn housekeeping",
            "nnnnyn audit create",
            "yynnnn audit list",
        ];
        assert_eq!(found, expected);
    }

    async fn a_scope_opens_exactly_its_own_door(db: TestDb) {
        let people = people(db).await;
        let keys = narrowed(&people.owner.caller, &["ai_gateway_key:create"]);
        let opened: Vec<_> = Box::pin(verdicts(db, &keys, 0)).await.into_iter().filter(|(_, verdict)| *verdict == "allowed").collect();
        assert_eq!(opened, [("key create", "allowed"), ("key providers for a new one", "allowed")]);
    }

    async fn a_refused_change_changes_nothing(db: TestDb) {
        let people = people(db).await;
        let (new, _) = gateway_key(db, "edge");
        db.store().ai_gateway_key_insert(&people.owner.caller, new.clone(), None).await.unwrap();
        let stranger = Caller {
            principal: Principal::User(UserPrincipal {
                user_id: db.ambient().new_id(),
                token_id: db.ambient().new_id(),
                role: Role::Member,
                scopes: Scopes::all(),
            }),
            request_id: None,
        };
        for caller in [&people.auditor.caller, &people.member.caller, &plane(), &stranger] {
            db.store().ai_gateway_key_delete(caller, new.id).await.unwrap_err();
        }
        assert!(db.store().ai_gateway_key_find(&people.owner.caller, "edge").await.is_ok());
    }
}
