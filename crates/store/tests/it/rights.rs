//! Who may call which method: role × method, held against the policy itself. The names of the methods are read from the source,
//! so that a new one without a case fails.

use crate::people::{gateway_key, narrowed, people, plane, provider, record, rotation, route, token};
use crate::replicas::attachment;
use crate::source;
use lychgate_authz::{Action, Caller, Denial, Principal, Role, Scopes, UserPrincipal};
use lychgate_store::{
    AuditFilter, AuditInsert, AuditOutcome, GatewayKeyPatch, InterceptionFilter, KeyFilter, Operation, Page,
    ProviderPatch, ReplicaFilter, ReplicaStamp, RoutePatch, Sealer,
};
use lychgate_store::{StoreError, TokenFilter, UserFilter, UserInsert, UserPatch, UserState};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::secret::{MasterKey, SecretHash};
use lychgate_types::{Ambient, GatewayKeyId, ProviderId, RouteId, Timestamp, UserId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a call came to, as far as rights go.
fn verdict<T>(result: &Result<T, StoreError>) -> &'static str {
    match result {
        Err(StoreError::Denied(Denial::Forbidden | Denial::OutOfScope { .. })) => "forbidden",
        Err(StoreError::Denied(Denial::Hidden)) => "hidden",
        // Not there, or a rule of another kind: the right itself was given.
        _ => "allowed",
    }
}

/// Calls each method and gives its name, with a note where there is one, and its verdict.
macro_rules! verdicts_of {
    ($store:ident, $caller:ident; $($method:ident($($arg:expr),*) $(=> $note:literal)? $($await:ident)?;)*) => {
        vec![$((
            concat!(stringify!($method) $(, " for ", $note)?),
            verdict(&verdicts_of!(@call $store.$method($caller, $($arg),*) $(, $await)?)),
        ),)*]
    };
    (@call $call:expr, sync) => { $call };
    (@call $call:expr) => { $call.await };
}

/// One call per method, aimed at things that are not there or belong to nobody, so that no call changes the next one's answer.
async fn verdicts(db: &TestDb, caller: &Caller, n: usize) -> Vec<(&'static str, &'static str)> {
    let (store, page) = (db.store(), Page::first(1));
    let ambient: Ambient = db.ambient();
    let (stranger, key): (UserId, GatewayKeyId) = (ambient.new_id(), ambient.new_id());
    let (unknown_provider, unknown_route): (ProviderId, RouteId) = (ambient.new_id(), ambient.new_id());
    let name = |what: &str| format!("{what}-{n}");
    let user = |what| UserInsert {
        username: name(what),
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
    let hash = SecretHash::from_bytes([1; 32]);
    let records = [Arc::new(record(db, hash))];
    let attachment = attachment(db, ambient.new_id(), ambient.new_id());
    let at = Timestamp::from_micros(0);
    let sealer = Sealer::new(MasterKey::parse(&"0b".repeat(32)).unwrap());
    verdicts_of! { store, caller;
        user_insert(user("user"));
        user_list(&UserFilter::default(), page);
        user_find(stranger);
        user_set_state(stranger, UserState::Suspended);
        user_update(stranger, UserPatch::default());
        user_delete(stranger);
        users_bootstrap(user("first"), token(db, stranger).0);
        token_insert(token(db, stranger).0, None) => "another user";
        token_list(&TokenFilter::default(), page);
        token_get(ambient.new_id());
        token_revoke(ambient.new_id());
        token_authenticate(&hash);
        token_grant(ambient.new_id(), None);
        token_marks(None);
        stored_objects_get(&hash, &["none".to_owned()]);
        token_touch(ambient.new_id(), at);
        ai_gateway_key_insert(gateway_key(db, &name("key")).0, None);
        ai_gateway_key_list(&KeyFilter::default(), page);
        ai_gateway_key_find("none");
        ai_gateway_key_authenticate(&hash);
        ai_gateway_key_marks();
        ai_gateway_key_replaced(key);
        ai_gateway_key_providers(Action::Create, &[]) => "a new key";
        ai_gateway_key_update(key, GatewayKeyPatch::default());
        ai_gateway_key_providers(Action::Update, &[]) => "a change";
        ai_gateway_key_rotate(key, rotation(db).0, None);
        ai_gateway_key_expiring(at);
        ai_gateway_key_count();
        ai_gateway_key_secrets_prune();
        ai_gateway_key_touch(key, at);
        ai_gateway_key_delete(key);
        idempotency_find(Operation::AiGatewayKeyInsert, "none") => "a new key";
        idempotency_find(Operation::AiGatewayKeyRotate, "none") => "a rotation";
        idempotency_find(Operation::TokenInsert, "none") => "a new token";
        provider_insert(provider(db, &name("provider"), vec![]));
        provider_list(page);
        provider_find("none");
        provider_to_change(unknown_provider);
        provider_update(unknown_provider, ProviderPatch::default());
        provider_delete(unknown_provider);
        route_insert(route(db, &name("route"), "none"));
        route_list(page);
        route_find("none");
        route_update(unknown_route, RoutePatch::default());
        route_delete(unknown_route);
        configuration();
        master_key_check(&sealer);
        interception_ingest(ReplicaStamp::default(), &records);
        interception_list(&InterceptionFilter::default(), page);
        interception_get(ambient.new_id());
        replica_list(&ReplicaFilter::default(), page);
        replica_get(ambient.new_id());
        replica_drain(ambient.new_id());
        replica_attach(&attachment, &entry);
        replica_heartbeat(&[]);
        replica_detach(&attachment, None, None, &entry);
        replica_count();
        ai_gateway_key_replicas(key);
        ai_gateway_key_live_replicas(&[]);
        changes_last();
        changes_since(0, 1);
        changes_tokens_revoked(0, 1, None);
        changes_listen() sync;
        housekeep();
        audit_append(entry.clone());
        audit_denied_flush(true);
        audit_list(&AuditFilter::default(), page);
    }
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
            "ynnnyn user_insert",
            "yyynyn user_list",
            "yyhhyn user_find",
            "ynhhnn user_set_state",
            "ynhhnn user_update",
            "ynhhnn user_delete",
            "ynnnyn users_bootstrap",
            "ynhnyn token_insert for another user",
            "yyynyn token_list",
            "yyhnyn token_get",
            "ynhnnn token_revoke",
            "yyhyyn token_authenticate",
            "yyhyyn token_grant",
            "nnhnyn token_marks",
            "yyhyyn stored_objects_get",
            "ynhnyn token_touch",
            "ynnnnn ai_gateway_key_insert",
            "yynnyn ai_gateway_key_list",
            "yyhhyn ai_gateway_key_find",
            "yyhhyn ai_gateway_key_authenticate",
            "yyhhyn ai_gateway_key_marks",
            "yyhhyn ai_gateway_key_replaced",
            "ynnnnn ai_gateway_key_providers for a new key",
            "ynhhyn ai_gateway_key_update",
            "ynhhyn ai_gateway_key_providers for a change",
            "ynhhyn ai_gateway_key_rotate",
            "yyhhyn ai_gateway_key_expiring",
            "yyhhyn ai_gateway_key_count",
            "ynhhyn ai_gateway_key_secrets_prune",
            "ynhhyn ai_gateway_key_touch",
            "ynhhnn ai_gateway_key_delete",
            "ynnnnn idempotency_find for a new key",
            "ynhhyn idempotency_find for a rotation",
            "yyynyn idempotency_find for a new token",
            "ynnnnn provider_insert",
            "yynyyn provider_list",
            "yyhyyn provider_find",
            "ynhnnn provider_to_change",
            "ynhnnn provider_update",
            "ynhnnn provider_delete",
            "ynnnnn route_insert",
            "yynyyn route_list",
            "yyhyyn route_find",
            "ynhnnn route_update",
            "ynhnnn route_delete",
            "nnnyyn configuration",
            "nnnyyn master_key_check",
            "nnhyyn interception_ingest",
            "yyynnn interception_list",
            "yyhhhn interception_get",
            "yynnyn replica_list",
            "yyhhyn replica_get",
            "ynhhyn replica_drain",
            "nnnnyn replica_attach",
            "nnhhyn replica_heartbeat",
            "nnhhyn replica_detach",
            "yyhhyn replica_count",
            "yyhhyn ai_gateway_key_replicas",
            "yyhhyn ai_gateway_key_live_replicas",
            "nnhhyn changes_last",
            "nnhhyn changes_since",
            "nnhhyn changes_tokens_revoked",
            "nnhhyn changes_listen",
            "nnhhyn housekeep",
            "nnnnyn audit_append",
            "nnnnyn audit_denied_flush",
            "yynnnn audit_list",
        ];
        assert_eq!(found, expected);
        let called = columns[0].iter().map(|(name, _)| name.split(' ').next().unwrap().to_owned());
        let (with_caller, without): (Vec<_>, Vec<_>) = source::store_methods().into_iter().partition(|method| method.takes_caller);
        let with_caller: BTreeSet<_> = with_caller.into_iter().map(|method| method.name).collect();
        let missing: Vec<_> = called.collect::<BTreeSet<_>>().symmetric_difference(&with_caller).cloned().collect();
        assert!(missing.is_empty(), "add a call of these to `verdicts` and a line to `expected`, or take it out: {missing:?}");
        let without: Vec<_> = without.iter().map(|method| method.name.as_str()).collect();
        assert_eq!(without, ["check_write", "close", "connect", "migrate", "watch"], "these know nothing of what is in the database");
    }

    async fn a_scope_opens_exactly_its_own_door(db: TestDb) {
        let people = people(db).await;
        let keys = narrowed(&people.owner.caller, &["ai_gateway_key:create"]);
        let opened: Vec<_> = Box::pin(verdicts(db, &keys, 0)).await.into_iter().filter(|(_, verdict)| *verdict == "allowed").collect();
        let expected = ["ai_gateway_key_insert", "ai_gateway_key_providers for a new key", "idempotency_find for a new key"];
        assert_eq!(opened, expected.map(|name| (name, "allowed")));
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
