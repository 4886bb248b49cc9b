//! Where the database is.

use std::path::{Path, PathBuf};

/// A database's address. Neither `Debug` nor `Display` shows a password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Place);

#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<sqlx::postgres::PgConnectOptions>),
}

/// Text that is not a database's address. The text itself, which may hold a password, is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a database URL: {0}; write sqlite:///path/to/file.db or postgres://user:password@host:5432/database")]
pub struct DatabaseUrlError(&'static str);

impl DatabaseUrl {
    /// Reads `sqlite:///path/file.db`, `sqlite:file`, `postgres://…` or `postgresql://…`.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        todo!()
    }

    /// A SQLite file.
    pub fn sqlite_file(path: &Path) -> Self {
        Self(Place::Sqlite(path.to_owned()))
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;
    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        Self::parse(text)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
