//! Providers, their keys, and the configuration version.

use crate::engine::{Args, Bulk, Conn, Row, Tx, args};
use crate::error::StoreError;
use crate::guard::{Authorised, Found};
use crate::name_or_id::NameOrId;
use crate::page::Page;
use crate::rows::providers::{Provider, ProviderInsert, ProviderKey, ProviderKeyInsert, ProviderPatch, ProviderRef};
use crate::seal::Sealed;
use lychgate_types::policy::{PolicyChange, ProviderPolicy};
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::ProviderSettings;
use lychgate_types::{ProviderId, ProviderKeyId, Timestamp};

macro_rules! columns {
    () => {
        "SELECT id, created_at, updated_at, name, provider_type, base_url, enabled, allow_private, settings, policy FROM providers "
    };
}

super::statements! {
    INSERT = "INSERT INTO providers (id, created_at, updated_at, name, provider_type, base_url, enabled, allow_private, \
         settings, policy) VALUES ($1, $2, $2, lower($3) /* stored in lower case */, $4, $5, $6, $7, $8, $9)";
    LIST = concat!(columns!(), "WHERE (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3");
    ALL = concat!(columns!(), "ORDER BY created_at, id");
    FIND = concat!(columns!(), "WHERE id = $1 OR lower(name) = $2");
    GET = concat!(columns!(), "WHERE id = $1");
    REFS = "SELECT id, name, provider_type FROM providers";
    SETTINGS = "SELECT id, settings FROM providers";
    UPDATE = "UPDATE providers SET updated_at = $2, base_url = COALESCE($3, base_url), \
         enabled = CASE WHEN $4 THEN $5 ELSE enabled END, allow_private = CASE WHEN $6 THEN $7 ELSE allow_private END, \
         settings = CASE WHEN $8 THEN $9 ELSE settings END WHERE id = $1";
    POLICY = "SELECT policy FROM providers WHERE id = $1";
    SET_POLICY = "UPDATE providers SET policy = $2 WHERE id = $1";
    DELETE = "DELETE FROM providers WHERE id = $1";
    KEYS = "SELECT id, provider_id, created_at, masked FROM provider_keys ORDER BY provider_id, position, id";
    KEYS_OF = "SELECT id, provider_id, created_at, masked FROM provider_keys WHERE provider_id = $1 ORDER BY position, id";
    SEALED_KEYS = "SELECT id, provider_id, sealed FROM provider_keys ORDER BY provider_id, position, id";
    MOVE_KEY = "UPDATE provider_keys SET position = $3 WHERE id = $1 AND provider_id = $2";
    DELETE_KEY = "DELETE FROM provider_keys WHERE id = $1 AND provider_id = $2";
    VERSION = "SELECT version FROM configuration WHERE id = 1";
    BUMP = "UPDATE configuration SET version = version + 1 WHERE id = 1";
}

const INSERT_KEYS: Bulk = Bulk {
    head: "INSERT INTO provider_keys (id, created_at, provider_id, position, sealed, masked) ",
    tail: "",
};
#[cfg(test)]
pub(super) const BULKS: &[Bulk] = &[INSERT_KEYS];

fn read(row: &Row) -> Result<Provider, StoreError> {
    Ok(Provider {
        id: row.id("id")?,
        name: row.text("name")?,
        provider_type: row.parsed("provider_type")?,
        base_url: row.text("base_url")?,
        enabled: row.bool("enabled")?,
        allow_private: row.bool("allow_private")?,
        settings: row.labels("settings")?.into_iter().collect(),
        policy: row.policy("policy")?.over(ProviderPolicy::default()),
        keys: Vec::new(),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_key(row: &Row) -> Result<(ProviderId, ProviderKey), StoreError> {
    let key = ProviderKey {
        id: row.id("id")?,
        masked: row.text("masked")?,
        created_at: row.time("created_at")?,
    };
    Ok((row.id("provider_id")?, key))
}

pub(crate) async fn insert(conn: Conn<'_>, at: Timestamp, new: &ProviderInsert) -> Result<(), StoreError> {
    let values = args![
        new.id,
        at,
        &*new.name,
        new.provider_type.as_str(),
        &*new.base_url,
        new.enabled,
        new.allow_private,
        new.settings.clone().into_map(),
        new.policy,
    ];
    conn.execute(INSERT, values).await.map(drop)
}

/// Adds keys, each with its place in the list.
pub(crate) async fn insert_keys(
    conn: Conn<'_>,
    provider: ProviderId,
    at: Timestamp,
    keys: impl IntoIterator<Item = (i64, &ProviderKeyInsert)>,
) -> Result<(), StoreError> {
    let row = |(position, key): (i64, &ProviderKeyInsert)| -> Args {
        args![key.id, at, provider, position, key.sealed.as_bytes(), &*key.masked]
    };
    INSERT_KEYS
        .run(conn, keys.into_iter().map(row).collect())
        .await
        .map(drop)
}

/// Without their keys.
pub(crate) async fn list(conn: Conn<'_>, page: Page) -> Result<Vec<Provider>, StoreError> {
    let (at, id) = super::ascending(page);
    conn.all(LIST, args![at, id, page.fetch()])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Without their keys.
pub(crate) async fn all(conn: Conn<'_>) -> Result<Vec<Provider>, StoreError> {
    conn.all(ALL, args![]).await?.iter().map(read).collect()
}

pub(crate) async fn find(tx: &mut Tx, provider: &NameOrId<ProviderId>) -> Result<Found<Provider>, StoreError> {
    let row = tx.conn().optional(FIND, args![provider.id(), provider.name()]).await?;
    Ok(Found::new(match row {
        Some(row) => Some(with_keys(tx, read(&row)?).await?),
        None => None,
    }))
}

/// A provider that this transaction has written.
pub(crate) async fn get(tx: &mut Tx, id: ProviderId) -> Result<Provider, StoreError> {
    let provider = read(&tx.conn().one(GET, args![id]).await?)?;
    with_keys(tx, provider).await
}

async fn with_keys(tx: &mut Tx, provider: Provider) -> Result<Provider, StoreError> {
    let rows = tx.conn().all(KEYS_OF, args![provider.id]).await?;
    let keys = rows.iter().map(|row| read_key(row).map(|(_, key)| key));
    Ok(Provider {
        keys: keys.collect::<Result<_, _>>()?,
        ..provider
    })
}

/// The settings of every provider.
pub(crate) async fn settings(conn: Conn<'_>) -> Result<Vec<(ProviderId, ProviderSettings)>, StoreError> {
    let rows = conn.all(SETTINGS, args![]).await?;
    let read = |row: &Row| Ok((row.id("id")?, row.labels("settings")?.into_iter().collect()));
    rows.iter().map(read).collect()
}

/// Every provider, as other things name it: a deployment has tens of them.
pub(crate) async fn refs(conn: Conn<'_>) -> Result<Vec<(ProviderRef, ProviderType)>, StoreError> {
    let rows = conn.all(REFS, args![]).await?;
    let read = |row: &Row| {
        let provider = ProviderRef {
            id: row.id("id")?,
            name: row.text("name")?,
        };
        Ok((provider, row.parsed("provider_type")?))
    };
    rows.iter().map(read).collect()
}

pub(crate) async fn update(
    conn: Conn<'_>,
    provider: &Authorised<Provider>,
    at: Timestamp,
    patch: &ProviderPatch,
) -> Result<(), StoreError> {
    let values = args![
        provider.id,
        at,
        patch.base_url.as_deref(),
        patch.enabled.is_some(),
        patch.enabled.unwrap_or_default(),
        patch.allow_private.is_some(),
        patch.allow_private.unwrap_or_default(),
        patch.settings.is_some(),
        patch.settings.clone().unwrap_or_default().into_map(),
    ];
    conn.execute(UPDATE, values).await.map(drop)
}

/// Changes single settings of a provider's policy.
pub(crate) async fn change_policy(
    tx: &mut Tx,
    provider: &Authorised<Provider>,
    change: PolicyChange,
) -> Result<(), StoreError> {
    let set = tx.conn().one(POLICY, args![provider.id]).await?.policy("policy")?;
    let values = args![provider.id, set.then(change)];
    tx.conn().execute(SET_POLICY, values).await.map(drop)
}

pub(crate) async fn delete(conn: Conn<'_>, provider: &Authorised<Provider>) -> Result<(), StoreError> {
    conn.execute(DELETE, args![provider.id]).await.map(drop)
}

/// Every provider's keys: a deployment has tens of them.
pub(crate) async fn keys(conn: Conn<'_>) -> Result<Vec<(ProviderId, ProviderKey)>, StoreError> {
    conn.all(KEYS, args![]).await?.iter().map(read_key).collect()
}

pub(crate) async fn sealed_keys(conn: Conn<'_>) -> Result<Vec<(ProviderId, ProviderKeyId, Sealed)>, StoreError> {
    let rows = conn.all(SEALED_KEYS, args![]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.id("provider_id")?,
                row.id("id")?,
                Sealed::from_bytes(row.bytes("sealed")?),
            ))
        })
        .collect()
}

pub(crate) async fn move_key(
    conn: Conn<'_>,
    provider: &Authorised<Provider>,
    key: ProviderKeyId,
    position: i64,
) -> Result<(), StoreError> {
    let values = args![key, provider.id, position];
    conn.execute(MOVE_KEY, values).await.map(drop)
}

pub(crate) async fn delete_key(
    conn: Conn<'_>,
    provider: &Authorised<Provider>,
    key: ProviderKeyId,
) -> Result<(), StoreError> {
    conn.execute(DELETE_KEY, args![key, provider.id]).await.map(drop)
}

pub(crate) async fn version(conn: Conn<'_>) -> Result<i64, StoreError> {
    conn.one(VERSION, args![]).await?.int("version")
}

/// Counts the version up. The row stays locked to the transaction's end, so versions come into force in their order.
pub(crate) async fn bump_version(conn: Conn<'_>) -> Result<(), StoreError> {
    conn.execute(BUMP, args![]).await.map(drop)
}
