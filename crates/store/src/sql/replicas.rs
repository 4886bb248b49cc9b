//! The registry of replicas. A replica without a heartbeat since the time in `$1` is lost, whatever its row says.

use crate::engine::{Args, Assembled, Bulk, Conn, Row, args, clean, cut};
use crate::error::StoreError;
use crate::guard::{Authorised, Found};
use crate::page::Page;
use crate::rows::ai_gateway_keys::KeyRef;
use crate::rows::replicas::{Replica, ReplicaAttachment, ReplicaBeat, ReplicaInfo, ReplicaLoad, ReplicaState};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// What a replica says of itself is cut: characters per text, and labels.
const TEXT: usize = 255;
const LABELS: usize = 64;

macro_rules! state {
    () => {
        "CASE WHEN r.state = 'attached' AND r.last_heartbeat_at < $1 THEN 'lost' \
         WHEN r.state = 'attached' AND r.drain_requested_at IS NOT NULL THEN 'draining' ELSE r.state END"
    };
}
macro_rules! columns {
    () => {
        concat!(
            "SELECT r.id, r.created_at, r.gateway_key_id, r.gateway_key_name, r.name, r.version, r.address, r.labels, \
             r.control_plane_id, r.connected_at, r.last_heartbeat_at, r.spool_depth, r.set_aside, r.in_flight, \
             r.configuration_version, r.clock_skew_ms, ",
            state!(),
            " AS state FROM replicas r "
        )
    };
}
macro_rules! inserted {
    () => {
        "INSERT INTO replicas (id, created_at, process_hash, gateway_key_id, gateway_key_name, name, version, address, labels, \
         control_plane_id, attachment_id, connected_at, last_heartbeat_at, spool_depth, set_aside, in_flight, \
         configuration_version, state, clock_skew_ms) "
    };
}
macro_rules! taken_over {
    () => {
        "earlier_gateway_key_id = CASE WHEN replicas.process_hash IS NULL OR replicas.gateway_key_id = excluded.gateway_key_id \
         THEN replicas.earlier_gateway_key_id ELSE replicas.gateway_key_id END, \
         gateway_key_id = excluded.gateway_key_id, gateway_key_name = excluded.gateway_key_name, name = excluded.name, \
         version = excluded.version, address = excluded.address, labels = excluded.labels, \
         control_plane_id = excluded.control_plane_id, attachment_id = excluded.attachment_id, \
         connected_at = excluded.connected_at, last_heartbeat_at = excluded.last_heartbeat_at, "
    };
}

super::statements! {
    /// The last that was said before is kept until something new is heard. The id is that of whoever shows its process secret; of
    /// versions that have none, of whoever has its key while it is attached.
    ATTACH = concat!(inserted!(), "VALUES ($2, $3, $12, $4, $5, $6, $7, $8, $9, $10, $11, $3, $3, 0, 0, 0, 0, 'attached', NULL) \
         ON CONFLICT (id) DO UPDATE SET ", taken_over!(), "state = 'attached' \
         WHERE replicas.process_hash = excluded.process_hash OR (replicas.process_hash IS NULL AND excluded.process_hash IS NULL \
         AND (replicas.gateway_key_id = excluded.gateway_key_id OR replicas.state <> 'attached' \
         OR replicas.last_heartbeat_at < $1)) RETURNING drain_requested_at");
    DETACH = "UPDATE replicas SET state = $3 WHERE id = $1 AND attachment_id = $2";
    DRAIN = "UPDATE replicas SET drain_requested_at = COALESCE(drain_requested_at, $2) WHERE id = $1";
    LIST = concat!(columns!(), "WHERE (r.created_at, r.id) > ($2, $3)");
    FIND = concat!(columns!(), "WHERE r.id = $2");
    OF_KEY = concat!(columns!(), "WHERE r.gateway_key_id = $2 AND r.state <> 'detached' \
         ORDER BY r.created_at, r.id LIMIT $3");
    COUNT = concat!("SELECT ", state!(), " AS state, COUNT(r.id) AS number FROM replicas r GROUP BY 1");
    /// Where the registry does not know the replica, nobody else has the id.
    IS_OWN = "SELECT CAST(CASE WHEN r.process_hash = $2 OR (r.process_hash IS NULL AND r.gateway_key_id = $3) THEN 1 ELSE 0 END \
         AS BIGINT) AS is_own FROM replicas r WHERE r.id = $1";
    KEYS_OF = "SELECT gateway_key_id, earlier_gateway_key_id FROM replicas WHERE id = $1";
    /// Changes nothing, but waits for an attachment of that process that is being entered, and makes it wait.
    KEY_OF_PROCESS = "UPDATE replicas SET process_hash = process_hash WHERE process_hash = $1 RETURNING gateway_key_id";
    PRUNE = "DELETE FROM replicas WHERE last_heartbeat_at < $1";
}

/// A row whose attachment ended is taken over by one that was heard later: a replica that came back by another key.
const HEARTBEAT: Bulk = Bulk {
    head: inserted!(),
    tail: concat!(
        " ON CONFLICT (id) DO UPDATE SET ",
        "state = CASE WHEN replicas.attachment_id = excluded.attachment_id THEN replicas.state ELSE 'attached' END, ",
        taken_over!(),
        "spool_depth = excluded.spool_depth, set_aside = excluded.set_aside, in_flight = excluded.in_flight, \
         configuration_version = excluded.configuration_version, clock_skew_ms = excluded.clock_skew_ms \
         WHERE replicas.attachment_id = excluded.attachment_id \
         OR (COALESCE(replicas.process_hash = excluded.process_hash, \
             replicas.process_hash IS NULL AND excluded.process_hash IS NULL) AND replicas.state <> 'attached' AND replicas.last_heartbeat_at < excluded.last_heartbeat_at)"
    ),
};
const COUNT_LIVE: Bulk = Bulk {
    head: "WITH wanted (gateway_key_id, since) AS (",
    tail: ") SELECT r.gateway_key_id, COUNT(r.id) AS live FROM replicas r JOIN wanted w ON w.gateway_key_id = r.gateway_key_id \
           WHERE r.state = 'attached' AND r.last_heartbeat_at >= w.since GROUP BY r.gateway_key_id",
};
#[cfg(test)]
pub(super) const BULKS: &[Bulk] = &[HEARTBEAT, COUNT_LIVE];

fn read(row: &Row) -> Result<Replica, StoreError> {
    let number = |column| row.int(column).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Replica {
        id: row.id("id")?,
        created_at: row.time("created_at")?,
        gateway_key: KeyRef {
            id: row.id("gateway_key_id")?,
            name: row.text("gateway_key_name")?,
        },
        info: ReplicaInfo {
            name: row.text("name")?,
            version: row.text("version")?,
            address: row.text("address")?,
            labels: row.labels("labels")?,
        },
        control_plane_id: row.id("control_plane_id")?,
        connected_at: row.time("connected_at")?,
        last_heartbeat_at: row.time("last_heartbeat_at")?,
        load: ReplicaLoad {
            spool_depth: number("spool_depth")?,
            set_aside: number("set_aside")?,
            in_flight: number("in_flight")?,
            configuration_version: number("configuration_version")?,
            clock_skew_ms: row.opt_int("clock_skew_ms")?,
        },
        state: row.parsed("state")?,
    })
}

fn labels(info: &ReplicaInfo) -> BTreeMap<String, String> {
    let short = |text: &str| clean(cut(text, TEXT).to_owned());
    let labels = info.labels.iter().take(LABELS);
    labels.map(|(name, value)| (short(name), short(value))).collect()
}

/// Whether it has been told to drain; `None`: the id is another's.
pub(crate) async fn attach(
    conn: Conn<'_>,
    attachment: &ReplicaAttachment,
    lost_before: Timestamp,
) -> Result<Option<bool>, StoreError> {
    let ReplicaAttachment {
        replica_id,
        gateway_key,
        info,
        ..
    } = attachment;
    let values = args![
        lost_before,
        *replica_id,
        attachment.connected_at,
        gateway_key.id,
        &*gateway_key.name,
        cut(&info.name, TEXT),
        cut(&info.version, TEXT),
        cut(&info.address, TEXT),
        labels(info),
        attachment.control_plane_id,
        attachment.id,
        attachment.process,
    ];
    let row = conn.optional(ATTACH, values).await?;
    row.map(|row| Ok(row.opt_time("drain_requested_at")?.is_some()))
        .transpose()
}

/// The last of several beats of one replica counts.
pub(crate) async fn heartbeat(conn: Conn<'_>, beats: &[ReplicaBeat]) -> Result<(), StoreError> {
    let last: BTreeMap<ReplicaId, &ReplicaBeat> = beats.iter().map(|beat| (beat.attachment.replica_id, beat)).collect();
    HEARTBEAT
        .run(conn, last.into_values().map(beat).collect())
        .await
        .map(drop)
}

fn beat(beat: &ReplicaBeat) -> Args {
    let ReplicaBeat {
        attachment,
        heard_at,
        load,
    } = beat;
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    args![
        attachment.replica_id,
        attachment.connected_at,
        attachment.process,
        attachment.gateway_key.id,
        &*attachment.gateway_key.name,
        cut(&attachment.info.name, TEXT),
        cut(&attachment.info.version, TEXT),
        cut(&attachment.info.address, TEXT),
        labels(&attachment.info),
        attachment.control_plane_id,
        attachment.id,
        attachment.connected_at,
        *heard_at,
        number(load.spool_depth),
        number(load.set_aside),
        number(load.in_flight),
        number(load.configuration_version),
        ReplicaState::Attached.as_str(),
        load.clock_skew_ms,
    ]
}

pub(crate) async fn detach(
    conn: Conn<'_>,
    attachment: &ReplicaAttachment,
    state: ReplicaState,
) -> Result<(), StoreError> {
    let values = args![attachment.replica_id, attachment.id, state.as_str()];
    conn.execute(DETACH, values).await.map(drop)
}

/// `false`: it was deleted meanwhile.
pub(crate) async fn drain(conn: Conn<'_>, replica: &Authorised<Replica>, at: Timestamp) -> Result<bool, StoreError> {
    Ok(conn.execute(DRAIN, args![replica.id, at]).await? > 0)
}

pub(crate) async fn list(
    conn: Conn<'_>,
    lost_before: Timestamp,
    (key, state): (Option<GatewayKeyId>, Option<ReplicaState>),
    page: Page,
) -> Result<Vec<Replica>, StoreError> {
    let (at, id) = super::ascending(page);
    let statement = Assembled::new(LIST, args![lost_before, at, id])
        .given(" AND r.gateway_key_id = ?", key)
        .given(concat!(" AND ", state!(), " = ?"), state.map(ReplicaState::as_str))
        .part(" ORDER BY r.created_at, r.id LIMIT ?", args![page.fetch()]);
    statement.all(conn).await?.iter().map(read).collect()
}

pub(crate) async fn find(conn: Conn<'_>, lost_before: Timestamp, id: ReplicaId) -> Result<Found<Replica>, StoreError> {
    let row = conn.optional(FIND, args![lost_before, id]).await?;
    row.as_ref().map(read).transpose().map(Found::new)
}

/// A replica that this transaction has written.
pub(crate) async fn get(conn: Conn<'_>, lost_before: Timestamp, id: ReplicaId) -> Result<Replica, StoreError> {
    read(&conn.one(FIND, args![lost_before, id]).await?)
}

pub(crate) async fn of_key(
    conn: Conn<'_>,
    lost_before: Timestamp,
    key: GatewayKeyId,
    most: u32,
) -> Result<Vec<Replica>, StoreError> {
    let rows = conn.all(OF_KEY, args![lost_before, key, most]).await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn count_live(
    conn: Conn<'_>,
    since: Timestamp,
    keys: &[GatewayKeyId],
) -> Result<HashMap<GatewayKeyId, u64>, StoreError> {
    let wanted = keys.iter().map(|key| args![*key, since]).collect();
    let mut live = HashMap::new();
    for row in COUNT_LIVE.run(conn, wanted).await? {
        live.insert(row.id("gateway_key_id")?, u64::try_from(row.int("live")?).unwrap_or(0));
    }
    Ok(live)
}

pub(crate) async fn count(conn: Conn<'_>, lost_before: Timestamp) -> Result<Vec<(ReplicaState, u64)>, StoreError> {
    let rows = conn.all(COUNT, args![lost_before]).await?;
    let read = |row: &Row| {
        let number = row.int("number")?;
        Ok((row.parsed("state")?, u64::try_from(number).unwrap_or(0)))
    };
    rows.iter().map(read).collect()
}

/// Whether this id is that of whoever shows this.
pub(crate) async fn is_own(
    conn: Conn<'_>,
    id: ReplicaId,
    process: Option<SecretHash>,
    key: Option<GatewayKeyId>,
) -> Result<bool, StoreError> {
    let row = conn.optional(IS_OWN, args![id, process, key]).await?;
    row.map_or(Ok(true), |row| Ok(row.int("is_own")? == 1))
}

/// The key that a replica attached with last, and then the one before, if the same process had another; none where the registry does
/// not know it.
pub(crate) async fn keys_of(conn: Conn<'_>, id: ReplicaId) -> Result<Vec<GatewayKeyId>, StoreError> {
    let Some(row) = conn.optional(KEYS_OF, args![id]).await? else {
        return Ok(Vec::new());
    };
    let earlier = row.opt_id("earlier_gateway_key_id")?;
    Ok(std::iter::once(row.id("gateway_key_id")?).chain(earlier).collect())
}

/// The key that a process attached with last. Until the transaction ends, it attaches with no other.
pub(crate) async fn key_of_process(conn: Conn<'_>, process: SecretHash) -> Result<Option<GatewayKeyId>, StoreError> {
    let row = conn.optional(KEY_OF_PROCESS, args![process]).await?;
    row.map(|row| row.id("gateway_key_id")).transpose()
}

pub(crate) async fn prune(conn: Conn<'_>, before: Timestamp) -> Result<u64, StoreError> {
    conn.execute(PRUNE, args![before]).await
}
