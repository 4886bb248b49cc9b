//! User tokens. `token_hash` is only ever answered by the texts that end tokens: replicas must be told which to forget.

pub(crate) mod grants;

use crate::engine::{Assembled, Conn, Row, args};
use crate::error::StoreError;
use crate::guard::{Authorised, Found};
use crate::page::Page;
use crate::rows::tokens::{Token, TokenAuthentication, TokenInsert};
use crate::rows::users::{User, UserRef};
use lychgate_authz::Scopes;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Timestamp, TokenId, UserId};

macro_rules! columns {
    () => {
        "SELECT t.id, t.user_id, u.username, u.deleted_at AS user_deleted_at, t.name, t.secret_prefix, t.scopes, t.created_at, t.expires_at, t.last_used_at, \
         t.revoked_at FROM tokens t JOIN users u ON u.id = t.user_id "
    };
}

/// When a token that is revoked now (`$2`) has stopped working: not before it was last used, should this control plane's clock be behind.
macro_rules! revoked {
    () => {
        "UPDATE tokens SET revoked_at = CASE WHEN last_used_at > $2 THEN last_used_at ELSE $2 END "
    };
}

super::statements! {
    INSERT = "INSERT INTO tokens (id, created_at, user_id, name, secret_prefix, token_hash, scopes, expires_at, made_by) \
         VALUES ($1, $2, $3, lower($4) /* stored in lower case */, $5, $6, $7, $8, $9)";
    LIST = concat!(columns!(), "WHERE (t.created_at, t.id) > ($1, $2)");
    FIND = concat!(columns!(), "WHERE t.id = $1");
    REVOKE = concat!(revoked!(), "WHERE id = $1 AND revoked_at IS NULL RETURNING token_hash");
    /// Those made with a token, with those made with them, and so on.
    REVOKE_MADE_BY = concat!("WITH RECURSIVE made (id) AS (SELECT t.id FROM tokens t WHERE t.made_by = $1 \
         UNION SELECT t.id FROM tokens t JOIN made m ON t.made_by = m.id) \
         ", revoked!(), "WHERE id IN (SELECT id FROM made) AND revoked_at IS NULL RETURNING token_hash");
    /// One that was revoked does not work, whatever a clock that is ahead has made of its end.
    WORKS_UNTIL = "SELECT CASE WHEN revoked_at IS NOT NULL THEN created_at ELSE expires_at END AS works_until FROM tokens \
         WHERE id = $1";
    COUNT_WORKING = "SELECT COUNT(id) AS number FROM tokens WHERE user_id = $1 AND revoked_at IS NULL \
         AND (expires_at IS NULL OR expires_at > $2)";
    REVOKE_ALL = concat!(revoked!(), "WHERE user_id = $1 AND revoked_at IS NULL RETURNING token_hash");
    LIVE_HASHES = "SELECT token_hash FROM tokens WHERE user_id = $1 AND revoked_at IS NULL \
         AND (expires_at IS NULL OR expires_at > $2)";
    AUTHENTICATE = "SELECT t.id, t.user_id, u.username, u.role, \
         CASE WHEN u.deleted_at IS NULL THEN u.state ELSE 'suspended' END AS user_state, t.scopes, t.expires_at, t.revoked_at, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM token_grants g WHERE g.token_id = t.id AND g.gateway_key_id = $2) THEN 1 ELSE 0 END \
         AS BIGINT) AS is_granted FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.token_hash = $1";
    MARKS = "SELECT substr(token_hash, 1, 8) AS mark FROM tokens WHERE created_at >= $1";
    TOUCH = "UPDATE tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
}

fn scopes(row: &Row) -> Result<Scopes, StoreError> {
    Scopes::from_texts(row.text("scopes")?.split_whitespace()).map_err(crate::engine::foreign)
}

fn read(row: &Row) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.id("id")?,
        user: UserRef {
            id: row.id("user_id")?,
            username: row.text("username")?,
            deleted: row.opt_time("user_deleted_at")?.is_some(),
        },
        name: row.text("name")?,
        secret_prefix: row.text("secret_prefix")?,
        scopes: scopes(row)?,
        created_at: row.time("created_at")?,
        expires_at: row.opt_time("expires_at")?,
        last_used_at: row.opt_time("last_used_at")?,
        revoked_at: row.opt_time("revoked_at")?,
    })
}

fn hash(row: &Row) -> Result<SecretHash, StoreError> {
    let bytes = row.bytes("token_hash")?;
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(crate::engine::foreign)?;
    Ok(SecretHash::from_bytes(bytes))
}

pub(crate) async fn insert(
    conn: Conn<'_>,
    new: &TokenInsert,
    user: UserId,
    made_by: Option<TokenId>,
) -> Result<(), StoreError> {
    let values = args![
        new.id,
        new.created_at,
        user,
        &*new.name,
        &*new.secret_prefix,
        new.secret_hash,
        new.scopes.to_texts().join(" "),
        new.expires_at,
        made_by,
    ];
    conn.execute(INSERT, values).await.map(drop)
}

/// `user` is whose are wanted, `None` for everybody's.
pub(crate) async fn list(conn: Conn<'_>, user: Option<UserId>, page: Page) -> Result<Vec<Token>, StoreError> {
    listing(user, page).all(conn).await?.iter().map(read).collect()
}

pub(super) fn listing(user: Option<UserId>, page: Page) -> Assembled {
    let (at, id) = super::ascending(page);
    Assembled::new(LIST, args![at, id])
        .given(" AND t.user_id = ?", user)
        .part(" ORDER BY t.created_at, t.id LIMIT ?", args![page.fetch()])
}

pub(crate) async fn find(conn: Conn<'_>, id: TokenId) -> Result<Found<Token>, StoreError> {
    let row = conn.optional(FIND, args![id]).await?;
    row.as_ref().map(read).transpose().map(Found::new)
}

/// A token that this transaction has written.
pub(crate) async fn get(conn: Conn<'_>, id: TokenId) -> Result<Token, StoreError> {
    read(&conn.one(FIND, args![id]).await?)
}

/// `None`: it was revoked before.
pub(crate) async fn revoke(
    conn: Conn<'_>,
    token: &Authorised<Token>,
    at: Timestamp,
) -> Result<Option<SecretHash>, StoreError> {
    conn.optional(REVOKE, args![token.id, at])
        .await?
        .as_ref()
        .map(hash)
        .transpose()
}

pub(crate) async fn revoke_made_by(
    conn: Conn<'_>,
    token: &Authorised<Token>,
    at: Timestamp,
) -> Result<Vec<SecretHash>, StoreError> {
    let rows = conn.all(REVOKE_MADE_BY, args![token.id, at]).await?;
    rows.iter().map(hash).collect()
}

/// `None`: for ever, or it is not there.
pub(crate) async fn works_until(conn: Conn<'_>, token: TokenId) -> Result<Option<Timestamp>, StoreError> {
    let row = conn.optional(WORKS_UNTIL, args![token]).await?;
    row.map_or(Ok(None), |row| row.opt_time("works_until"))
}

pub(crate) async fn count_working(conn: Conn<'_>, user: &Authorised<User>, now: Timestamp) -> Result<u64, StoreError> {
    let number = conn.one(COUNT_WORKING, args![user.id, now]).await?.int("number")?;
    Ok(u64::try_from(number).unwrap_or(0))
}

pub(crate) async fn revoke_all(
    conn: Conn<'_>,
    user: &Authorised<User>,
    at: Timestamp,
) -> Result<Vec<SecretHash>, StoreError> {
    conn.all(REVOKE_ALL, args![user.id, at])
        .await?
        .iter()
        .map(hash)
        .collect()
}

pub(crate) async fn live_hashes(
    conn: Conn<'_>,
    user: &Authorised<User>,
    now: Timestamp,
) -> Result<Vec<SecretHash>, StoreError> {
    conn.all(LIVE_HASHES, args![user.id, now])
        .await?
        .iter()
        .map(hash)
        .collect()
}

pub(crate) async fn authenticate(
    conn: Conn<'_>,
    hash: &SecretHash,
    key: Option<GatewayKeyId>,
) -> Result<Option<TokenAuthentication>, StoreError> {
    let Some(row) = conn.optional(AUTHENTICATE, args![*hash, key]).await? else {
        return Ok(None);
    };
    Ok(Some(TokenAuthentication {
        token_id: row.id("id")?,
        user_id: row.id("user_id")?,
        username: row.text("username")?,
        role: row.parsed("role")?,
        user_state: row.parsed("user_state")?,
        scopes: scopes(&row)?,
        expires_at: row.opt_time("expires_at")?,
        revoked_at: row.opt_time("revoked_at")?,
        is_granted: key.is_none() || row.int("is_granted")? == 1,
    }))
}

pub(crate) async fn marks(conn: Conn<'_>, made_since: Option<Timestamp>) -> Result<Vec<u64>, StoreError> {
    let since = made_since.unwrap_or(Timestamp::from_micros(0));
    let rows = conn.all(MARKS, args![since]).await?;
    rows.iter().map(super::mark).collect()
}

pub(crate) async fn touch(conn: Conn<'_>, id: TokenId, at: Timestamp, if_before: Timestamp) -> Result<(), StoreError> {
    conn.execute(TOUCH, args![id, at, if_before]).await.map(drop)
}
