//! The feed of changes.

use crate::engine::{Args, Bulk, Conn, Held, Row, Tx, args};
use crate::error::StoreError;
use crate::rows::changes::{Change, Changes, RevokedTokens};
use crate::sql::tokens::grants;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};
use uuid::Uuid;

const CONFIGURATION: &str = "configuration";
const TOKEN_REVOKED: &str = "token_revoked";
const GATEWAY_KEY: &str = "gateway_key";
const REPLICA_DRAIN: &str = "replica_drain";

macro_rules! tokens_revoked {
    ($which:literal) => {
        concat!(
            "SELECT k.last, (SELECT MIN(seq) FROM changes) AS first, (SELECT MAX(seq) FROM changes) AS newest, c.subject \
             FROM change_counters k LEFT JOIN changes c ON c.seq > $1 AND c.kind = 'token_revoked'",
            $which,
            " WHERE k.id = 1 ORDER BY c.seq LIMIT $2"
        )
    };
}

super::statements! {
    TAKE_NUMBERS = "UPDATE change_counters SET last = last + $1 WHERE id = 1 RETURNING last";
    LAST = "SELECT last FROM change_counters WHERE id = 1";
    /// One row without a change where there is none: the counter is read together with the changes.
    SINCE = "SELECT k.last, c.seq, c.kind, c.subject FROM change_counters k LEFT JOIN changes c ON c.seq > $1 \
         WHERE k.id = 1 ORDER BY c.seq LIMIT $2";
    TOKENS_REVOKED = tokens_revoked!("");
    /// Those that a gateway key was told of.
    TOKENS_REVOKED_OF_KEY = tokens_revoked!(" AND EXISTS (SELECT 1 FROM tokens t JOIN token_grants g ON g.token_id = t.id \
         WHERE t.token_hash = c.subject AND g.gateway_key_id = $3)");
    /// Only ever from the beginning, whatever the clocks of several control planes say: no gap comes about in the middle.
    PRUNE = "DELETE FROM changes WHERE seq < COALESCE((SELECT MIN(seq) FROM changes WHERE created_at >= $1), \
         (SELECT last + 1 FROM change_counters WHERE id = 1))";
}

const INSERT: Bulk = Bulk {
    head: "INSERT INTO changes (seq, created_at, kind, subject) ",
    tail: "",
};
#[cfg(test)]
pub(super) const BULKS: &[Bulk] = &[INSERT];

pub(crate) async fn append(tx: &mut Tx, at: Timestamp, changes: &[Change]) -> Result<(), StoreError> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let last = tx.conn().one(TAKE_NUMBERS, args![count]).await?.int("last")?;
    let rows = (last - count + 1..)
        .zip(changes)
        .map(|(seq, change)| row(seq, at, change));
    INSERT.run(tx.conn(), rows.collect()).await.map(drop)
}

fn row(seq: i64, at: Timestamp, change: &Change) -> Args {
    let (kind, subject): (_, &[u8]) = match change {
        Change::Configuration => (CONFIGURATION, &[]),
        Change::TokenRevoked(hash) => (TOKEN_REVOKED, hash.as_bytes()),
        Change::GatewayKey(id) => (GATEWAY_KEY, &id.as_uuid().into_bytes()),
        Change::ReplicaDrain(id) => (REPLICA_DRAIN, &id.as_uuid().into_bytes()),
    };
    args![seq, at, kind, subject]
}

/// `None`: a kind of a newer version.
fn read(kind: &str, subject: &[u8]) -> Option<Change> {
    let id = || Uuid::from_slice(subject).ok();
    match kind {
        CONFIGURATION => Some(Change::Configuration),
        TOKEN_REVOKED => hash(subject).map(Change::TokenRevoked),
        GATEWAY_KEY => id().map(|id| Change::GatewayKey(GatewayKeyId::from_uuid(id))),
        REPLICA_DRAIN => id().map(|id| Change::ReplicaDrain(ReplicaId::from_uuid(id))),
        _ => None,
    }
}

fn hash(subject: &[u8]) -> Option<SecretHash> {
    subject.try_into().ok().map(SecretHash::from_bytes)
}

/// A place in the feed; before its beginning where somebody else's number does not fit.
fn place(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &Row, column: &str) -> Result<u64, StoreError> {
    row.int(column).map(|n| u64::try_from(n).unwrap_or(0))
}

pub(crate) async fn last(conn: Conn<'_>) -> Result<u64, StoreError> {
    number(&conn.one(LAST, args![]).await?, "last")
}

pub(crate) async fn since(held: &mut Held, after: u64, most: u32) -> Result<Changes, StoreError> {
    let rows = held.conn().all(SINCE, args![place(after), most.max(1)]).await?;
    let (mut now, mut upto, mut changes) = (0, after, Vec::new());
    for row in &rows {
        now = number(row, "last")?;
        let Some(seq) = row.opt_int("seq")? else { break };
        if place(upto).checked_add(1) != Some(seq) {
            return Ok(Changes::Gap { now });
        }
        upto += 1;
        changes.extend(read(&row.text("kind")?, &row.bytes("subject")?));
    }
    if upto == after && now != after {
        return Ok(Changes::Gap { now });
    }
    // After the changes: who was told of a token before it ended is found for certain.
    let revoked = changes.iter().filter_map(|change| match change {
        Change::TokenRevoked(hash) => Some(*hash),
        _ => None,
    });
    let granted = grants::of_tokens(held.conn(), &revoked.collect::<Vec<_>>()).await?;
    Ok(Changes::Since { changes, granted, upto })
}

/// One more than `most` tell that there are more than that; `None` where the feed does not reach back.
pub(crate) async fn tokens_revoked(
    conn: Conn<'_>,
    after: u64,
    most: u32,
    key: Option<GatewayKeyId>,
) -> Result<Option<RevokedTokens>, StoreError> {
    let mut values = args![place(after), i64::from(most) + 1];
    let text = match key {
        Some(key) => {
            values.push(key.into());
            TOKENS_REVOKED_OF_KEY
        }
        None => TOKENS_REVOKED,
    };
    let rows = conn.all(text, values).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let upto = number(row, "last")?;
    let (first, newest) = (row.opt_int("first")?, row.opt_int("newest")?);
    let reaches_back = after < upto
        && first.is_some_and(|first| first <= place(after).saturating_add(1))
        && newest == Some(place(upto));
    if !reaches_back && after != upto {
        return Ok(None);
    }
    let mut hashes = Vec::new();
    for row in &rows {
        hashes.extend(row.opt_bytes("subject")?.as_deref().and_then(hash));
    }
    Ok(Some(RevokedTokens { hashes, upto }))
}

pub(crate) async fn prune(conn: Conn<'_>, before: Timestamp) -> Result<u64, StoreError> {
    conn.execute(PRUNE, args![before]).await
}
