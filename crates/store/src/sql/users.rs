//! Users.

use crate::engine::{Assembled, Conn, Held, Lock, Row, Tx, args};
use crate::error::StoreError;
use crate::guard::{Authorised, Found};
use crate::name_or_id::NameOrId;
use crate::page::Page;
use crate::rows::users::{User, UserFilter, UserInsert, UserPatch, UserState};
use lychgate_types::{Timestamp, UserId};

macro_rules! columns {
    () => {
        "id, username, role, state, created_at, deleted_at, display_name, email"
    };
}

super::statements! {
    INSERT = concat!(
        "INSERT INTO users (id, created_at, username, role, state) \
         VALUES ($1, $2, lower($3) /* stored in lower case */, $4, 'active') RETURNING ", columns!());
    LIST = concat!("SELECT ", columns!(), " FROM users WHERE (created_at, id) > ($1, $2)");
    FIND = concat!("SELECT ", columns!(), " FROM users WHERE (id = $1 OR lower(username) = $2) AND deleted_at IS NULL");
    /// One that was deleted, too: it has records. Of those that had a name, the one who has it now, else who had it last.
    ID_OF = "SELECT id FROM users WHERE id = $1";
    ID_OF_NAME = "SELECT id FROM users WHERE lower(username) = $1 AND deleted_at IS NULL";
    ID_OF_DELETED = "SELECT id FROM users WHERE lower(username) = $1 AND deleted_at IS NOT NULL \
         ORDER BY deleted_at DESC, id DESC LIMIT 1";
    SET_STATE = concat!("UPDATE users SET state = $2 WHERE id = $1 AND deleted_at IS NULL RETURNING ", columns!());
    UPDATE = concat!("UPDATE users SET role = $2, display_name = $3, email = $4 \
         WHERE id = $1 AND deleted_at IS NULL RETURNING ", columns!());
    DELETE = "UPDATE users SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL";
    COUNT_ACTIVE_OWNERS =
        "SELECT COUNT(id) AS n FROM users WHERE role = 'owner' AND state = 'active' AND deleted_at IS NULL";
    COUNT_EVER = "SELECT COUNT(id) AS n FROM users";
}

fn read(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.id("id")?,
        username: row.text("username")?,
        display_name: row.opt_text("display_name")?,
        email: row.opt_text("email")?,
        role: row.parsed("role")?,
        state: row.parsed("state")?,
        created_at: row.time("created_at")?,
        deleted_at: row.opt_time("deleted_at")?,
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
    listing(filter, only, page).all(conn).await?.iter().map(read).collect()
}

pub(super) fn listing(filter: &UserFilter, only: Option<UserId>, page: Page) -> Assembled {
    let (at, id) = super::ascending(page);
    let there = if filter.deleted {
        " AND deleted_at IS NOT NULL"
    } else {
        " AND deleted_at IS NULL"
    };
    Assembled::new(LIST, args![at, id])
        .part(there, args![])
        .given(
            " AND username LIKE ? ESCAPE '\\'",
            filter.q.as_deref().map(super::containing),
        )
        .given(" AND id = ?", only)
        .part(" ORDER BY created_at, id LIMIT ?", args![page.fetch()])
}

pub(crate) async fn find(conn: Conn<'_>, user: &NameOrId<UserId>) -> Result<Found<User>, StoreError> {
    let row = conn.optional(FIND, args![user.id(), user.name()]).await?;
    row.as_ref().map(read).transpose().map(Found::new)
}

/// The id that a filter names: of a user, or one who was deleted. `None` where nobody has or had it.
pub(crate) async fn id_of(held: &mut Held, user: &NameOrId<UserId>) -> Result<Option<UserId>, StoreError> {
    if let Some(id) = user.id()
        && held.conn().optional(ID_OF, args![id]).await?.is_some()
    {
        return Ok(Some(id));
    }
    if let Some(id) = id_of_name(held.conn(), user.name()).await? {
        return Ok(Some(id));
    }
    let row = held.conn().optional(ID_OF_DELETED, args![user.name()]).await?;
    row.map(|row| row.id("id")).transpose()
}

/// The user who has this name now.
pub(crate) async fn id_of_name(conn: Conn<'_>, name: &str) -> Result<Option<UserId>, StoreError> {
    let row = conn.optional(ID_OF_NAME, args![name]).await?;
    row.map(|row| row.id("id")).transpose()
}

pub(crate) async fn set_state(conn: Conn<'_>, user: &Authorised<User>, state: UserState) -> Result<User, StoreError> {
    read(&conn.one(SET_STATE, args![user.id, state.as_str()]).await?)
}

/// Under [`Lock::Accounts`], so that what was found still holds.
pub(crate) async fn update(conn: Conn<'_>, user: &Authorised<User>, patch: &UserPatch) -> Result<User, StoreError> {
    let kept = |change: &Option<Option<String>>, old: &Option<String>| change.clone().unwrap_or_else(|| old.clone());
    let values = args![
        user.id,
        patch.role.unwrap_or(user.role).as_str(),
        kept(&patch.display_name, &user.display_name),
        kept(&patch.email, &user.email),
    ];
    read(&conn.one(UPDATE, values).await?)
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
