//! Who the tests act as, and what they make.

use lychgate_authz::{Caller, Principal, Role, Scopes, UserPrincipal};
use lychgate_store::{
    AiGatewayKeyInsert, GatewayKeyRotation, ProviderInsert, ProviderKeyInsert, ProviderPatch, RouteInsert, Sealed,
    TargetWanted, TokenInsert, UserInsert,
};
use lychgate_testkit::db::TestDb;
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome};
use lychgate_types::policy::{PolicyChange, StoredObjects};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::{GatewayKeySecret, SecretHash, UserTokenSecret};
use lychgate_types::{GatewayKeyId, Timestamp, UserId};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::time::Duration;

/// Somebody with an account and a token.
pub(crate) struct Person {
    pub(crate) caller: Caller,
    pub(crate) id: UserId,
    pub(crate) hash: SecretHash,
    /// Longer than anything that may be stored of it.
    pub(crate) secret: UserTokenSecret,
}

/// One of each role. The owner `root` is made by the bootstrap.
pub(crate) struct People {
    pub(crate) owner: Person,
    pub(crate) auditor: Person,
    pub(crate) member: Person,
}

pub(crate) const fn plane() -> Caller {
    Caller::control_plane()
}

pub(crate) async fn people(db: &TestDb) -> People {
    let (token, secret) = token(db, db.ambient().new_id());
    let root = UserInsert {
        username: "root".into(),
        role: Role::Owner,
    };
    let hash = secret.hash();
    let (user, token) = db
        .store()
        .users_bootstrap(&plane(), root, token)
        .await
        .unwrap()
        .unwrap();
    let owner = Person {
        caller: caller(db, user.id, token.id, Role::Owner),
        id: user.id,
        hash,
        secret,
    };
    let auditor = person(db, &owner.caller, "audrey", Role::Auditor).await;
    let member = person(db, &owner.caller, "mel", Role::Member).await;
    People { owner, auditor, member }
}

/// Makes a user with a token that may do all that the role may.
pub(crate) async fn person(db: &TestDb, owner: &Caller, name: &str, role: Role) -> Person {
    let user = db
        .store()
        .user_insert(
            owner,
            UserInsert {
                username: name.into(),
                role,
            },
        )
        .await
        .unwrap();
    let (insert, secret) = token(db, user.id);
    let hash = secret.hash();
    let token = db.store().token_insert(owner, insert, None).await.unwrap();
    Person {
        caller: caller(db, user.id, token.id, role),
        id: user.id,
        hash,
        secret,
    }
}

fn caller(db: &TestDb, user_id: UserId, token_id: lychgate_types::TokenId, role: Role) -> Caller {
    let user = UserPrincipal {
        user_id,
        token_id,
        role,
        scopes: Scopes::all(),
    };
    Caller {
        principal: Principal::User(user),
        request_id: Some(db.ambient().new_id()),
    }
}

/// A replica with this gateway key.
pub(crate) const fn replica(gateway_key_id: GatewayKeyId) -> Caller {
    Caller {
        principal: Principal::Replica { gateway_key_id },
        request_id: None,
    }
}

/// Tells a replica that a person's token works.
pub(crate) async fn grant(db: &TestDb, replica: &Caller, person: &Person) {
    let found = db.store().token_authenticate(replica, &person.hash).await.unwrap();
    db.store()
        .token_grant(replica, found.unwrap().token_id, None)
        .await
        .unwrap();
}

/// The same person by a token with these scopes only.
pub(crate) fn narrowed(caller: &Caller, scopes: &[&str]) -> Caller {
    let mut caller = caller.clone();
    if let Principal::User(user) = &mut caller.principal {
        user.scopes = Scopes::from_texts(scopes).unwrap();
    }
    caller
}

pub(crate) fn token(db: &TestDb, user: UserId) -> (TokenInsert, UserTokenSecret) {
    let secret = UserTokenSecret::generate(&db.ambient());
    let insert = TokenInsert {
        id: db.ambient().new_id(),
        created_at: db.ambient().now(),
        user: user.into(),
        name: "laptop".into(),
        secret_prefix: secret.prefix().into(),
        secret_hash: secret.hash(),
        scopes: Scopes::all(),
        expires_at: None,
    };
    (insert, secret)
}

pub(crate) fn gateway_key(db: &TestDb, name: &str) -> (AiGatewayKeyInsert, GatewayKeySecret) {
    let secret = GatewayKeySecret::generate(&db.ambient());
    let insert = AiGatewayKeyInsert {
        id: db.ambient().new_id(),
        created_at: db.ambient().now(),
        name: name.into(),
        secret_prefix: secret.prefix().into(),
        secret_hash: secret.hash(),
        description: None,
        expires_at: None,
        providers: None,
        allowed_cidrs: None,
        replaces: None,
    };
    (insert, secret)
}

/// A new secret for a gateway key; the one before goes on for an hour.
pub(crate) fn rotation(db: &TestDb) -> (GatewayKeyRotation, GatewayKeySecret) {
    let secret = GatewayKeySecret::generate(&db.ambient());
    let rotation = GatewayKeyRotation {
        secret_prefix: secret.prefix().into(),
        secret_hash: secret.hash(),
        grace: Duration::from_secs(3600),
        force: false,
    };
    (rotation, secret)
}

pub(crate) fn provider_key(db: &TestDb, masked: &str) -> ProviderKeyInsert {
    let sealed = Sealed::from_bytes(format!("sealed {masked}").into_bytes());
    ProviderKeyInsert {
        id: db.ambient().new_id(),
        sealed,
        masked: masked.into(),
    }
}

pub(crate) fn provider(db: &TestDb, name: &str, keys: Vec<ProviderKeyInsert>) -> ProviderInsert {
    ProviderInsert {
        id: db.ambient().new_id(),
        name: name.into(),
        provider_type: ProviderType::Anthropic,
        base_url: "https://api.anthropic.com".into(),
        enabled: true,
        allow_private: false,
        settings: Default::default(),
        policy: PolicyChange::default(),
        keys,
    }
}

/// The provider that records name. Only at providers that there are does anybody make an object.
pub(crate) async fn people_and_provider(db: &TestDb) -> People {
    let people = people(db).await;
    let provider = provider(db, "anthropic", Vec::new());
    db.store()
        .provider_insert(&people.owner.caller, provider)
        .await
        .unwrap();
    people
}

/// From now on, users of that provider share what it stores.
pub(crate) async fn share_objects(db: &TestDb, owner: &Caller) {
    let shared = db.store().provider_find(owner, "anthropic").await.unwrap();
    let mut patch = ProviderPatch::default();
    patch.policy.relay.stored_objects = Some(StoredObjects::All);
    db.store().provider_update(owner, shared.id, patch).await.unwrap();
}

/// A route with one target, both at this provider.
pub(crate) fn route(db: &TestDb, name: &str, provider: &str) -> RouteInsert {
    RouteInsert {
        id: db.ambient().new_id(),
        name: name.into(),
        provider: provider.into(),
        model: "claude-sonnet-*".into(),
        targets: vec![target(provider, None, 1)],
        fallbacks: Vec::new(),
        enabled: true,
    }
}

pub(crate) fn target(provider: &str, model: Option<&str>, weight: u32) -> TargetWanted {
    TargetWanted {
        provider: provider.into(),
        model: model.map(Into::into),
        weight,
    }
}

/// A plain record that came with this token; the clock moves on by a second.
pub(crate) fn record(db: &TestDb, hash: SecretHash) -> InterceptionRecord {
    db.clock().advance(Duration::from_secs(1));
    let started_at = db.ambient().now();
    InterceptionRecord {
        id: db.ambient().new_id(),
        token_hash: hash,
        provider: "anthropic".into(),
        provider_type: ProviderType::Anthropic,
        api: Api::AnthropicMessages,
        model: "claude-sonnet-5".into(),
        streaming: false,
        client: "Claude Code".into(),
        user_agent: "claude-cli/2.0".into(),
        client_session_id: None,
        thread_parent_tool_call_id: None,
        credential_kind: CredentialKind::Centralized,
        credential_hint: "sk-a…cdef".into(),
        started_at,
        ended_at: Timestamp::from_micros(started_at.as_micros() + 500_000),
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: None,
        provider_request_id: Some("req_1".into()),
        served_model: Some("claude-haiku-4-5".into()),
        stop_reason: Some("end_turn".into()),
        stored_object: None,
        completes: false,
        thread_parent_response_id: None,
        stored_items: Vec::new(),
        attempts: 1,
        time_to_first_byte_ms: Some(120),
        overhead_us: 80,
        token_usages: Vec::new(),
        prompts: Vec::new(),
        tool_usages: Vec::new(),
        model_thoughts: Vec::new(),
    }
}

/// Runs a statement that the store does not have, with bytes as its only value; gives the database's refusal.
pub(crate) async fn set_bytes(db: &TestDb, statement: &'static str, bytes: &[u8]) -> String {
    let refused = match db.url().strip_prefix("sqlite://") {
        Some(path) => {
            let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
            sqlx::query(statement).bind(bytes).execute(&mut conn).await.map(drop)
        }
        None => {
            let mut conn = db.url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
            sqlx::query(statement).bind(bytes).execute(&mut conn).await.map(drop)
        }
    };
    refused.unwrap_err().to_string()
}
