//! What a database's refusal means, told by the names of constraints, the same on both engines.

use crate::error::{Constraint, Internal, StoreError};
use sqlx::error::{DatabaseError as _, ErrorKind};
use sqlx::sqlite::SqliteError;
use sqlx::{Row as _, SqliteConnection};

/// A failure that is nobody's rule: broken connection, unreadable column.
pub(crate) fn plain(error: sqlx::Error) -> StoreError {
    if is_unwritable(&error) {
        StoreError::NotWritable(Internal(error.into()))
    } else if is_gone(&error) {
        StoreError::Lost(Internal(error.into()))
    } else {
        StoreError::Internal(Internal(error.into()))
    }
}

/// Whether the server is not there, or about to go or to come. One that refuses for another reason is there.
pub(super) fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| code.starts_with("57P0")),
        _ => false,
    }
}

/// Whether the database is there and can't be written: its disk is full, read-only or failing.
fn is_unwritable(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else {
        return false;
    };
    if let Some(error) = database.try_downcast_ref::<SqliteError>() {
        // Out of memory, read-only, I/O error, full, can't open.
        let code = error.code().and_then(|code| code.parse::<u32>().ok());
        return code.is_some_and(|code| matches!(code & 0xff, 7 | 8 | 10 | 13 | 14));
    }
    // Read-only transaction, insufficient resources (disk full, out of memory), I/O error.
    database
        .code()
        .is_some_and(|code| matches!(&*code, "25006" | "53100" | "53200" | "58030"))
}

/// A stored value that this program can't read.
pub(crate) fn foreign(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Internal(Internal(Box::new(error)))
}

/// Whether it was the values that the database refused, so that the same statement with others might succeed.
pub(crate) fn is_about_values(error: &StoreError) -> bool {
    let StoreError::Internal(Internal(source)) = error else {
        return matches!(error, StoreError::Conflict(_));
    };
    match source.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Encode(_)) => true,
        Some(sqlx::Error::Database(database)) => database.code().is_some_and(|code| {
            match code.parse::<u32>() {
                // SQLite's extended codes: too big, a constraint, a mismatch of types.
                Ok(number) if code.len() < 5 => matches!(number & 0xff, 18..=20),
                // Classes of PostgreSQL's: data, integrity, limits of the program.
                _ => matches!(code.get(..2), Some("22" | "23" | "54")),
            }
        }),
        _ => false,
    }
}

/// PostgreSQL names the constraint itself.
pub(super) fn postgres(error: sqlx::Error) -> StoreError {
    let name = error
        .as_database_error()
        .and_then(|e| named_kind(e).then(|| e.constraint()).flatten());
    match name.map(str::to_owned) {
        Some(name) => StoreError::Conflict(Constraint { name }),
        None => plain(error),
    }
}

/// SQLite names checks and indexes over expressions; for an index over columns it lists the columns, and the schema knows the
/// index. The connection goes on working after a refused statement.
pub(super) async fn sqlite(conn: &mut SqliteConnection, error: sqlx::Error) -> StoreError {
    let Some(database) = error.as_database_error().filter(|e| named_kind(*e)) else {
        return plain(error);
    };
    let message = database.message().to_owned();
    let name = match message.split_once(" constraint failed: ") {
        Some(("CHECK", name)) => Some(name.to_owned()),
        Some(("UNIQUE", what)) => match what.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\'')) {
            Some(name) => Some(name.to_owned()),
            None => index_over(conn, what).await,
        },
        _ => None,
    };
    match name {
        Some(name) => StoreError::Conflict(Constraint { name }),
        None => plain(error),
    }
}

/// Foreign keys have no name in SQLite and no method here relies on them; a missing value can't come about by the types.
fn named_kind(error: &dyn sqlx::error::DatabaseError) -> bool {
    matches!(error.kind(), ErrorKind::UniqueViolation | ErrorKind::CheckViolation)
}

/// The unique index over exactly these columns, given as `table.column, table.column`.
async fn index_over(conn: &mut SqliteConnection, columns: &str) -> Option<String> {
    let table = columns.split('.').next()?;
    let rows = sqlx::query(
        "SELECT l.name AS name, l.origin AS origin, i.name AS col FROM pragma_index_list($1) l \
         JOIN pragma_index_info(l.name) i WHERE l.\"unique\" = 1 ORDER BY l.seq, i.seqno",
    )
    .bind(table)
    .fetch_all(conn)
    .await
    .ok()?;
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    for row in rows {
        let (name, origin): (String, String) = (row.try_get("name").ok()?, row.try_get("origin").ok()?);
        // An index over an expression has no column name here, and is told by its own name.
        let column = row.try_get::<Option<String>, _>("col").ok()?.unwrap_or_default();
        match found.last_mut() {
            Some(last) if last.0 == name => last.2.push(format!("{table}.{column}")),
            _ => found.push((name, origin, vec![format!("{table}.{column}")])),
        }
    }
    let (name, origin, _) = found.into_iter().find(|(_, _, over)| over.join(", ") == columns)?;
    Some(if origin == "pk" { format!("{table}_pkey") } else { name })
}
