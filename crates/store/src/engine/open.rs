//! Opening either engine, and saying plainly why it can't be opened.

use super::Engine;
use super::reach::Reach;
use crate::error::{ConnectError, Internal};
use crate::url::{DatabaseUrl, Place};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

static POSTGRES: Migrator = sqlx::migrate!("./migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("./migrations/sqlite");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was in use so shortly ago is taken to be there still.
const TRUSTED: Duration = Duration::from_secs(1);

/// Names the state of the PostgreSQL schema; changes with every migration.
pub(crate) fn schema_id() -> String {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = POSTGRES
        .iter()
        .flat_map(|m| m.checksum.iter())
        .fold(0xcbf2_9ce4_8422_2325, mix);
    format!("{sum:016x}")
}

impl Engine {
    /// Opens the database and makes sure that it answers.
    pub(crate) async fn open(url: &DatabaseUrl) -> Result<Self, ConnectError> {
        match &url.0 {
            Place::Sqlite(path) => open_sqlite(path).await,
            Place::Postgres(options) => open_postgres(url, options).await,
        }
    }

    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self, url: &DatabaseUrl) -> Result<(), ConnectError> {
        match self {
            Self::Pg { pool, .. } => POSTGRES
                .run(pool)
                .await
                .map_err(|error| migration_error(url, &POSTGRES, error)),
            Self::Lite { writer, .. } => {
                let mut done = SQLITE.run(writer).await;
                // There is no lock across processes: where another one was faster with a migration, the next try sees it.
                for _ in SQLITE.iter() {
                    if matches!(done, Err(MigrateError::ExecuteMigration(..) | MigrateError::Execute(_))) {
                        done = SQLITE.run(writer).await;
                    }
                }
                done.map_err(|error| migration_error(url, &SQLITE, error))
            }
        }
    }
}

async fn open_postgres(url: &DatabaseUrl, options: &PgConnectOptions) -> Result<Engine, ConnectError> {
    // The pool would go on trying to reach a server that is not there; at the start that hides the mistake.
    let first = tokio::time::timeout(CONNECT_TIMEOUT, options.connect());
    match first.await {
        Ok(Ok(connection)) => drop(connection.close().await),
        Ok(Err(error)) => return Err(connect_error(url, error)),
        Err(_) => return Err(unreachable(url, "no answer within 10 seconds")),
    }
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(CONNECT_TIMEOUT)
        // Asking a connection each time whether it is still there would double what a look-up waits for.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < TRUSTED || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(options.clone());
    let reach = Reach::default();
    Ok(Engine::Pg { pool, reach })
}

async fn open_sqlite(path: &Path) -> Result<Engine, ConnectError> {
    create_private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10));
    let forever = || {
        SqlitePoolOptions::new()
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(is_outside_transactions(connection)))
    };
    let write = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        // With NORMAL the last commits may be lost when the power fails.
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", "67108864")
        // SQLite opens a file that can't be written just now for reading, and would never write by that connection. So it has
        // to write at once (what nobody uses) or is none.
        .pragma("user_version", "0");
    let writer = forever()
        .max_connections(1)
        .connect_with(write)
        .await
        .map_err(|error| sqlite_error(path, error))?;
    let reader = forever()
        .max_connections(4)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    let bell = tokio::sync::watch::Sender::new(());
    Ok(Engine::Lite { writer, reader, bell })
}

/// Whether the connection may serve another caller. When writing fails (a full disk, an I/O error), SQLite ends the transaction by
/// itself; the driver's own ROLLBACK then fails, and it would take the connection to be inside that transaction for ever.
async fn is_outside_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback may be under way: the answer to this comes after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Makes the file with mode 0600 where there is none; the write-ahead log beside it inherits the mode. A file that is there is
/// not opened: closing it again would drop the locks that another connection of this process holds on it.
fn create_private(path: &Path) -> Result<(), ConnectError> {
    let not_writable = |reason: &str| ConnectError::NotWritable {
        path: path.display().to_string(),
        reason: reason.to_owned(),
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {
            Err(not_writable("it is a directory"))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_writable("its directory does not exist")),
        Err(error) => Err(not_writable(&error.kind().to_string())),
    }
}

fn unreachable(url: &DatabaseUrl, reason: &str) -> ConnectError {
    ConnectError::Unreachable {
        url: url.to_string(),
        reason: reason.to_owned(),
    }
}

fn connect_error(url: &DatabaseUrl, error: sqlx::Error) -> ConnectError {
    match &error {
        sqlx::Error::Io(io) => match io.kind() {
            ErrorKind::ConnectionRefused => unreachable(url, "nothing listens there"),
            ErrorKind::NotFound => unreachable(url, "there is no such socket"),
            ErrorKind::PermissionDenied => unreachable(url, "this user may not use that socket"),
            ErrorKind::TimedOut => unreachable(url, "no answer"),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                unreachable(url, "it hung up; is it a PostgreSQL server?")
            }
            _ => unreachable(url, "the host's name can't be resolved, or the network failed"),
        },
        sqlx::Error::Protocol(_) => unreachable(url, "what answers there does not speak PostgreSQL's protocol"),
        sqlx::Error::Tls(_) => ConnectError::Tls { url: url.to_string() },
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("28000" | "28P01") => ConnectError::Refused { url: url.to_string() },
            Some("3D000") => ConnectError::NoDatabase { url: url.to_string() },
            Some("53300") => unreachable(url, "it has no free connection"),
            Some("57P03") => unreachable(url, "it is starting or stopping"),
            _ => ConnectError::Other(Internal(error.into())),
        },
        _ => ConnectError::Other(Internal(error.into())),
    }
}

fn sqlite_error(path: &Path, error: sqlx::Error) -> ConnectError {
    let code = error.as_database_error().and_then(|e| e.code()?.parse::<u32>().ok());
    let path = path.display().to_string();
    let reason = match code.map(|extended| extended & 0xff) {
        Some(26) => return ConnectError::NotADatabase { path },
        Some(5 | 6) => "another process holds it",
        Some(8) => "it is read-only",
        Some(10) => "reading or writing failed",
        Some(11) => "it is damaged",
        Some(13) => "the disk is full",
        Some(14) => "no permission, or not a file",
        _ => return ConnectError::Other(Internal(error.into())),
    };
    ConnectError::NotWritable {
        path,
        reason: reason.to_owned(),
    }
}

fn migration_error(url: &DatabaseUrl, known: &Migrator, error: MigrateError) -> ConnectError {
    match error {
        MigrateError::VersionMissing(migration) if known.iter().all(|m| m.version < migration) => {
            ConnectError::Newer { migration }
        }
        MigrateError::VersionMissing(migration) | MigrateError::VersionMismatch(migration) => {
            ConnectError::Altered { migration }
        }
        MigrateError::Execute(error) => match &url.0 {
            Place::Sqlite(path) => sqlite_error(path, error),
            Place::Postgres(_) => connect_error(url, error),
        },
        other => ConnectError::Migration(Internal(other.into())),
    }
}
