//! The two databases as one: pools, connections, transactions. What only one engine can do stands here and below.
//!
//! Everything above speaks in static SQL texts, [`Value`]s and [`Row`]s and does not know which engine it talks to. Not here:
//! any SQL about the product's tables (`sql/`).

mod assembled;
mod bulk;
mod columns;
mod failure;
mod listen;
mod open;
mod reach;
mod row;
mod value;

pub(crate) use assembled::Assembled;
pub(crate) use bulk::Bulk;
pub(crate) use failure::{foreign, is_about_values};
pub(crate) use listen::Listener;
pub(crate) use open::schema_id;
pub(crate) use row::Row;
pub(crate) use value::{Args, Moment, Value, args, clean, cut};

use crate::error::StoreError;
use reach::Reach;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::watch;

/// An open database.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// Any number of control planes.
    Pg { pool: PgPool, reach: Reach },
    /// One control plane. One connection writes, so that writers queue instead of failing; the others only read.
    /// The bell tells this process of each announced change.
    Lite {
        writer: SqlitePool,
        reader: SqlitePool,
        bell: watch::Sender<()>,
    },
}

/// What concurrent transactions take in turn, where rows alone can't order them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(crate) enum Lock {
    /// Users' states, owners and tokens: "the last owner" is a statement about many rows.
    Accounts = 0x6c79_6368_0001,
    /// The first writing of the master key's check.
    MasterKey = 0x6c79_6368_0002,
    /// Deleting what is outdated: one control plane at a time is enough.
    Housekeeping = 0x6c79_6368_0003,
}

impl Engine {
    /// A connection for one reading statement.
    pub(crate) async fn read(&self) -> Result<Held, StoreError> {
        match self {
            Self::Pg { pool, reach } => {
                let held = reach.within(pool.acquire()).await?;
                Ok(Held::Pg(held, reach.clone()))
            }
            Self::Lite { reader, .. } => reader.acquire().await.map(Held::Lite).map_err(failure::plain),
        }
    }

    /// A connection for one writing statement.
    pub(crate) async fn write(&self) -> Result<Held, StoreError> {
        match self {
            Self::Pg { pool, reach } => {
                let held = reach.within(pool.acquire()).await?;
                Ok(Held::Pg(held, reach.clone()))
            }
            Self::Lite { writer, .. } => writer.acquire().await.map(Held::Lite).map_err(failure::plain),
        }
    }

    /// How many transactions of one caller can write at the same time to some avail.
    pub(crate) const fn writers(&self) -> usize {
        match self {
            Self::Pg { .. } => 4,
            Self::Lite { .. } => 1,
        }
    }

    /// A transaction that may write. Dropped without a commit, it changes nothing.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Pg { pool, reach } => {
                let tx = reach.within(begun(pool, "BEGIN")).await?;
                Ok(Tx::Pg(tx, reach.clone()))
            }
            // A deferred transaction that reads before it writes fails under contention, whatever the busy timeout.
            Self::Lite { writer, bell, .. } => {
                let tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failure::plain)?;
                Ok(Tx::Lite(tx, Announcement::new(bell)))
            }
        }
    }

    /// A transaction in which several reading statements see the same state.
    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Pg { pool, reach } => {
                let begun = begun(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
                let tx = reach.within(begun).await?;
                Ok(Tx::Pg(tx, reach.clone()))
            }
            Self::Lite { reader, bell, .. } => {
                let tx = reader.begin().await.map_err(failure::plain)?;
                Ok(Tx::Lite(tx, Announcement::new(bell)))
            }
        }
    }

    /// Closes every connection, after what they are doing.
    pub(crate) async fn close(&self) {
        match self {
            Self::Pg { pool, .. } => pool.close().await,
            Self::Lite { writer, reader, .. } => {
                // The writer last: the last connection to go folds the write-ahead log into the file.
                reader.close().await;
                writer.close().await;
            }
        }
    }
}

/// Begins a transaction, in a task of its own: one whose beginning is given up half-way would stay open on a connection that goes
/// back to the pool, and its next user would see the database as it was then.
async fn begun(pool: &PgPool, statement: &'static str) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let beginning = tokio::spawn(async move { pool.begin_with(statement).await });
    beginning.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// A connection on loan from a pool.
pub(crate) enum Held {
    Pg(PoolConnection<Postgres>, Reach),
    Lite(PoolConnection<Sqlite>),
}

impl Held {
    /// For one statement.
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Pg(held, reach) => Conn::Pg(held, reach),
            Self::Lite(held) => Conn::Lite(held),
        }
    }
}

/// A transaction under way.
pub(crate) enum Tx {
    Pg(Transaction<'static, Postgres>, Reach),
    Lite(Transaction<'static, Sqlite>, Announcement),
}

/// What a transaction of SQLite tells this process when it commits.
pub(crate) struct Announcement {
    bell: watch::Sender<()>,
    due: bool,
}

impl Announcement {
    fn new(bell: &watch::Sender<()>) -> Self {
        Self {
            bell: bell.clone(),
            due: false,
        }
    }
}

impl Tx {
    /// For one statement of the transaction.
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Pg(tx, reach) => Conn::Pg(tx, reach),
            Self::Lite(tx, _) => Conn::Lite(tx),
        }
    }

    /// Waits until no other transaction holds this lock, and holds it to the end.
    pub(crate) async fn lock(&mut self, lock: Lock) -> Result<(), StoreError> {
        match self {
            Self::Pg(tx, reach) => {
                let query = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock as i64);
                let locked = reach.during(query.execute(&mut **tx)).await?;
                locked.map(drop).map_err(failure::plain)
            }
            // The only writer there is.
            Self::Lite(..) => Ok(()),
        }
    }

    /// Takes this lock to the end if no other transaction holds it; says whether.
    pub(crate) async fn try_lock(&mut self, lock: Lock) -> Result<bool, StoreError> {
        match self {
            Self::Pg(tx, reach) => {
                let query = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(lock as i64);
                reach.during(query.fetch_one(&mut **tx)).await?.map_err(failure::plain)
            }
            Self::Lite(..) => Ok(true),
        }
    }

    /// Wakes every [`Listener`] as soon as this transaction is committed.
    pub(crate) async fn announce(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Pg(tx, reach) => {
                let query = sqlx::query("SELECT pg_notify($1, '')").bind(listen::CHANNEL);
                let announced = reach.during(query.execute(&mut **tx)).await?;
                announced.map(drop).map_err(failure::plain)
            }
            Self::Lite(_, announcement) => {
                announcement.due = true;
                Ok(())
            }
        }
    }

    /// Makes it so.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Pg(tx, reach) => reach.during(tx.commit()).await?.map_err(failure::plain),
            Self::Lite(tx, announcement) => {
                tx.commit().await.map_err(failure::plain)?;
                if announcement.due {
                    announcement.bell.send_replace(());
                }
                Ok(())
            }
        }
    }
}

/// Where one statement runs.
pub(crate) enum Conn<'c> {
    Pg(&'c mut PgConnection, &'c Reach),
    Lite(&'c mut SqliteConnection),
}

impl Conn<'_> {
    /// Runs a statement and gives its rows.
    pub(crate) async fn all(self, text: impl SqlSafeStr, args: Args) -> Result<Vec<Row>, StoreError> {
        match self {
            Conn::Pg(conn, reach) => {
                let query = args
                    .into_iter()
                    .fold(sqlx::query::<Postgres>(text), |query, value| query.bind(value));
                let rows = reach.during(query.fetch_all(conn)).await?.map_err(failure::postgres)?;
                Ok(rows.into_iter().map(Row::Pg).collect())
            }
            Conn::Lite(conn) => {
                let query = args
                    .into_iter()
                    .fold(sqlx::query::<Sqlite>(text), |query, value| query.bind(value));
                match query.fetch_all(&mut *conn).await {
                    Ok(rows) => Ok(rows.into_iter().map(Row::Lite).collect()),
                    Err(error) => Err(failure::sqlite(conn, error).await),
                }
            }
        }
    }

    /// Runs a statement that gives one row or none.
    pub(crate) async fn optional(self, text: &'static str, args: Args) -> Result<Option<Row>, StoreError> {
        // All rows are fetched: SQLite ends a statement with RETURNING only with its last row.
        Ok(self.all(text, args).await?.into_iter().next())
    }

    /// Runs a statement that gives one row.
    pub(crate) async fn one(self, text: &'static str, args: Args) -> Result<Row, StoreError> {
        self.optional(text, args)
            .await?
            .ok_or_else(|| failure::plain(sqlx::Error::RowNotFound))
    }

    /// Runs a statement and gives the number of rows that it touched.
    pub(crate) async fn execute(self, text: &'static str, args: Args) -> Result<u64, StoreError> {
        match self {
            Conn::Pg(conn, reach) => {
                let query = args
                    .into_iter()
                    .fold(sqlx::query::<Postgres>(text), |query, value| query.bind(value));
                reach
                    .during(query.execute(conn))
                    .await?
                    .map(|done| done.rows_affected())
                    .map_err(failure::postgres)
            }
            Conn::Lite(conn) => {
                let query = args
                    .into_iter()
                    .fold(sqlx::query::<Sqlite>(text), |query, value| query.bind(value));
                match query.execute(&mut *conn).await {
                    Ok(done) => Ok(done.rows_affected()),
                    Err(error) => Err(failure::sqlite(conn, error).await),
                }
            }
        }
    }
}
