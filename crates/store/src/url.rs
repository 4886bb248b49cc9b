//! Where the database is.

use sqlx::postgres::PgConnectOptions;
use std::path::{Path, PathBuf};

/// A database's address. Neither `Debug` nor `Display` shows a password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Place);

#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// Text that is not a database's address. The text itself, which may hold a password, is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a database URL: {0}; write sqlite:///path/to/file.db or postgres://user:password@host:5432/database")]
pub struct DatabaseUrlError(&'static str);

/// Parameters of a PostgreSQL URL. Others would be ignored in silence, or logged with their values.
const PARAMETERS: [&str; 10] = [
    "application_name",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
];

impl DatabaseUrl {
    /// Reads `sqlite:///path/file.db`, `sqlite:file`, `postgres://…` or `postgresql://…`.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let (scheme, rest) = text.split_once(':').ok_or(DatabaseUrlError("it has no scheme"))?;
        match scheme {
            "sqlite" => sqlite(rest.strip_prefix("//").unwrap_or(rest)),
            "postgres" | "postgresql" => postgres(text, rest),
            _ => Err(DatabaseUrlError("its scheme is neither sqlite nor postgres")),
        }
    }

    /// A SQLite file.
    pub fn sqlite_file(path: &Path) -> Self {
        Self(Place::Sqlite(path.to_owned()))
    }
}

fn sqlite(path: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
    if path.is_empty() {
        Err(DatabaseUrlError("it names no file"))
    } else if path.starts_with(":memory:") {
        Err(DatabaseUrlError("a database in memory would be lost with the process"))
    } else if path.contains('?') {
        Err(DatabaseUrlError("a SQLite URL takes no parameters"))
    } else if path.ends_with('/') {
        Err(DatabaseUrlError("it names a directory, not a file"))
    } else {
        Ok(DatabaseUrl::sqlite_file(Path::new(path)))
    }
}

fn postgres(text: &str, rest: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
    if !rest.starts_with("//") {
        return Err(DatabaseUrlError("after postgres: come two slashes"));
    }
    let (_, query) = text.split_once('?').unwrap_or((text, ""));
    let mut names = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split('=').next().unwrap_or(part));
    if names.any(|name| !PARAMETERS.contains(&name)) {
        return Err(DatabaseUrlError("it has a parameter that is not known"));
    }
    let options: PgConnectOptions = text
        .parse()
        .map_err(|_| DatabaseUrlError("host, port or a parameter can't be read"))?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(DatabaseUrlError("it names no database"));
    }
    let named = options.get_application_name().is_some();
    let options = if named {
        options
    } else {
        options.application_name("lychgate")
    };
    Ok(DatabaseUrl(Place::Postgres(Box::new(options))))
}

impl std::str::FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;
    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        Self::parse(text)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Place::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Place::Postgres(options) => {
                write!(f, "postgres://{}@", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => f.write_str(&socket.to_string_lossy().replace('/', "%2F"))?,
                    None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
                }
                write!(f, "/{}", options.get_database().unwrap_or_default())
            }
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones_are_shown_without_their_password() {
        for (text, shown) in [
            ("sqlite:///var/lib/x.db", "sqlite:///var/lib/x.db"),
            ("sqlite://x.db", "sqlite://x.db"),
            ("sqlite:x.db", "sqlite://x.db"),
            (
                "postgres://me:hunter2@db:5433/gate?sslmode=require",
                "postgres://me@db:5433/gate",
            ),
            ("postgresql://me@db/gate?password=hunter2", "postgres://me@db:5432/gate"),
            (
                "postgres://me:hunter2@%2Frun%2Fpg/gate",
                "postgres://me@%2Frun%2Fpg/gate",
            ),
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn bad_ones_are_refused_without_being_repeated() {
        for (text, why) in [
            ("", "no scheme"),
            ("/var/lib/hunter2.db", "no scheme"),
            ("mysql://me:hunter2@db/gate", "neither"),
            ("sqlite:", "no file"),
            ("sqlite://", "no file"),
            ("sqlite::memory:", "memory"),
            ("sqlite:hunter2.db?mode=ro", "no parameters"),
            ("sqlite:///hunter2/", "directory"),
            ("postgres:me:hunter2@db/gate", "two slashes"),
            ("postgres://me:hunter2@db:port/gate", "can't be read"),
            ("postgres://me:hunter2@db", "no database"),
            ("postgres://me@db/gate?passwrod=hunter2", "not known"),
            ("postgres://me@db/gate?sslmode=hunter2", "can't be read"),
        ] {
            let error = DatabaseUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
