//! A fresh, migrated database per test, on either engine.
//!
//! SQLite: a file in a directory of its own. PostgreSQL: a database on the server of `TEST_DATABASE_URL` (which `cargo xtask
//! test` starts), cloned from a template that the first test of a run makes; without that variable the test fails, since a
//! test that silently did not run is worse.

#![expect(clippy::expect_used, reason = "a test that can't have its database has failed")]

use crate::network::{Network, Target};
use lychgate_store::{DatabaseUrl, Store};
use lychgate_types::clock::ManualClock;
use lychgate_types::random::SystemRandom;
use lychgate_types::{Ambient, Timestamp, UserId};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use tempfile::TempDir;

/// Runs one async test body on SQLite and on PostgreSQL: `name::sqlite` and `name::postgres`, each with a database of its own.
///
/// ```text
/// lychgate_testkit::both_engines! {
///     /// Says what holds.
///     async fn a_thing_holds(db: TestDb) { assert!(db.store().…) }
/// }
/// ```
#[macro_export]
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: TestDb) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing of what is around it")]
            use super::*;
            use $crate::db::{TestDb, TestEngine};

            async fn body($db: &TestDb) $body

            #[test]
            fn sqlite() {
                $crate::db::run(TestEngine::Sqlite, async |db| body(db).await);
            }

            #[test]
            fn postgres() {
                $crate::db::run(TestEngine::Postgres, async |db| body(db).await);
            }
        }
    )* };
}

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestEngine {
    /// A temporary file.
    Sqlite,
    /// A database on the server of `TEST_DATABASE_URL`.
    Postgres,
}

/// A database that exists for one test.
#[derive(Debug)]
pub struct TestDb {
    store: Store,
    url: String,
    clock: Arc<ManualClock>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Sqlite { _directory: TempDir },
    Postgres { admin: Box<PgConnectOptions>, name: String },
}

/// Where the test clock starts: 2026-11-24T09:30:00Z.
pub const START: Timestamp = Timestamp::from_micros(1_795_512_600_000_000);

/// The server's lock under which templates are made and cloned: a template in use can't be cloned.
const TEMPLATE_LOCK: i64 = 0x6c79_6368_7465;

impl TestDb {
    /// Makes a database with the current schema. Remove it with [`Self::destroy`].
    pub async fn create(engine: TestEngine) -> Self {
        let db = Self::create_empty(engine).await;
        db.store.migrate().await.expect("the migrations run");
        db
    }

    /// Makes a database without any schema (PostgreSQL's is cloned with one, since that is how tests are fast).
    pub async fn create_empty(engine: TestEngine) -> Self {
        let (url, place) = match engine {
            TestEngine::Sqlite => {
                let directory = tempfile::tempdir().expect("a temporary directory");
                let url = format!("sqlite://{}", directory.path().join("lychgate.db").display());
                (url, Place::Sqlite { _directory: directory })
            }
            TestEngine::Postgres => clone_template().await,
        };
        let clock = Arc::new(ManualClock::new(START));
        let ambient = Ambient::new(clock.clone(), Arc::new(SystemRandom));
        let store = Store::connect(&parse(&url), ambient)
            .await
            .expect("the fresh database opens");
        Self {
            store,
            url,
            clock,
            place,
        }
    }

    /// The store, on the test's clock.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The database's URL, password and all, for another process or a second store.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The clock that the store reads; it is at [`START`] until it is moved.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The test's clock with real randomness, to make ids and secrets by.
    pub fn ambient(&self) -> Ambient {
        Ambient::new(self.clock.clone(), Arc::new(SystemRandom))
    }

    /// Which engine this is.
    pub fn engine(&self) -> TestEngine {
        match self.place {
            Place::Sqlite { .. } => TestEngine::Sqlite,
            Place::Postgres { .. } => TestEngine::Postgres,
        }
    }

    /// Runs statements behind the product's back, in one transaction: what another version, an operator or a fault would
    /// do. The product runs on meanwhile, and must not see half of them.
    pub async fn execute(&self, statements: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {statements}; COMMIT")));
        let done = match self.engine() {
            TestEngine::Sqlite => {
                let options: SqliteConnectOptions = self.url.parse().expect("the database's own URL");
                let mut conn = options.connect().await.expect("the database opens");
                statements.execute(&mut conn).await.map(drop)
            }
            TestEngine::Postgres => {
                let options: PgConnectOptions = self.url.parse().expect("the database's own URL");
                let mut conn = options.connect().await.expect("the database opens");
                statements.execute(&mut conn).await.map(drop)
            }
        };
        done.expect("the statements run");
    }

    /// A proxy before this PostgreSQL database, and the database's URL through it.
    pub async fn behind_a_network(&self) -> (Network, String) {
        let options: PgConnectOptions = self.url.parse().expect("a PostgreSQL database");
        let target = match options.get_socket() {
            Some(directory) => Target::Unix(directory.join(format!(".s.PGSQL.{}", options.get_port()))),
            None => {
                let found = (options.get_host(), options.get_port()).to_socket_addrs();
                let address = found.expect("the server's address").next();
                Target::Tcp(address.expect("the server's address"))
            }
        };
        let network = Network::start().await;
        network.lead_to(target);
        let (user, rest) = self.url.split_once('@').expect("a URL with a user");
        let (_, database) = rest.split_once('/').expect("a URL with a database");
        let url = format!("{user}@{}/{database}", network.addr());
        (network, url)
    }

    /// The processes of PostgreSQL that wait for announcements in this database.
    pub async fn listening(&self) -> Vec<i32> {
        let options: PgConnectOptions = self.url.parse().expect("a PostgreSQL database");
        let mut conn = options.connect().await.expect("the database opens");
        let query =
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%' ORDER BY pid";
        sqlx::query_scalar(query)
            .fetch_all(&mut conn)
            .await
            .expect("the list of processes")
    }

    /// Cuts every connection to the database and refuses new ones, or accepts them again. PostgreSQL only.
    pub async fn accept_connections(&self, everybody: bool) {
        let Place::Postgres { admin, name } = &self.place else {
            panic!("a file can't be shut");
        };
        let mut server = admin.connect().await.expect("the server answers");
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
        let statements = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {everybody}; {cut} '{name}'");
        let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut server).await;
        done.expect("the statements run");
    }

    /// Closes and removes the database; what fails is left to the server's end.
    pub async fn destroy(self) {
        self.store.close().await;
        if let Place::Postgres { admin, name } = self.place
            && let Ok(mut server) = admin.connect().await
        {
            let _gone = server
                .execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
                .await;
            let _closed = server.close().await;
        }
    }
}

/// Runs a test body on a fresh database, and removes that even if the body panics.
pub fn run(engine: TestEngine, body: impl AsyncFnOnce(&TestDb)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let db = runtime.block_on(TestDb::create(engine));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(body(&db))));
    runtime.block_on(db.destroy());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn parse(url: &str) -> DatabaseUrl {
    DatabaseUrl::parse(url).expect("a database URL")
}

async fn clone_template() -> (String, Place) {
    let url = std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!("TEST_DATABASE_URL is not set, so there is no PostgreSQL to test on: run `cargo xtask test`, which starts one")
    });
    let admin: PgConnectOptions = url.parse().expect("TEST_DATABASE_URL is a PostgreSQL URL");
    let name = clone_on(&url).await;
    (
        with_database(&url, &name),
        Place::Postgres {
            admin: Box::new(admin),
            name,
        },
    )
}

/// Makes a migrated database on the server of this URL: its name. It stays until the server goes, or is removed.
pub async fn clone_on(url: &str) -> String {
    let admin: PgConnectOptions = url.parse().expect("a PostgreSQL URL");
    let mut server = admin.connect().await.expect("the server answers");
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut server)
        .await
        .expect("the template lock");
    let template = template(&mut server, url).await;
    let name = format!("test_{}", Ambient::system().new_id::<UserId>().as_uuid().simple());
    let clone = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
    server
        .execute(AssertSqlSafe(clone))
        .await
        .expect("the template is cloned");
    // The lock goes with the session.
    server.close().await.expect("the session ends");
    name
}

/// Whether the server of this URL takes connections.
pub async fn answers(url: &str) -> bool {
    let admin: PgConnectOptions = url.parse().expect("a PostgreSQL URL");
    admin.connect().await.is_ok()
}

/// Removes a database that [`clone_on`] made, even if it is in use.
pub async fn remove_from(url: &str, name: &str) {
    let admin: PgConnectOptions = url.parse().expect("a PostgreSQL URL");
    let mut server = admin.connect().await.expect("the server answers");
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    server.execute(AssertSqlSafe(drop)).await.expect("the database goes");
    server.close().await.expect("the session ends");
}

/// The template's name: one per state of the migrations, so that a server that is kept never serves a stale schema.
async fn template(server: &mut PgConnection, url: &str) -> String {
    let template = format!("template_{}", lychgate_store::schema_id());
    let present: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate)")
            .bind(&template)
            .fetch_one(&mut *server)
            .await
            .expect("the list of databases");
    if !present {
        server
            .execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {template}")))
            .await
            .expect("an unfinished template goes");
        server
            .execute(AssertSqlSafe(format!("CREATE DATABASE {template}")))
            .await
            .expect("the template is made");
        let store = Store::connect(&parse(&with_database(url, &template)), Ambient::system())
            .await
            .expect("the template opens");
        store.migrate().await.expect("the migrations run");
        store.close().await;
        server
            .execute(AssertSqlSafe(format!("ALTER DATABASE {template} IS_TEMPLATE true")))
            .await
            .expect("the template is marked");
    }
    template
}

/// The same URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (url, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(url, query)| (url, format!("?{query}")));
    let (server, _) = url.rsplit_once('/').expect("TEST_DATABASE_URL names a database");
    format!("{server}/{name}{query}")
}
