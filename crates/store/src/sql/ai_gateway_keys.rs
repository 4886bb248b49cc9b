//! Gateway keys. No text here selects or returns the hash of a secret.

use crate::ai_gateway_keys::{AiGatewayKeyInsert, GatewayKey, KeyAuthentication, KeyState};
use crate::engine::{Conn, Row, args};
use crate::users::UserRef;
use crate::{Page, StoreError};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Timestamp, UserId};
use uuid::Uuid;

macro_rules! columns {
    () => {
        "SELECT k.id, k.name, k.secret_prefix, k.created_at, k.last_used_at, k.description, k.expires_at, k.created_by, \
         u.username AS created_by_username FROM ai_gateway_keys k LEFT JOIN users u ON u.id = k.created_by "
    };
}

super::texts! {
    /// Returns what the insert itself decides; the caller knows the rest, for it gave it.
    INSERT = "INSERT INTO ai_gateway_keys \
         (id, created_at, name, secret_prefix, hashed_secret, description, expires_at, created_by) \
         VALUES ($1, $2, lower($3) /* names are stored in lower case, so the insert lower-cases them */, $4, $5, $6, $7, $8) \
         RETURNING id, name, secret_prefix, created_at";
    LIST = concat!(columns!(), "WHERE (k.name LIKE $1 ESCAPE '\\' OR $1 IS NULL) \
         AND (k.created_at, k.id) > ($2, $3) ORDER BY k.created_at, k.id LIMIT $4");
    GET = concat!(columns!(), "WHERE k.id = $1");
    FIND = concat!(columns!(), "WHERE k.id = $1 OR lower(k.name) = $2");
    DELETE = "DELETE FROM ai_gateway_keys WHERE id = $1 RETURNING name, secret_prefix";
    AUTHENTICATE = "SELECT id, name, secret_prefix, \
         CASE WHEN expires_at IS NULL OR expires_at > $2 THEN 'active' ELSE 'expired' END AS state \
         FROM ai_gateway_keys WHERE hashed_secret = $1";
    TOUCH = "UPDATE ai_gateway_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
}

fn read(row: &Row) -> Result<GatewayKey, StoreError> {
    let created_by = match row.opt_id("created_by")? {
        Some(id) => Some(UserRef {
            id,
            username: row.text("created_by_username")?,
        }),
        None => None,
    };
    Ok(GatewayKey {
        id: row.id("id")?,
        name: row.text("name")?,
        secret_prefix: row.text("secret_prefix")?,
        created_at: row.time("created_at")?,
        last_used_at: row.opt_time("last_used_at")?,
        description: row.opt_text("description")?,
        expires_at: row.opt_time("expires_at")?,
        created_by,
    })
}

/// Gives the id; [`get`] reads the row with the name of its maker.
pub(crate) async fn insert(
    conn: Conn<'_>,
    new: &AiGatewayKeyInsert,
    created_by: Option<UserId>,
) -> Result<GatewayKeyId, StoreError> {
    let values = args![
        new.id,
        new.created_at,
        &*new.name,
        &*new.secret_prefix,
        &*new.hashed_secret,
        new.description.as_deref(),
        new.expires_at,
        created_by,
    ];
    conn.one(INSERT, values).await?.id("id")
}

pub(crate) async fn list(conn: Conn<'_>, pattern: Option<String>, page: Page) -> Result<Vec<GatewayKey>, StoreError> {
    let (at, id) = super::ascending(page);
    conn.all(LIST, args![pattern, at, id, page.fetch()])
        .await?
        .iter()
        .map(read)
        .collect()
}

pub(crate) async fn get(conn: Conn<'_>, id: GatewayKeyId) -> Result<GatewayKey, StoreError> {
    read(&conn.one(GET, args![id]).await?)
}

pub(crate) async fn find(conn: Conn<'_>, id: Option<Uuid>, name: &str) -> Result<Option<GatewayKey>, StoreError> {
    conn.optional(FIND, args![id, name])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// The name and prefix of the deleted key, for the audit log; `None` if there was none.
pub(crate) async fn delete(conn: Conn<'_>, id: GatewayKeyId) -> Result<Option<(String, String)>, StoreError> {
    match conn.optional(DELETE, args![id]).await? {
        Some(row) => Ok(Some((row.text("name")?, row.text("secret_prefix")?))),
        None => Ok(None),
    }
}

pub(crate) async fn authenticate(
    conn: Conn<'_>,
    hash: &SecretHash,
    now: Timestamp,
) -> Result<Option<KeyAuthentication>, StoreError> {
    let Some(row) = conn
        .optional(AUTHENTICATE, args![hash.as_bytes().as_slice(), now])
        .await?
    else {
        return Ok(None);
    };
    let state = if row.text("state")? == "active" {
        KeyState::Active
    } else {
        KeyState::Expired
    };
    Ok(Some(KeyAuthentication {
        id: row.id("id")?,
        name: row.text("name")?,
        secret_prefix: row.text("secret_prefix")?,
        state,
    }))
}

pub(crate) async fn touch(conn: Conn<'_>, id: GatewayKeyId, at: Timestamp) -> Result<(), StoreError> {
    conn.execute(TOUCH, args![id, at]).await.map(drop)
}
