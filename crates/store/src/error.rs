//! What can go wrong at this door. Typed and free of HTTP; the database's own words only ever appear as a source, for the log.

use lychgate_authz::Denial;
use lychgate_types::Timestamp;
use lychgate_types::provider::ProviderType;

/// Why a method did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller may not.
    #[error("not allowed")]
    Denied(Denial),
    /// The thing is not there, or the caller may not know of it.
    #[error("no such thing")]
    NotFound,
    /// What a listing's filters name is not there, or the caller may not see it.
    #[error("a filter names somebody or something that does not exist")]
    Unmatched(Vec<Unmatched>),
    /// A named constraint of the schema refused the row.
    #[error("the constraint {} refused it", .0.name)]
    Conflict(Constraint),
    /// A rule that no constraint can express refused it.
    #[error(transparent)]
    Rule(#[from] RuleBroken),
    /// The master key is not the one that sealed this database.
    #[error(
        "the master key is not the one that this database was sealed with: start with the first master key, or restore it from its backup"
    )]
    WrongMasterKey,
    /// The database does not answer, and it is known that it does not.
    #[error("the database does not answer")]
    Unavailable,
    /// The connection broke off, or the server ended it, in the middle: what was to be written may have been, or not.
    #[error("the connection to the database was lost")]
    Lost(#[source] Internal),
    /// The database answers, but can't be written: its disk is full, read-only or failing. Nothing was changed.
    #[error("the database can't be written: its disk is full, read-only or failing")]
    NotWritable(#[source] Internal),
    /// The database failed.
    #[error("the database failed")]
    Internal(#[source] Internal),
}

impl From<Denial> for StoreError {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// A filter that names what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmatched {
    /// The filter, as the API calls it.
    pub filter: &'static str,
    /// What is not there, in words.
    pub why: &'static str,
}

impl From<Unmatched> for StoreError {
    fn from(unmatched: Unmatched) -> Self {
        Self::Unmatched(vec![unmatched])
    }
}

/// A constraint of the schema; its name is the same on both engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// For example `ai_gateway_keys_name_idx`.
    pub name: String,
}

/// A rule about several rows at once, or about the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleBroken {
    /// Nobody would be left to run the deployment.
    #[error("this is the last active owner: create another owner first")]
    LastOwner,
    /// A token can't make one that may do more than itself.
    #[error("a token can't be given scopes that the token in use does not have")]
    ScopesTooWide,
    /// A token can't make one for its own user that outlives it.
    #[error("the token in use works until {until}, and can't make one that works for longer")]
    OutlivesMaker {
        /// When that is.
        until: Timestamp,
    },
    /// A user has a bounded number of working tokens.
    #[error("the user has {most} working tokens, which is the most there may be: revoke some first")]
    TooManyTokens {
        /// How many.
        most: u32,
    },
    /// Provider keys are given for one address.
    #[error(
        "the provider's keys were given for its present address; to change the host, port, scheme or allow_private, send the keys again in the same request (an empty list removes them)"
    )]
    KeysNeeded,
    /// A change of a provider was made for an address that is not the provider's any more.
    #[error(
        "the provider's address was changed at the same time: read the provider again, and repeat what still applies"
    )]
    ProviderMoved,
    /// Tokens are only made for active users.
    #[error("the user is suspended: activate the user first")]
    OwnerSuspended,
    /// The wanted list of provider keys names one that this provider does not have.
    #[error("the provider has no key with one of the ids given: read the provider again")]
    NoSuchProviderKey,
    /// There is no gateway key to replace, nor was there one lately.
    #[error("there is no gateway key of this name or id, nor was one deleted in the last 31 days")]
    NoSuchGatewayKey,
    /// A provider that routes name can't go.
    #[error("these routes use the provider: {}; change or delete them first", some(.routes))]
    ProviderInUse {
        /// Their names, oldest route first.
        routes: Vec<String>,
    },
    /// A gateway key is not rotated again while the secret before still works.
    #[error("the previous secret still works until {until}: wait, or use force, which stops it now")]
    RotationInGrace {
        /// When it ends by itself.
        until: Timestamp,
    },
    /// A gateway key can't serve what is not there.
    #[error("some of the providers do not exist")]
    NoSuchProviders {
        /// Their places in the list, counted from 0.
        places: Vec<usize>,
    },
    /// What a route names as providers does not go together.
    #[error("the route's providers do not go together: {}", all(.0))]
    RouteProviders(Vec<RouteMisfit>),
}

/// The first names of a list that may be long.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let first = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn all(misfits: &[RouteMisfit]) -> String {
    let texts: Vec<_> = misfits
        .iter()
        .map(|misfit| format!("{}: {}", misfit.place, misfit.why))
        .collect();
    texts.join("; ")
}

/// A provider that a route can't name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteMisfit {
    /// Where the route names it.
    pub place: RoutePlace,
    /// Why it can't be there.
    pub why: RouteMisfitReason,
}

/// A place in a route where a provider stands. Its text is the field's path: `targets[0].provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutePlace {
    /// The provider that clients address.
    Entry,
    /// One of the targets, counted from 0.
    Target(usize),
    /// One of the fallbacks, counted from 0.
    Fallback(usize),
}

impl std::fmt::Display for RoutePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entry => f.write_str("provider"),
            Self::Target(at) => write!(f, "targets[{at}].provider"),
            Self::Fallback(at) => write!(f, "fallbacks[{at}].provider"),
        }
    }
}

/// Why a provider can't stand in a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteMisfitReason {
    /// There is none of this id or name.
    #[error("no such provider")]
    Unknown,
    /// Requests for the one can't be sent to the other as they are.
    #[error("is of the type {other}, which does not take the requests that clients make to the type {entry}")]
    OtherRequests {
        /// The type of the route's own provider.
        entry: ProviderType,
        /// The type of this one.
        other: ProviderType,
    },
    /// Clients name the value of this setting in their paths, and this provider has another one.
    #[error("has another {0} than the route's provider; clients name it in the paths of their requests")]
    OtherSetting(&'static str),
}

/// A failure of the database itself. Its `Display` says nothing of it; its source does, for the log.
#[derive(thiserror::Error)]
#[error("an unexpected answer")]
pub struct Internal(#[source] pub(crate) Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Debug for Internal {
    /// The source's message alone: its `Debug` may hold the row that PostgreSQL refused, hashes and all.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Internal({})", self.0)
    }
}

/// Why the database can't be used. Each says what to do; none repeats a password or the database's words.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file can't be made or written.
    #[error(
        "the database file {path} can't be opened for writing ({reason}): check that its directory exists and that this user may write to it"
    )]
    NotWritable {
        /// The file.
        path: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The file is something else.
    #[error("{path} is not a SQLite database: give the path of another file, or of one that does not exist yet")]
    NotADatabase {
        /// The file.
        path: String,
    },
    /// No answer from the server.
    #[error(
        "the PostgreSQL server of {url} can't be reached ({reason}): check that it runs, and host, port and network"
    )]
    Unreachable {
        /// Without its password.
        url: String,
        /// Why, in the operating system's words.
        reason: String,
    },
    /// The server refused user or password.
    #[error("the PostgreSQL server refused the user or password of {url}: check both, and the server's pg_hba.conf")]
    Refused {
        /// Without its password.
        url: String,
    },
    /// The server has no such database.
    #[error("the PostgreSQL server has no database of the name in {url}: create it first, for example with createdb")]
    NoDatabase {
        /// Without its password.
        url: String,
    },
    /// TLS could not be agreed upon.
    #[error("no TLS connection to the PostgreSQL server of {url}: check its certificate and the URL's sslmode")]
    Tls {
        /// Without its password.
        url: String,
    },
    /// A newer version of Lychgate has been here.
    #[error(
        "the database was migrated by a newer version (migration {migration}): run that version, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The first migration that this version does not know.
        migration: i64,
    },
    /// A migration in the database is not the one of the same number in this program.
    #[error(
        "migration {migration} of the database differs from this version's: the database belongs to another build; use that build, or another database"
    )]
    Altered {
        /// Its number.
        migration: i64,
    },
    /// The schema can't be brought up to date.
    #[error(
        "the database schema can't be migrated: restore the last backup, or look into the source of this error in the log"
    )]
    Migration(#[source] Internal),
    /// Anything else.
    #[error("the database answered in an unexpected way: look for the source of this error in the log")]
    Other(#[source] Internal),
}
