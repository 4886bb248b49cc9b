//! Each filter of the listings, and the usual pairs, is served by an index: both engines are asked how they would go about it.
//!
//! PostgreSQL is asked with rows of a skewed kind, for values that few rows have and for any value, as it plans after some
//! executions; SQLite without any, since it has no statistics in the product either.

use crate::engine::{Args, Assembled, args};
use crate::page::{Cursor, Page};
use crate::rows::audit::AuditFilter;
use crate::rows::users::UserFilter;
use crate::sql::audit::Actor;
use crate::sql::interceptions::{Session, Wanted};
use crate::sql::{audit, tokens, users};
use crate::url::{DatabaseUrl, Place};
use lychgate_authz::Resource;
use lychgate_testkit::both_engines;
use lychgate_types::interception::Outcome;
use lychgate_types::{Timestamp, UserId};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row, SqliteConnection};
use uuid::Uuid;

/// 20,000 records of 500 users; one in a thousand each is to another provider, for another model or from another
/// client, one in a hundred failed. What many rows have is found by time as well, so that is not asked for alone.
const ROWS: &str = "INSERT INTO interceptions (id, user_id, token_id, provider, provider_type, api, model, streaming, client, \
    user_agent, client_session_id, session_id, credential_kind, credential_hint, started_at, ended_at, outcome, attempts, overhead_us) \
    SELECT CAST(lpad(CAST(n AS TEXT), 32, '0') AS UUID), CAST(lpad(CAST(n % 500 AS TEXT), 32, '0') AS UUID), \
    CAST(lpad('1', 32, '0') AS UUID), CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'anthropic' END, 'anthropic', 'anthropic_messages', \
    CASE WHEN n % 1000 = 7 THEN 'rare' ELSE 'model-' || n % 20 END, TRUE, CASE WHEN n % 1000 = 13 THEN 'Codex' ELSE 'Claude Code' END, '', 's-' || n / 20, \
    CAST(lpad(CAST(n / 20 AS TEXT), 32, '0') AS UUID), 'centralized', '', \
    TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 second', TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 second', \
    CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END, 1, 0 FROM generate_series(1, 20000) AS n";
const USERS: &str = "INSERT INTO users (id, created_at, username, role, state) \
    SELECT CAST(lpad(CAST(n AS TEXT), 32, '0') AS UUID), TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 second', 'user-' || n, 'member', \
    'active' FROM generate_series(1, 500) AS n";
/// 20,000 entries of 500 actors.
const ENTRIES: &str = "INSERT INTO audit_entries (id, created_at, actor_kind, actor_id, actor_name, action, resource_type, outcome) \
    SELECT CAST(lpad(CAST(n AS TEXT), 32, '0') AS UUID), TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 second', CASE WHEN n % 100 = 0 THEN 'control_plane' ELSE 'user' END, \
    CASE WHEN n % 100 = 0 THEN NULL ELSE CAST(lpad(CAST(n % 500 AS TEXT), 32, '0') AS UUID) END, 'user-' || n % 500, \
    CASE WHEN n % 100 = 0 THEN 'drain' ELSE 'create' END, CASE WHEN n % 100 = 0 THEN 'replica' ELSE 'token' END, 'ok' \
    FROM generate_series(1, 20000) AS n";

/// 20,000 tokens of 500 users, and the grants of them to 500 keys.
const TOKENS: &str = "INSERT INTO tokens (id, created_at, user_id, name, secret_prefix, token_hash, scopes) \
    SELECT CAST(lpad(CAST(100000 + n AS TEXT), 32, '0') AS UUID), TIMESTAMPTZ '2026-01-01' + n * INTERVAL '1 second', \
    CAST(lpad(CAST(n % 500 + 1 AS TEXT), 32, '0') AS UUID), 't', 'lgu_0000000', uuid_send(gen_random_uuid()), '*' \
    FROM generate_series(1, 20000) AS n";
const GRANTS: &str = "INSERT INTO token_grants (token_id, gateway_key_id) \
    SELECT CAST(lpad(CAST(100000 + n AS TEXT), 32, '0') AS UUID), CAST(lpad(CAST(n % 500 AS TEXT), 32, '0') AS UUID) \
    FROM generate_series(1, 20000) AS n";

struct Case {
    what: &'static str,
    statement: Assembled,
    /// One of these indexes has to be used.
    by: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    let case = |what, statement, by| Case { what, statement, by };
    let mut cases = Vec::new();
    for (what, wanted, by) in wanted() {
        cases.push(case(what, wanted.listing(Page::first(50)), by));
        let after = Some(Cursor {
            at: at("2026-01-01T03:00:00Z"),
            id: Uuid::from_u128(9),
        });
        cases.push(case(what, wanted.listing(Page { limit: 50, after }), by));
        cases.push(case(what, wanted.any(), by));
    }
    let page = Page::first(50);
    let entries = |filter: AuditFilter, actor| audit::listing(&filter, actor, page);
    let none = AuditFilter::default;
    let replicas = || AuditFilter {
        resource_type: Some(Resource::Replica),
        ..none()
    };
    let drain = || AuditFilter {
        action: Some("drain".into()),
        ..none()
    };
    let actor = Some(Actor::Id(Uuid::from_u128(7)));
    let since = AuditFilter {
        since: Some(at("2026-01-01T05:00:00Z")),
        until: Some(at("2026-01-01T05:30:00Z")),
        ..none()
    };
    cases.extend([
        case("entries", entries(none(), None), &["audit_entries_created_at_idx"]),
        case(
            "entries of a time",
            entries(since, None),
            &["audit_entries_created_at_idx"],
        ),
        case(
            "entries about a type",
            entries(replicas(), None),
            &["audit_entries_resource_type_idx"],
        ),
        case(
            "entries of an action",
            entries(drain(), None),
            &["audit_entries_action_idx"],
        ),
        case(
            "entries of an actor",
            entries(none(), actor),
            &["audit_entries_actor_id_idx"],
        ),
        case(
            "entries of the control plane",
            entries(none(), Some(Actor::ControlPlane)),
            &["audit_entries_control_plane_idx"],
        ),
        case(
            "of an actor about a type",
            entries(replicas(), actor),
            &["audit_entries_actor_id_idx"],
        ),
        case(
            "of an actor and an action",
            entries(drain(), actor),
            &["audit_entries_actor_id_idx", "audit_entries_action_idx"],
        ),
        case(
            "an actor by name",
            text("audit::LAST_ACTOR"),
            &["audit_entries_actor_name_idx"],
        ),
        case(
            "an actor by id",
            text("audit::HAS_ACTOR"),
            &["audit_entries_actor_id_idx"],
        ),
        case("an action", text("audit::HAS_ACTION"), &["audit_entries_action_idx"]),
        case("tokens", tokens::listing(None, page), &["tokens_created_at_idx"]),
        case(
            "tokens of a user",
            tokens::listing(Some(user()), page),
            &["tokens_user_id_idx"],
        ),
        case(
            "users",
            users::listing(&UserFilter::default(), None, page),
            &["users_created_at_idx"],
        ),
        case(
            "oneself",
            users::listing(&UserFilter::default(), Some(user()), page),
            &["users_pkey", "sqlite_autoindex_users_1"],
        ),
        case(
            "the marks of new tokens",
            with("tokens::MARKS", args![at("2026-01-01T05:00:00Z")]),
            &["tokens_created_at_idx"],
        ),
        case(
            "what a gateway key was told",
            with("grants::COPY", args![Uuid::from_u128(7), Uuid::from_u128(8)]),
            &["token_grants_gateway_key_id_idx"],
        ),
        case(
            "a step of pruning grants",
            with("grants::STEP", args![Uuid::from_u128(7), 999_i64]),
            &["token_grants_pkey", "sqlite_autoindex_token_grants_1"],
        ),
        case(
            "pruning grants",
            with(
                "grants::PRUNE",
                args![Uuid::from_u128(7), Uuid::from_u128(8), at("2026-01-01T05:00:00Z")],
            ),
            &["token_grants_pkey", "sqlite_autoindex_token_grants_1"],
        ),
        case("a user by name", text("users::ID_OF_NAME"), &["users_username_idx"]),
        case(
            "a deleted user by name",
            text("users::ID_OF_DELETED"),
            &["users_deleted_username_idx"],
        ),
    ]);
    cases
}

fn wanted() -> Vec<(&'static str, Wanted, &'static [&'static str])> {
    let none = Wanted::default;
    let user = || Wanted {
        user: Some(user()),
        ..none()
    };
    let model = || Wanted {
        model: Some("rare".into()),
        ..none()
    };
    let session = Some(Session::Ours(Uuid::from_u128(0x77)));
    let clients = Some(Session::Clients("s-77".into()));
    let provider = Some("rare".to_owned());
    let failed = Some(Outcome::Failed);
    vec![
        ("records", none(), &["interceptions_started_at_idx"]),
        (
            "of a time",
            Wanted {
                since: Some(at("2026-01-01T05:00:00Z")),
                until: Some(at("2026-01-01T05:10:00Z")),
                ..none()
            },
            &["interceptions_started_at_idx"],
        ),
        ("of a user", user(), &["interceptions_user_id_idx"]),
        (
            "to a provider",
            Wanted {
                provider: provider.clone(),
                ..none()
            },
            &["interceptions_provider_idx"],
        ),
        ("for a model", model(), &["interceptions_model_idx"]),
        (
            "from a client",
            Wanted {
                client: Some("Codex".into()),
                ..none()
            },
            &["interceptions_client_idx"],
        ),
        (
            "of a session",
            Wanted {
                session: session.clone(),
                ..none()
            },
            &["interceptions_session_id_idx"],
        ),
        (
            "of a client's session",
            Wanted {
                session: clients.clone(),
                ..none()
            },
            &["interceptions_client_session_id_idx"],
        ),
        (
            "that failed",
            Wanted {
                outcome: failed,
                ..none()
            },
            &["interceptions_outcome_idx"],
        ),
        (
            "that completed",
            Wanted {
                outcome: Some(Outcome::Completed),
                ..none()
            },
            &["interceptions_started_at_idx"],
        ),
        (
            "of a user since",
            Wanted {
                since: Some(at("2026-01-01T05:00:00Z")),
                ..user()
            },
            &["interceptions_user_id_idx"],
        ),
        (
            "of a user for a model",
            Wanted {
                model: Some("model-7".into()),
                ..user()
            },
            &["interceptions_user_id_idx"],
        ),
        (
            "of a user from a client",
            Wanted {
                client: Some("Claude Code".into()),
                ..user()
            },
            &["interceptions_user_id_idx"],
        ),
        (
            "of a user to a provider",
            Wanted {
                provider: Some("anthropic".into()),
                ..user()
            },
            &["interceptions_user_id_idx"],
        ),
        (
            "of a user that failed",
            Wanted {
                outcome: failed,
                ..user()
            },
            &["interceptions_user_id_idx", "interceptions_outcome_idx"],
        ),
        (
            "of a user and a session",
            Wanted {
                session: session.clone(),
                ..user()
            },
            &["interceptions_session_id_idx"],
        ),
        (
            "of a user and a client's session",
            Wanted {
                session: clients,
                ..user()
            },
            &["interceptions_client_session_id_idx"],
        ),
        (
            "to a provider for a model",
            Wanted { provider, ..model() },
            &["interceptions_provider_idx", "interceptions_model_idx"],
        ),
        (
            "for a model that failed",
            Wanted {
                outcome: failed,
                ..model()
            },
            &["interceptions_model_idx", "interceptions_outcome_idx"],
        ),
    ]
}

fn user() -> UserId {
    UserId::from_uuid(Uuid::from_u128(7))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A text that is not assembled, with its values.
fn with(name: &str, values: Args) -> Assembled {
    let texts = super::texts();
    let (_, text) = texts.iter().find(|(full, _)| full.ends_with(name)).unwrap();
    Assembled::new(text, values)
}

/// The same with its one value.
fn text(name: &str) -> Assembled {
    let value = if name.ends_with("ACTOR") && name.contains("HAS") {
        args![Uuid::from_u128(7)]
    } else {
        args!["drain"]
    };
    with(name, value)
}

both_engines! {
    async fn every_filter_and_the_usual_pairs_are_served_by_an_index(db: TestDb) {
        match DatabaseUrl::parse(db.url()).unwrap().0 {
            Place::Sqlite(path) => {
                let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                for case in cases() {
                    check(&case, &sqlite_plan(&mut conn, &case).await, "SQLite");
                }
            }
            Place::Postgres(options) => {
                let mut conn = options.connect().await.unwrap();
                for statement in [USERS, ROWS, ENTRIES, TOKENS, GRANTS, "ANALYZE", "SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan"] {
                    conn.execute(statement).await.unwrap();
                }
                for case in cases() {
                    check(&case, &generic_plan(&mut conn, &case).await, "PostgreSQL, for any value");
                    check(&case, &postgres_plan(&mut conn, &case).await, "PostgreSQL, for this value");
                }
            }
        }
    }
}

fn check(case: &Case, plan: &[String], engine: &str) {
    let enters = |line: &String| {
        let searched = !line.contains("SCAN ") || line.contains("_created_at_idx") || line.contains("_started_at_idx");
        searched
            && case
                .by
                .iter()
                .any(|index| line.contains(&format!("{index} ")) || line.ends_with(index))
    };
    assert!(
        plan.iter().any(enters),
        "{engine}: {}: {plan:#?}\n{}",
        case.what,
        case.statement.text
    );
    let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE FOR ORDER BY"));
    assert!(
        !sorts || case.by.len() > 1,
        "{engine}: {} is sorted: {plan:#?}",
        case.what
    );
}

async fn sqlite_plan(conn: &mut SqliteConnection, case: &Case) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", case.statement.text));
    let rows = sqlx::query(explain).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

async fn postgres_plan(conn: &mut PgConnection, case: &Case) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN {}", case.statement.text));
    let values = case.statement.values.iter().cloned();
    let query = values.fold(sqlx::query(explain), |query, value| query.bind(value));
    let rows = query.fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The plan for any value does not depend on those given.
async fn generic_plan(conn: &mut PgConnection, case: &Case) -> Vec<String> {
    conn.execute(AssertSqlSafe(format!("PREPARE page AS {}", case.statement.text)))
        .await
        .unwrap();
    let nulls = vec!["NULL"; case.statement.values.len()].join(", ");
    let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE page ({nulls})"));
    let plan = sqlx::query_scalar(explain).fetch_all(&mut *conn).await.unwrap();
    conn.execute("DEALLOCATE page").await.unwrap();
    plan
}
