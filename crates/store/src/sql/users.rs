//! Users.

use crate::engine::{Conn, Lock, Row, Tx, args};
use crate::error::StoreError;
use crate::guard::{Authorised, Found};
use crate::name_or_id::NameOrId;
use crate::page::Page;
use crate::rows::users::{User, UserFilter, UserInsert, UserState};
use lychgate_types::{Timestamp, UserId};

macro_rules! columns {
    () => {
        "id, username, role, state, created_at"
    };
}

super::statements! {
    INSERT = concat!(
        "INSERT INTO users (id, created_at, username, role, state) \
         VALUES ($1, $2, lower($3) /* stored in lower case */, $4, 'active') RETURNING ", columns!());
    LIST = concat!("SELECT ", columns!(), " FROM users WHERE deleted_at IS NULL \
         AND (username LIKE $1 ESCAPE '\\' OR $1 IS NULL) AND (id = $2 OR $2 IS NULL) \
         AND (created_at, id) > ($3, $4) ORDER BY created_at, id LIMIT $5");
    FIND = concat!("SELECT ", columns!(), " FROM users WHERE (id = $1 OR lower(username) = $2) AND deleted_at IS NULL");
    SET_STATE = concat!("UPDATE users SET state = $2 WHERE id = $1 AND deleted_at IS NULL RETURNING ", columns!());
    DELETE = "UPDATE users SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    COUNT_ACTIVE_OWNERS =
        "SELECT COUNT(id) AS n FROM users WHERE role = 'owner' AND state = 'active' AND deleted_at IS NULL";
    COUNT_EVER = "SELECT COUNT(id) AS n FROM users";
}

fn read(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.id("id")?,
        username: row.text("username")?,
        role: row.parsed("role")?,
        state: row.parsed("state")?,
        created_at: row.time("created_at")?,
    })
}

pub(crate) async fn insert(conn: Conn<'_>, id: UserId, at: Timestamp, new: &UserInsert) -> Result<User, StoreError> {
    read(
        &conn
            .one(INSERT, args![id, at, &*new.username, new.role.as_str()])
            .await?,
    )
}

pub(crate) async fn list(
    conn: Conn<'_>,
    filter: &UserFilter,
    only: Option<UserId>,
    page: Page,
) -> Result<Vec<User>, StoreError> {
    let (at, id) = super::ascending(page);
    conn.all(
        LIST,
        args![super::containing(filter.q.as_deref()), only, at, id, page.fetch()],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

pub(crate) async fn find(conn: Conn<'_>, user: &NameOrId<UserId>) -> Result<Found<User>, StoreError> {
    let row = conn.optional(FIND, args![user.id(), user.name()]).await?;
    row.as_ref().map(read).transpose().map(Found::new)
}

/// The id that a filter names; `None` where nobody has the name. An id is taken as it is: deleted users have records, too.
pub(crate) async fn id_of(conn: Conn<'_>, user: &NameOrId<UserId>) -> Result<Option<UserId>, StoreError> {
    match user.id() {
        Some(id) => Ok(Some(id)),
        None => {
            let row = conn.optional(FIND, args![None::<UserId>, user.name()]).await?;
            row.map(|row| row.id("id")).transpose()
        }
    }
}

pub(crate) async fn set_state(conn: Conn<'_>, user: &Authorised<User>, state: UserState) -> Result<User, StoreError> {
    read(&conn.one(SET_STATE, args![user.id, state.as_str()]).await?)
}

pub(crate) async fn delete(conn: Conn<'_>, user: &Authorised<User>, at: Timestamp) -> Result<(), StoreError> {
    conn.execute(DELETE, args![user.id, at]).await.map(drop)
}

/// Call under [`Lock::Accounts`].
pub(crate) async fn count_active_owners(conn: Conn<'_>) -> Result<i64, StoreError> {
    conn.one(COUNT_ACTIVE_OWNERS, args![]).await?.int("n")
}

/// Whether there has never been a user; nobody else can make one until the transaction ends.
pub(crate) async fn none_ever(tx: &mut Tx) -> Result<bool, StoreError> {
    tx.lock(Lock::Accounts).await?;
    Ok(tx.conn().one(COUNT_EVER, args![]).await?.int("n")? == 0)
}
