//! Each named constraint of `routes`, `route_targets` and the policy's column, broken once and alone.

use crate::people::{people, provider, route, target};
use lychgate_store::{RouteInsert, StoreError};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{TestDb, TestEngine};
use sqlx::{ConnectOptions, Connection, Executor};

/// Inserts each route in turn; all but the last must go well. Gives the name of the constraint that refused the last.
async fn refusal(db: &TestDb, routes: Vec<RouteInsert>) -> String {
    let owner = people(db).await.owner.caller;
    db.store()
        .provider_insert(&owner, provider(db, "claude", vec![]))
        .await
        .unwrap();
    let (last, before) = routes.split_last().unwrap();
    for route in before {
        db.store().route_insert(&owner, route.clone()).await.unwrap();
    }
    match db.store().route_insert(&owner, last.clone()).await {
        Err(StoreError::Conflict(constraint)) => constraint.name,
        other => panic!("not refused by a constraint: {other:?}"),
    }
}

/// A route with one thing changed.
fn with(db: &TestDb, name: &str, change: impl FnOnce(&mut RouteInsert)) -> RouteInsert {
    let mut route = route(db, name, "claude");
    change(&mut route);
    route
}

both_engines! {
    async fn bad_names_break_routes_name_check(db: TestDb) {
        let owner = people(db).await.owner.caller;
        db.store().provider_insert(&owner, provider(db, "claude", vec![])).await.unwrap();
        for name in ["", "-a", "a-", "a--b", "a_b", "a b", "a.b", "\u{e9}", "a\0", "a\n", &"a".repeat(65)] {
            let refused = db.store().route_insert(&owner, route(db, name, "claude")).await;
            assert!(matches!(&refused, Err(StoreError::Conflict(c)) if c.name == "routes_name_check"), "{name:?}: {refused:?}");
        }
    }

    async fn duplicate_name_case_insensitive_breaks_routes_name_idx(db: TestDb) {
        let routes = vec![with(db, "sonnet", |_| ()), with(db, "SONNET", |_| ())];
        assert_eq!(refusal(db, routes).await, "routes_name_idx");
    }

    async fn duplicate_id_breaks_routes_pkey(db: TestDb) {
        let first = with(db, "one", |_| ());
        let second = with(db, "two", |route| route.id = first.id);
        assert_eq!(refusal(db, vec![first, second]).await, "routes_pkey");
    }

    async fn models_out_of_bounds_break_routes_model_check(db: TestDb) {
        let fits = with(db, "one", |route| route.model = "\u{e9}".repeat(256));
        let long = with(db, "two", |route| route.model = "\u{e9}".repeat(257));
        assert_eq!(refusal(db, vec![fits, long]).await, "routes_model_check");
    }

    async fn an_empty_model_breaks_routes_model_check(db: TestDb) {
        let empty = with(db, "one", |route| route.model = String::new());
        assert_eq!(refusal(db, vec![empty]).await, "routes_model_check");
    }

    async fn a_targets_empty_model_breaks_route_targets_model_check(db: TestDb) {
        let empty = with(db, "one", |route| route.targets = vec![target("claude", Some(""), 1)]);
        assert_eq!(refusal(db, vec![empty]).await, "route_targets_model_check");
    }

    async fn weight_0_breaks_route_targets_weight_check(db: TestDb) {
        let none = with(db, "one", |route| route.targets = vec![target("claude", None, 0)]);
        assert_eq!(refusal(db, vec![none]).await, "route_targets_weight_check");
    }

    async fn weight_1001_breaks_route_targets_weight_check(db: TestDb) {
        let fits = with(db, "one", |route| route.targets = vec![target("claude", None, 1000)]);
        let heavy = with(db, "two", |route| route.targets = vec![target("claude", None, 1001)]);
        assert_eq!(refusal(db, vec![fits, heavy]).await, "route_targets_weight_check");
    }

    /// What no method of the store would write, written past it.
    async fn a_policy_that_is_no_object_and_another_kind_of_target(db: TestDb) {
        let owner = people(db).await.owner.caller;
        db.store().provider_insert(&owner, provider(db, "claude", vec![])).await.unwrap();
        db.store().route_insert(&owner, route(db, "sonnet", "claude")).await.unwrap();
        for (text, constraint) in [
            ("UPDATE providers SET policy = '[]'", "providers_policy_check"),
            ("UPDATE providers SET settings = '[]'", "providers_settings_check"),
            ("UPDATE route_targets SET kind = 'other'", "route_targets_kind_check"),
        ] {
            let told = raw(db, text).await.unwrap_err().to_string();
            assert!(told.contains(constraint), "{told}");
        }
        // What is there from before, or set by hand, is filled up with the defaults.
        raw(db, "UPDATE providers SET policy = '{\"retry\": {\"max_attempts\": 1}}'").await.unwrap();
        let policy = db.store().provider_find(&owner, "claude").await.unwrap().policy;
        assert_eq!((policy.retry.max_attempts, policy.retry.budget_percent, policy.key_cooldown_seconds), (1, 20, 60));
    }
}

async fn raw(db: &TestDb, text: &'static str) -> Result<(), sqlx::Error> {
    match db.engine() {
        TestEngine::Sqlite => {
            let path = db.url().strip_prefix("sqlite://").unwrap();
            let mut conn = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .connect()
                .await?;
            let done = conn.execute(text).await.map(drop);
            conn.close().await?;
            done
        }
        TestEngine::Postgres => {
            let options: sqlx::postgres::PgConnectOptions = db.url().parse()?;
            let mut conn = options.connect().await?;
            let done = conn.execute(text).await.map(drop);
            conn.close().await?;
            done
        }
    }
}
