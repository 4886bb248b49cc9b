//! What can be wrong with a database, and what is said about it.

use crate::people::{people, provider};
use lychgate_store::{ConnectError, DatabaseUrl, Page, Store, StoreError, UserState};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{self, TestDb, TestEngine};
use lychgate_testkit::network::Weather;
use lychgate_types::Ambient;
use lychgate_types::policy::{ProviderPolicy, StoredObjects, StreamUsage};
use sqlx::{ConnectOptions, Connection, Executor};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

async fn connect(url: &str) -> Result<Store, ConnectError> {
    Store::connect(&DatabaseUrl::parse(url).unwrap(), Ambient::system()).await
}

/// The error's own words, checked for what they must never hold.
fn words<T: std::fmt::Debug>(result: Result<T, ConnectError>) -> String {
    let text = result.unwrap_err().to_string();
    for raw in [
        "error returned from database",
        "SqliteError",
        "(code",
        "FATAL",
        "hunter2",
        "os error",
        "sqlx",
    ] {
        assert!(!text.contains(raw), "{raw} in {text}");
    }
    text
}

fn file(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

#[tokio::test]
async fn a_new_sqlite_file_is_private_and_its_log_too() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = connect(&file(&path)).await.unwrap();
    store.migrate().await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        seen += 1;
    }
    assert_eq!(seen, 3, "database, log, index of the log");
    store.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "dear diary, ".repeat(1000);
    std::fs::write(&path, &notes).unwrap();
    let text = words(connect(&file(&path)).await);
    assert!(text.contains("notes.txt is not a SQLite database"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_place_that_can_not_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = words(connect(&file(&folder.path().join("no/such/x.db"))).await);
    assert!(
        text.contains("its directory does not exist") && text.contains("x.db"),
        "{text}"
    );
    let text = words(connect(&file(folder.path())).await);
    assert!(text.contains("it is a directory"), "{text}");
    // Not even root writes here.
    let text = words(connect("sqlite:///proc/lychgate.db").await);
    assert!(
        text.contains("can't be opened for writing") && text.contains("/proc/lychgate.db"),
        "{text}"
    );
}

#[tokio::test]
async fn an_unreachable_server_is_reported_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = words(connect(&format!("postgres://me:hunter2@127.0.0.1:{port}/gate")).await);
    assert!(
        text.contains("can't be reached") && text.contains(&format!("postgres://me@127.0.0.1:{port}/gate")),
        "{text}"
    );
    let text = words(connect("postgres://me:hunter2@%2Fno%2Fsuch%2Ffolder/gate").await);
    assert!(text.contains("there is no such socket"), "{text}");
    let text = words(connect("postgres://me:hunter2@no-such-host.invalid/gate").await);
    assert!(text.contains("can't be reached"), "{text}");
}

#[tokio::test]
async fn a_server_of_another_kind_is_reported() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let _read = peer.read(&mut [0; 64]).await;
            let _sent = peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let text = words(connect(&format!("postgres://me:hunter2@127.0.0.1:{port}/gate?sslmode=disable")).await);
    assert!(text.contains("PostgreSQL"), "{text}");
}

#[test]
fn a_missing_database_is_reported() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let db = TestDb::create(TestEngine::Postgres).await;
        let (server, _) = db.url().rsplit_once('/').unwrap();
        let text = words(connect(&format!("{server}/no_such_database")).await);
        assert!(
            text.contains("no database of the name in") && text.contains("/no_such_database"),
            "{text}"
        );
        db.destroy().await;
    });
}

#[test]
fn nothing_shows_the_password() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let db = TestDb::create(TestEngine::Postgres).await;
        let url = db.url().replacen('@', ":hunter2@", 1);
        let store = connect(&url).await.unwrap();
        assert!(!format!("{store:?}").contains("hunter2"));
        store.close().await;
        db.destroy().await;
    });
}

/// As after a failover to a standby, or where an operator made it so.
#[test]
fn a_database_that_became_read_only_says_so_and_serves_readers() {
    db::run(TestEngine::Postgres, async |db| {
        let people = people(db).await;
        let options: sqlx::postgres::PgConnectOptions = db.url().parse().unwrap();
        let mut admin = options.connect().await.unwrap();
        let name = options.get_database().unwrap().to_owned();
        let set = async |admin: &mut sqlx::PgConnection, value: &str| {
            let text = format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = {value}");
            admin
                .execute("SET SESSION default_transaction_read_only = off")
                .await
                .unwrap();
            admin.execute(sqlx::AssertSqlSafe(text)).await.unwrap();
        };
        set(&mut admin, "on").await;
        let store = connect(db.url()).await.unwrap();
        let refused = store.check_write().await;
        assert!(matches!(refused, Err(StoreError::NotWritable(_))), "{refused:?}");
        let caller = &people.owner.caller;
        let refused = store
            .user_set_state(caller, &people.member.id.to_string(), UserState::Suspended)
            .await;
        assert!(matches!(refused, Err(StoreError::NotWritable(_))), "{refused:?}");
        store.user_find(caller, people.member.id).await.unwrap();
        store.close().await;

        set(&mut admin, "off").await;
        let store = connect(db.url()).await.unwrap();
        store.check_write().await.unwrap();
        store.close().await;
        admin.close().await.unwrap();
    });
}

/// A statement waits for a lock, and the server ends its connection as it does when it is told to stop.
#[test]
fn a_connection_lost_in_the_middle_is_no_failure_of_the_database() {
    db::run(TestEngine::Postgres, async |db| {
        let people = people(db).await;
        let options: sqlx::postgres::PgConnectOptions = db.url().parse().unwrap();
        let mut other = options.connect().await.unwrap();
        other.execute("BEGIN; LOCK TABLE users").await.unwrap();
        let waiting = db.store().user_find(&people.owner.caller, people.owner.id);
        let end = async {
            let waits = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while other.fetch_all(waits).await.unwrap().is_empty() {}
        };
        let (lost, ()) = tokio::join!(waiting, end);
        assert!(matches!(lost, Err(StoreError::Lost(_))), "{lost:?}");
        other.close().await.unwrap();
    });
}

/// Whoever waits for a transaction to begin goes away before it has: what he would have seen is seen by nobody after him.
#[test]
fn a_transaction_that_nobody_waits_for_any_longer_does_not_stay_open() {
    db::run(TestEngine::Postgres, async |db| {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let (network, url) = db.behind_a_network().await;
        let store = connect(&url).await.unwrap();
        store.provider_list(owner, Page::first(1)).await.unwrap();
        let options: sqlx::postgres::PgConnectOptions = db.url().parse().unwrap();
        let mut other = options.connect().await.unwrap();
        network.set(Weather::Held);
        let given_up = timeout(Duration::from_millis(50), store.provider_list(owner, Page::first(1)));
        given_up.await.expect_err("nothing passes");
        network.set(Weather::Fair);
        let of_the_store = "SELECT 1 FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = 'ROLLBACK' AND state = 'idle'";
        let rolled_back = async { while other.fetch_all(of_the_store).await.unwrap().is_empty() {} };
        timeout(Duration::from_secs(10), rolled_back)
            .await
            .expect("it is rolled back");
        other.close().await.unwrap();
        store.close().await;
    });
}

both_engines! {
    async fn migrating_again_is_harmless(db: TestDb) {
        db.store().migrate().await.unwrap();
        let second = connect(db.url()).await.unwrap();
        let (one, two) = tokio::join!(db.store().migrate(), second.migrate());
        one.unwrap();
        two.unwrap();
        second.close().await;
    }

    async fn a_database_from_a_newer_version_is_refused(db: TestDb) {
        execute(db, "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
            SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1").await;
        let text = words(db.store().migrate().await);
        assert!(text.contains("newer version (migration 9999)"), "{text}");
    }

    async fn a_database_with_another_history_is_refused(db: TestDb) {
        execute(db, "UPDATE _sqlx_migrations SET checksum = 'other'").await;
        let text = words(db.store().migrate().await);
        assert!(text.contains("migration 1 of the database differs"), "{text}");
    }

    async fn a_renamed_policy_setting_keeps_its_value(db: TestDb) {
        let owner = people(db).await.owner.caller;
        for name in ["old", "untouched"] {
            db.store().provider_insert(&owner, provider(db, name, vec![])).await.unwrap();
        }
        execute(db, r#"UPDATE providers SET policy = '{"key_bench_seconds":9,"http2":true}' WHERE name = 'old'"#).await;
        assert!(db.store().provider_find(&owner, "old").await.is_err(), "today's program does not know the old name");
        execute(db, match db.engine() {
            TestEngine::Sqlite => include_str!("../../migrations/sqlite/0007_key_cooldown.sql"),
            TestEngine::Postgres => include_str!("../../migrations/postgres/0007_key_cooldown.sql"),
        }).await;
        let renamed = db.store().provider_find(&owner, "old").await.unwrap().policy;
        assert_eq!(renamed, ProviderPolicy { key_cooldown_seconds: 9, http2: true, ..ProviderPolicy::default() });
        let other = db.store().provider_find(&owner, "untouched").await.unwrap().policy;
        assert_eq!(other, ProviderPolicy::default());
    }

    async fn policy_settings_that_were_numbers_keep_their_meaning(db: TestDb) {
        let owner = people(db).await.owner.caller;
        for name in ["numbers", "others", "untouched"] {
            db.store().provider_insert(&owner, provider(db, name, vec![])).await.unwrap();
        }
        execute(db, r#"UPDATE providers SET policy = '{"relay":{"images":0,"audio":1,"stream_usage":0,"stored_objects":2},"http2":true}'
            WHERE name = 'numbers';
            UPDATE providers SET policy = '{"relay":{"stream_usage":2}}' WHERE name = 'others';"#).await;
        assert!(db.store().provider_find(&owner, "numbers").await.is_err(), "today's program does not know them as numbers");
        execute(db, match db.engine() {
            TestEngine::Sqlite => include_str!("../../migrations/sqlite/0019_relay_words.sql"),
            TestEngine::Postgres => include_str!("../../migrations/postgres/0019_relay_words.sql"),
        }).await;
        let mut wanted = ProviderPolicy { http2: true, ..ProviderPolicy::default() };
        wanted.relay.images = false;
        wanted.relay.stream_usage = StreamUsage::Never;
        wanted.relay.stored_objects = StoredObjects::Own;
        for (name, wanted) in [("numbers", wanted), ("others", ProviderPolicy::default()), ("untouched", ProviderPolicy::default())] {
            assert_eq!(db.store().provider_find(&owner, name).await.unwrap().policy, wanted, "{name}");
        }
    }
}

async fn execute(db: &TestDb, text: &'static str) {
    match db.engine() {
        TestEngine::Sqlite => {
            let path = db.url().strip_prefix("sqlite://").unwrap();
            let mut conn = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .connect()
                .await
                .unwrap();
            // The checksum column is declared BLOB; text in it compares unequal all the same.
            conn.execute(text).await.unwrap();
            conn.close().await.unwrap();
        }
        TestEngine::Postgres => {
            let options: sqlx::postgres::PgConnectOptions = db.url().parse().unwrap();
            let mut conn = options.connect().await.unwrap();
            conn.execute(text).await.unwrap();
            conn.close().await.unwrap();
        }
    }
}
