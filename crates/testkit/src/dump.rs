//! All that a database holds, as bytes to search.

use crate::db::{TestDb, TestEngine};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// SQLite: the file, its write-ahead log and its index as they lie on the disk. PostgreSQL: every row of every table, as text.
///
/// # Panics
/// When it can't be read.
pub async fn everything(db: &TestDb) -> Vec<u8> {
    match db.engine() {
        TestEngine::Sqlite => files(db.url()),
        TestEngine::Postgres => rows(db.url()).await,
    }
}

fn files(url: &str) -> Vec<u8> {
    let path = url.trim_start_matches("sqlite://");
    let mut all = std::fs::read(path).expect("the database file");
    for more in ["-wal", "-shm", "-journal"] {
        // Which of them are there is the engine's affair.
        all.extend(std::fs::read(format!("{path}{more}")).unwrap_or_default());
    }
    all
}

async fn rows(url: &str) -> Vec<u8> {
    let mut session = PgConnection::connect(url).await.expect("the database answers");
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .fetch_all(&mut session)
    .await
    .expect("the list of tables");
    let mut all = Vec::new();
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} AS t")))
            .fetch_all(&mut session)
            .await
            .expect("the rows");
        all.extend(rows.join("\n").into_bytes());
    }
    session.close().await.expect("the session ends");
    all
}
