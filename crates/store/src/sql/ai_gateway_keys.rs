//! Gateway keys. No text here selects or returns more of the hash of a secret than its mark.

pub(crate) mod past_providers;
pub(crate) mod replaced;
pub(crate) mod rotate;

use crate::engine::{Assembled, Conn, Row, Tx, args};
use crate::error::StoreError;
use crate::guard::{Authorised, Found};
use crate::name_or_id::NameOrId;
use crate::page::Page;
use crate::rows::ai_gateway_keys::{
    AiGatewayKeyInsert, GatewayKey, GatewayKeyPatch, KeyAuthentication, KeyExpiry, KeyFilter, KeyState, SecretState,
};
use crate::rows::providers::ProviderRef;
use crate::rows::users::UserRef;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, ProviderId, Timestamp, UserId};
use std::collections::HashMap;

/// What a key shows; `$1` is the present time.
macro_rules! columns {
    () => {
        "SELECT k.id, k.name, k.secret_prefix, k.created_at, k.last_used_at, k.description, k.expires_at, k.created_by, \
         k.disabled_at, k.rotated_at, k.providers, k.allowed_cidrs, u.username AS created_by_username, u.deleted_at AS created_by_deleted_at, \
         (SELECT MAX(r.valid_until) FROM ai_gateway_key_retired_secrets r WHERE r.key_id = k.id AND r.valid_until > $1) \
         AS previous_valid_until \
         FROM ai_gateway_keys k LEFT JOIN users u ON u.id = k.created_by "
    };
}

super::statements! {
    INSERT = "INSERT INTO ai_gateway_keys \
         (id, created_at, name, secret_prefix, hashed_secret, description, expires_at, created_by, providers, allowed_cidrs) \
         VALUES ($1, $2, lower($3) /* names are stored in lower case, so the insert lower-cases them */, $4, $5, $6, $7, $8, \
         $9, $10)";
    LIST = concat!(columns!(), "WHERE (k.created_at, k.id) > ($2, $3)");
    GET = concat!(columns!(), "WHERE k.id = $2");
    FIND = concat!(columns!(), "WHERE k.id = $2 OR lower(k.name) = $3");
    ID_OF = "SELECT id FROM ai_gateway_keys WHERE lower(name) = $1";
    UPDATE = "UPDATE ai_gateway_keys SET description = CASE WHEN $2 THEN $3 ELSE description END, \
         expires_at = CASE WHEN $4 THEN $5 ELSE expires_at END, \
         disabled_at = CASE WHEN $6 THEN COALESCE(disabled_at, $7) WHEN $8 THEN NULL ELSE disabled_at END, \
         providers = CASE WHEN $9 THEN $10 ELSE providers END, \
         allowed_cidrs = CASE WHEN $11 THEN $12 ELSE allowed_cidrs END WHERE id = $1";
    DELETE = "DELETE FROM ai_gateway_keys WHERE id = $1";
    EXISTS = "SELECT 1 AS one FROM ai_gateway_keys WHERE id = $1";
    AUTHENTICATE = "SELECT id, name, secret_prefix, disabled_at, expires_at, allowed_cidrs, \
         NULL AS valid_until FROM ai_gateway_keys WHERE hashed_secret = $1 \
         UNION ALL SELECT k.id, k.name, r.secret_prefix, k.disabled_at, k.expires_at, k.allowed_cidrs, r.valid_until \
         FROM ai_gateway_key_retired_secrets r JOIN ai_gateway_keys k ON k.id = r.key_id WHERE r.hashed_secret = $1";
    MARKS = "SELECT substr(hashed_secret, 1, 8) AS mark FROM ai_gateway_keys \
         UNION ALL SELECT substr(hashed_secret, 1, 8) AS mark FROM ai_gateway_key_retired_secrets";
    TOUCH = "UPDATE ai_gateway_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
    SCOPES = "SELECT id, providers FROM ai_gateway_keys";
    SCOPE = "SELECT providers, disabled_at, expires_at FROM ai_gateway_keys WHERE id = $1";
    EXPIRING = "SELECT id, name, expires_at FROM ai_gateway_keys \
         WHERE expires_at > $1 AND expires_at <= $2 AND disabled_at IS NULL ORDER BY expires_at, id LIMIT 1000";
    /// The state as `KeyState::of` has it.
    COUNT = "SELECT CASE WHEN k.disabled_at IS NOT NULL THEN 'disabled' WHEN k.expires_at <= $1 THEN 'expired' \
         ELSE 'active' END AS state, COUNT(k.id) AS number FROM ai_gateway_keys k GROUP BY 1";
}

/// `known` are the providers that there are.
fn read(row: &Row, known: &[ProviderRef]) -> Result<GatewayKey, StoreError> {
    let created_by = match row.opt_id("created_by")? {
        Some(id) => Some(UserRef {
            id,
            username: row.text("created_by_username")?,
            deleted: row.opt_time("created_by_deleted_at")?.is_some(),
        }),
        None => None,
    };
    let by_id = |id: &ProviderId| known.iter().find(|provider| provider.id == *id).cloned();
    let providers: Option<Vec<ProviderId>> = row.opt_list("providers")?;
    Ok(GatewayKey {
        id: row.id("id")?,
        name: row.text("name")?,
        secret_prefix: row.text("secret_prefix")?,
        created_at: row.time("created_at")?,
        last_used_at: row.opt_time("last_used_at")?,
        description: row.opt_text("description")?,
        expires_at: row.opt_time("expires_at")?,
        created_by,
        disabled_at: row.opt_time("disabled_at")?,
        rotated_at: row.opt_time("rotated_at")?,
        previous_valid_until: row.opt_time("previous_valid_until")?,
        providers: providers.map(|ids| ids.iter().filter_map(by_id).collect()),
        allowed_cidrs: row.opt_list("allowed_cidrs")?,
    })
}

/// A deployment has tens of providers.
async fn known_providers(tx: &mut Tx) -> Result<Vec<ProviderRef>, StoreError> {
    let all = super::providers::refs(tx.conn()).await?;
    Ok(all.into_iter().map(|(provider, _)| provider).collect())
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

pub(crate) async fn insert(
    conn: Conn<'_>,
    new: &AiGatewayKeyInsert,
    created_by: Option<UserId>,
) -> Result<(), StoreError> {
    let values = args![
        new.id,
        new.created_at,
        &*new.name,
        &*new.secret_prefix,
        new.secret_hash,
        new.description.as_deref(),
        new.expires_at,
        created_by,
        new.providers.as_deref().map(texts),
        new.allowed_cidrs.as_deref().map(texts),
    ];
    conn.execute(INSERT, values).await.map(drop)
}

pub(crate) async fn list(
    tx: &mut Tx,
    filter: &KeyFilter,
    page: Page,
    now: Timestamp,
) -> Result<Vec<GatewayKey>, StoreError> {
    let known = known_providers(tx).await?;
    let (at, id) = super::ascending(page);
    let statement = Assembled::new(LIST, args![now, at, id])
        .given(
            " AND k.name LIKE ? ESCAPE '\\'",
            filter.q.as_deref().map(super::containing),
        )
        .part(" ORDER BY k.created_at, k.id LIMIT ?", args![page.fetch()]);
    let rows = statement.all(tx.conn()).await?;
    rows.iter().map(|row| read(row, &known)).collect()
}

pub(crate) async fn get(tx: &mut Tx, id: GatewayKeyId, now: Timestamp) -> Result<GatewayKey, StoreError> {
    let known = known_providers(tx).await?;
    read(&tx.conn().one(GET, args![now, id]).await?, &known)
}

pub(crate) async fn find(
    tx: &mut Tx,
    key: &NameOrId<GatewayKeyId>,
    now: Timestamp,
) -> Result<Found<GatewayKey>, StoreError> {
    let known = known_providers(tx).await?;
    let row = tx.conn().optional(FIND, args![now, key.id(), key.name()]).await?;
    row.as_ref().map(|row| read(row, &known)).transpose().map(Found::new)
}

pub(crate) async fn exists(conn: Conn<'_>, id: GatewayKeyId) -> Result<bool, StoreError> {
    Ok(conn.optional(EXISTS, args![id]).await?.is_some())
}

/// The id that a filter names; `None` where no key has the name. An id is taken as it is: deleted keys have replicas, too.
pub(crate) async fn id_of(conn: Conn<'_>, key: &NameOrId<GatewayKeyId>) -> Result<Option<GatewayKeyId>, StoreError> {
    match key.id() {
        Some(id) => Ok(Some(id)),
        None => id_of_name(conn, key.name()).await,
    }
}

pub(crate) async fn id_of_name(conn: Conn<'_>, name: &str) -> Result<Option<GatewayKeyId>, StoreError> {
    let row = conn.optional(ID_OF, args![name]).await?;
    row.map(|row| row.id("id")).transpose()
}

/// `false`: it was deleted meanwhile.
pub(crate) async fn update(
    conn: Conn<'_>,
    key: &Authorised<GatewayKey>,
    now: Timestamp,
    patch: &GatewayKeyPatch,
) -> Result<bool, StoreError> {
    let flat = |list: &Option<Option<Vec<String>>>| list.clone().flatten();
    let providers = patch.providers.as_ref().map(|list| list.as_deref().map(texts));
    let cidrs = patch.allowed_cidrs.as_ref().map(|list| list.as_deref().map(texts));
    let values = args![
        key.id,
        patch.description.is_some(),
        patch.description.as_ref().and_then(|text| text.as_deref()),
        patch.expires_at.is_some(),
        patch.expires_at.flatten(),
        patch.disabled == Some(true),
        now,
        patch.disabled == Some(false),
        providers.is_some(),
        flat(&providers),
        cidrs.is_some(),
        flat(&cidrs),
    ];
    Ok(conn.execute(UPDATE, values).await? > 0)
}

/// `false`: it was deleted meanwhile.
pub(crate) async fn delete(conn: Conn<'_>, key: &Authorised<GatewayKey>) -> Result<bool, StoreError> {
    Ok(conn.execute(DELETE, args![key.id]).await? > 0)
}

pub(crate) async fn authenticate(
    conn: Conn<'_>,
    hash: &SecretHash,
    now: Timestamp,
) -> Result<Option<KeyAuthentication>, StoreError> {
    let values = args![*hash];
    let Some(row) = conn.optional(AUTHENTICATE, values).await? else {
        return Ok(None);
    };
    let secret = match row.opt_time("valid_until")? {
        None => SecretState::Present,
        Some(until) if until > now => SecretState::InGrace { until },
        Some(_) => SecretState::Rotated,
    };
    Ok(Some(KeyAuthentication {
        id: row.id("id")?,
        name: row.text("name")?,
        secret_prefix: row.text("secret_prefix")?,
        state: KeyState::of(row.opt_time("disabled_at")?, row.opt_time("expires_at")?, now),
        secret,
        allowed_cidrs: row.opt_list("allowed_cidrs")?,
    }))
}

pub(crate) async fn marks(conn: Conn<'_>) -> Result<Vec<u64>, StoreError> {
    let rows = conn.all(MARKS, args![]).await?;
    rows.iter().map(super::mark).collect()
}

pub(crate) async fn touch(conn: Conn<'_>, id: GatewayKeyId, at: Timestamp) -> Result<(), StoreError> {
    conn.execute(TOUCH, args![id, at]).await.map(drop)
}

/// The providers that keys serve, `None` for all; of one key, or of every one.
pub(crate) async fn scopes(
    conn: Conn<'_>,
    key: Option<GatewayKeyId>,
) -> Result<HashMap<GatewayKeyId, Option<Vec<ProviderId>>>, StoreError> {
    let rows = Assembled::new(SCOPES, args![])
        .given(" WHERE id = ?", key)
        .all(conn)
        .await?;
    let read = |row: &Row| Ok((row.id("id")?, row.opt_list("providers")?));
    rows.iter().map(read).collect()
}

/// What a key serves.
pub(crate) struct Scope {
    /// `None` for all providers.
    pub(crate) providers: Option<Vec<ProviderId>>,
    /// When it stopped working, if it did.
    pub(crate) ended_at: Option<Timestamp>,
}

/// What this key serves, if there is one.
pub(crate) async fn scope(conn: Conn<'_>, key: GatewayKeyId, now: Timestamp) -> Result<Option<Scope>, StoreError> {
    let Some(row) = conn.optional(SCOPE, args![key]).await? else {
        return Ok(None);
    };
    let expired_at = row.opt_time("expires_at")?.filter(|at| *at <= now);
    let ended_at = row.opt_time("disabled_at")?.into_iter().chain(expired_at).min();
    Ok(Some(Scope {
        providers: row.opt_list("providers")?,
        ended_at,
    }))
}

pub(crate) async fn count(conn: Conn<'_>, now: Timestamp) -> Result<Vec<(KeyState, u64)>, StoreError> {
    let rows = conn.all(COUNT, args![now]).await?;
    let read = |row: &Row| {
        let number = row.int("number")?;
        Ok((row.parsed("state")?, u64::try_from(number).unwrap_or(0)))
    };
    rows.iter().map(read).collect()
}

pub(crate) async fn expiring(conn: Conn<'_>, after: Timestamp, until: Timestamp) -> Result<Vec<KeyExpiry>, StoreError> {
    let rows = conn.all(EXPIRING, args![after, until]).await?;
    let read = |row: &Row| {
        Ok(KeyExpiry {
            id: row.id("id")?,
            name: row.text("name")?,
            expires_at: row.time("expires_at")?,
        })
    };
    rows.iter().map(read).collect()
}
