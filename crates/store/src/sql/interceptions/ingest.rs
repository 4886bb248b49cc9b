//! Writing interceptions, in bulk.

use crate::engine::{Args, Bulk, Conn, args, clean, cut};
use crate::error::StoreError;
use crate::rows::interceptions::{KnownCalls, Placed, ThreadLink, Times};
use crate::sql::stored_objects;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Content, GatewayKeyId, InterceptionId, ReplicaId, Timestamp, TokenId, UserId};
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// A replica is not trusted with the size of what it sends: header-like texts end here, in characters.
const HEADER: usize = 512;
/// Ids and names given by others.
pub(super) const LABEL: usize = 255;
/// Ids of tool calls: some carry a signature. Replicas cut and mark what is longer; an index has room for this.
const CALL_ID: usize = 600;
/// Error messages.
pub(super) const MESSAGE: usize = 4096;
/// Prompts, arguments and thoughts; the replica cuts them well before.
const CONTENT: usize = 2 << 20;
/// Counters in one usage object.
const COUNTERS: usize = 64;
/// No response has so many tokens, and sums of them stay far from overflow.
pub(super) const MOST_TOKENS: i64 = 1 << 50;

const TOKENS: Bulk = Bulk {
    head: "WITH wanted (token_hash, gateway_key_id) AS (",
    tail: ") SELECT t.token_hash, t.id, t.user_id, t.expires_at, t.revoked_at, CAST(CASE WHEN EXISTS (SELECT 1 FROM token_grants g \
           WHERE g.token_id = t.id AND g.gateway_key_id = w.gateway_key_id) THEN 1 ELSE 0 END AS BIGINT) \
           AS is_granted FROM wanted w JOIN tokens t ON t.token_hash = w.token_hash",
};
const STORED: Bulk = Bulk {
    head: "WITH wanted (id) AS (",
    tail: ") SELECT i.id, i.gateway_key_id, i.token_id, i.provider, i.model, i.outcome, i.started_at, i.ended_at, \
           i.times_replaced, i.replica_id FROM interceptions i JOIN wanted w ON w.id = i.id",
};
/// The newest interception of that user that asked for that tool call, of that session where there is one; ids sort by time.
/// Some servers give the same ids again and again (`functions.Read:0`), so that only the newest are looked at.
const PARENTS: Bulk = Bulk {
    head: "WITH wanted (user_id, tool_call_id, session_id) AS (",
    tail: ") SELECT w.user_id, w.tool_call_id, i.session_id, i.id, i.thread_root_id FROM wanted w JOIN interceptions i ON i.id = \
           COALESCE((SELECT p.id FROM interceptions p WHERE p.session_id = w.session_id AND p.id IN \
           (SELECT t.interception_id FROM tool_usages t WHERE t.user_id = w.user_id AND t.tool_call_id = w.tool_call_id \
           ORDER BY t.interception_id DESC LIMIT 64) ORDER BY p.id DESC LIMIT 1), \
           (SELECT t.interception_id FROM tool_usages t WHERE t.user_id = w.user_id AND t.tool_call_id = w.tool_call_id \
           ORDER BY t.interception_id DESC LIMIT 1))",
};
/// The interceptions that made these objects, for the same users.
const MAKERS: Bulk = Bulk {
    head: "WITH wanted (user_id, object_hash) AS (",
    tail: ") SELECT w.user_id, w.object_hash, i.id, i.thread_root_id FROM wanted w \
           JOIN stored_objects o ON o.object_hash = w.object_hash AND o.user_id = w.user_id \
           JOIN interceptions i ON i.id = o.interception_id",
};
const INTERCEPTIONS: Bulk = Bulk {
    head: "INSERT INTO interceptions (id, user_id, token_id, provider, provider_type, api, model, streaming, client, \
           user_agent, client_session_id, session_id, thread_parent_tool_call_id, thread_parent_id, thread_root_id, \
           credential_kind, credential_hint, gateway_key_id, replica_id, started_at, ended_at, outcome, upstream_status, \
           error_type, error_message, provider_request_id, stop_reason, attempts, time_to_first_byte_ms, overhead_us, \
           served_model, times_replaced, received_at, told_started_at, told_ended_at) ",
    tail: " ON CONFLICT (id) DO NOTHING RETURNING id",
};
const TOKEN_USAGES: Bulk = Bulk {
    head: "INSERT INTO token_usages (interception_id, position, provider_response_id, input_tokens, output_tokens, \
           cache_read_input_tokens, cache_write_input_tokens, cache_write_1h_input_tokens, reasoning_tokens, estimated, extra, \
           attributes) ",
    tail: "",
};
const PROMPTS: Bulk = Bulk {
    head: "INSERT INTO prompts (interception_id, position, provider_response_id, prompt, prompt_zstd) ",
    tail: "",
};
const TOOL_USAGES: Bulk = Bulk {
    head: "INSERT INTO tool_usages (interception_id, position, user_id, provider_response_id, tool_call_id, tool, input, \
           input_zstd) ",
    tail: "",
};
const MODEL_THOUGHTS: Bulk = Bulk {
    head: "INSERT INTO model_thoughts (interception_id, position, content, source, content_zstd) ",
    tail: "",
};
/// An object has one maker, and nobody takes it from another. Where a server gives the same ids again and again, it is of the user's
/// newest record, once the one before has ended.
const STORED_OBJECTS: Bulk = Bulk {
    head: "WITH wanted (object_hash, user_id, created_at, interception_id, provider) AS (",
    tail: ") INSERT INTO stored_objects (object_hash, user_id, created_at, interception_id) \
           SELECT w.object_hash, w.user_id, w.created_at, w.interception_id FROM wanted w \
           WHERE EXISTS (SELECT 1 FROM providers p WHERE p.name = w.provider) \
           ON CONFLICT (object_hash) DO UPDATE SET created_at = excluded.created_at, interception_id = excluded.interception_id \
           WHERE stored_objects.user_id = excluded.user_id AND stored_objects.created_at < excluded.created_at \
           AND NOT EXISTS (SELECT 1 FROM interceptions i WHERE i.id = stored_objects.interception_id AND i.outcome = 'unfinished')",
};
#[cfg(test)]
pub(in crate::sql) const BULKS: &[Bulk] = &[
    TOKENS,
    STORED,
    PARENTS,
    MAKERS,
    INTERCEPTIONS,
    TOKEN_USAGES,
    PROMPTS,
    TOOL_USAGES,
    MODEL_THOUGHTS,
    STORED_OBJECTS,
];

/// A token that a record came with.
#[derive(Clone, Copy)]
pub(crate) struct KnownToken {
    pub(crate) id: TokenId,
    pub(crate) user: UserId,
    /// When it stopped working, or will.
    pub(crate) works_until: Option<Timestamp>,
    /// Whether one of the keys was told that it works.
    pub(crate) is_granted: bool,
}

/// The tokens with these hashes, whatever their state: what was sent with them was billed. Without a key, all are granted: the embedded
/// gateway is the control plane's own.
pub(crate) async fn tokens(
    conn: Conn<'_>,
    hashes: &HashSet<SecretHash>,
    keys: &[GatewayKeyId],
) -> Result<HashMap<[u8; 32], KnownToken>, StoreError> {
    let first = keys.first().copied();
    let others = keys.iter().skip(1).map(|key| Some(*key));
    let keys: Vec<_> = std::iter::once(first).chain(others).collect();
    let of = |hash| keys.iter().map(move |key| args![hash, *key]);
    let rows = hashes.iter().flat_map(|hash| of(*hash)).collect();
    let mut found = HashMap::<_, KnownToken>::new();
    for row in TOKENS.run(conn, rows).await? {
        let Ok(hash) = row.bytes("token_hash")?.as_slice().try_into() else {
            continue;
        };
        let (revoked_at, expires_at) = (row.opt_time("revoked_at")?, row.opt_time("expires_at")?);
        let token = KnownToken {
            id: row.id("id")?,
            user: row.id("user_id")?,
            works_until: [revoked_at, expires_at].into_iter().flatten().min(),
            is_granted: first.is_none() || row.int("is_granted")? == 1,
        };
        found.entry(hash).or_insert(token).is_granted |= token.is_granted;
    }
    Ok(found)
}

/// What is on record under an id.
pub(crate) struct Stored {
    pub(crate) gateway_key: Option<GatewayKeyId>,
    pub(crate) replica: Option<ReplicaId>,
    token: TokenId,
    provider: String,
    model: String,
    outcome: String,
    times: Times,
}

impl Stored {
    /// Whether it is this record, delivered before.
    pub(crate) fn is(&self, record: &InterceptionRecord, token: TokenId, times: Times) -> bool {
        let label = |text: &str| clean(cut(text, LABEL).to_owned());
        let same_times = self.times.are_replaced || times.are_replaced || self.times == times;
        same_times
            && self.token == token
            && self.provider == label(&record.provider)
            && self.model == label(&record.model)
            && self.outcome == record.outcome.as_str()
    }

    /// Whether it is this request, of which more became known since.
    pub(crate) fn continues(&self, token: TokenId, times: Times) -> bool {
        let same_start = self.times.started_at == times.started_at;
        self.token == token && (self.times.are_replaced || times.are_replaced || same_start)
    }
}

/// What is on record under these ids.
pub(crate) async fn stored(
    conn: Conn<'_>,
    ids: impl Iterator<Item = InterceptionId>,
) -> Result<HashMap<InterceptionId, Stored>, StoreError> {
    let mut found = HashMap::new();
    for row in STORED.run(conn, ids.map(|id| args![id]).collect()).await? {
        let stored = Stored {
            gateway_key: row.opt_id("gateway_key_id")?,
            replica: row.opt_id("replica_id")?,
            token: row.id("token_id")?,
            provider: row.text("provider")?,
            model: row.text("model")?,
            outcome: row.text("outcome")?,
            times: Times {
                started_at: row.time("started_at")?,
                ended_at: row.time("ended_at")?,
                are_replaced: row.bool("times_replaced")?,
            },
        };
        found.insert(row.id("id")?, stored);
    }
    Ok(found)
}

/// Who asked for these tool calls, in these sessions or in any.
pub(crate) async fn parents(
    conn: Conn<'_>,
    wanted: &HashSet<(UserId, String, Uuid)>,
) -> Result<KnownCalls, StoreError> {
    let rows = wanted
        .iter()
        .map(|(user, call, session)| args![*user, &**call, *session])
        .collect();
    let mut known = KnownCalls::default();
    for row in PARENTS.run(conn, rows).await? {
        let id = row.id("id")?;
        let link = (id, row.opt_id("thread_root_id")?.unwrap_or(id));
        known.add(
            row.id("user_id")?,
            row.text("tool_call_id")?,
            row.uuid("session_id")?,
            link,
        );
    }
    Ok(known)
}

/// Who made these objects.
pub(crate) async fn makers(
    conn: Conn<'_>,
    wanted: HashSet<(UserId, Vec<u8>)>,
) -> Result<HashMap<(UserId, Vec<u8>), ThreadLink>, StoreError> {
    let rows = wanted
        .into_iter()
        .map(|(user, hash)| args![user, hash.as_slice()])
        .collect();
    let mut known = HashMap::new();
    for row in MAKERS.run(conn, rows).await? {
        let id = row.id("id")?;
        let link = (id, row.opt_id("thread_root_id")?.unwrap_or(id));
        known.insert((row.id("user_id")?, row.bytes("object_hash")?), link);
    }
    Ok(known)
}

/// Inserts those that are not there yet, and gives their ids.
pub(crate) async fn interceptions(
    conn: Conn<'_>,
    placed: &[Placed<'_>],
    gateway_key: Option<GatewayKeyId>,
    replica: Option<ReplicaId>,
) -> Result<HashSet<InterceptionId>, StoreError> {
    let rows = placed
        .iter()
        .map(|place| interception(place, gateway_key, replica))
        .collect();
    INTERCEPTIONS
        .run(conn, rows)
        .await?
        .iter()
        .map(|row| row.id("id"))
        .collect()
}

fn interception(place: &Placed<'_>, gateway_key: Option<GatewayKeyId>, replica: Option<ReplicaId>) -> Args {
    let record = place.record;
    let label = |text: &Option<String>| text.as_deref().map(|text| cut(text, LABEL).to_owned());
    args![
        place.id,
        place.user,
        place.token,
        cut(&record.provider, LABEL),
        record.provider_type.as_str(),
        record.api.as_str(),
        cut(&record.model, LABEL),
        record.streaming,
        cut(&record.client, LABEL),
        cut(&record.user_agent, HEADER),
        label(&record.client_session_id),
        place.session,
        record.thread_parent_tool_call_id.as_deref().map(tool_call_id),
        place.parent.map(|(parent, _)| parent),
        place.parent.map(|(_, root)| root),
        record.credential_kind.as_str(),
        cut(&record.credential_hint, LABEL),
        gateway_key,
        replica,
        place.times.started_at,
        place.times.ended_at,
        record.outcome.as_str(),
        record.upstream_status,
        label(&record.error_type),
        record.error_message.as_deref().map(|text| cut(text, MESSAGE)),
        label(&record.provider_request_id),
        label(&record.stop_reason),
        record.attempts,
        record.time_to_first_byte_ms.map(|n| n.max(0)),
        record.overhead_us.max(0),
        label(&record.served_model),
        place.times.are_replaced,
        place.received_at,
        place.times.are_replaced.then_some(record.started_at),
        place.times.are_replaced.then_some(record.ended_at),
    ]
}

/// Inserts the lists of new interceptions.
pub(crate) async fn token_usages(conn: Conn<'_>, records: &[Placed<'_>]) -> Result<(), StoreError> {
    let tokens = |n: i64| n.clamp(0, MOST_TOKENS);
    let rows = children(
        records,
        |record| &record.token_usages,
        |place, position, usage| {
            let extra = usage
                .extra
                .iter()
                .take(COUNTERS)
                .map(|(name, n)| (clean(cut(name, LABEL).to_owned()), *n));
            let attributes = usage
                .attributes
                .iter()
                .take(COUNTERS)
                .map(|(name, text)| (clean(cut(name, LABEL).to_owned()), clean(cut(text, LABEL).to_owned())));
            args![
                place.id,
                position,
                cut(&usage.provider_response_id, LABEL),
                tokens(usage.input_tokens),
                tokens(usage.output_tokens),
                tokens(usage.cache_read_input_tokens),
                tokens(usage.cache_write_input_tokens),
                tokens(usage.cache_write_1h_input_tokens),
                tokens(usage.reasoning_tokens),
                usage.estimated,
                extra.collect::<BTreeMap<_, _>>(),
                attributes.collect::<BTreeMap<_, _>>(),
            ]
        },
    );
    TOKEN_USAGES.run(conn, rows).await.map(drop)
}

/// Inserts the lists of new interceptions.
pub(crate) async fn prompts(conn: Conn<'_>, records: &[Placed<'_>]) -> Result<(), StoreError> {
    let rows = children(
        records,
        |record| &record.prompts,
        |place, position, prompt| {
            let response = cut(&prompt.provider_response_id, LABEL);
            let (text, zstd) = columns(&prompt.prompt);
            args![place.id, position, response, text, zstd]
        },
    );
    PROMPTS.run(conn, rows).await.map(drop)
}

/// Inserts the lists of new interceptions.
pub(crate) async fn tool_usages(conn: Conn<'_>, records: &[Placed<'_>]) -> Result<(), StoreError> {
    let rows = children(
        records,
        |record| &record.tool_usages,
        |place, position, usage| {
            let (text, zstd) = columns(&usage.input);
            args![
                place.id,
                position,
                place.user,
                cut(&usage.provider_response_id, LABEL),
                tool_call_id(&usage.tool_call_id),
                cut(&usage.tool, LABEL),
                text,
                zstd,
            ]
        },
    );
    TOOL_USAGES.run(conn, rows).await.map(drop)
}

/// Inserts the lists of new interceptions.
pub(crate) async fn model_thoughts(conn: Conn<'_>, records: &[Placed<'_>]) -> Result<(), StoreError> {
    let rows = children(
        records,
        |record| &record.model_thoughts,
        |place, position, thought| {
            let (text, zstd) = columns(&thought.content);
            args![place.id, position, text, thought.source.as_str(), zstd]
        },
    );
    MODEL_THOUGHTS.run(conn, rows).await.map(drop)
}

/// Notes whose the objects are that new interceptions made at providers that there are. In one order, so that two transactions
/// can't wait in a circle.
pub(crate) async fn stored_objects(conn: Conn<'_>, records: &[Placed<'_>]) -> Result<(), StoreError> {
    let mut by_time: Vec<_> = records.iter().collect();
    by_time.sort_by_key(|place| (place.times.started_at, place.id));
    let mut made = BTreeMap::<_, &Placed<'_>>::new();
    for place in by_time {
        let objects = place.record.stored_object.iter().chain(&place.record.stored_items);
        for object in objects.filter(|id| !id.is_empty()) {
            let maker = made.entry(stored_objects::hash(object)).or_insert(place);
            if maker.user == place.user && maker.record.outcome != Outcome::Unfinished {
                *maker = place;
            }
        }
    }
    let row = |(hash, place): (&Vec<u8>, &&Placed<'_>)| {
        let provider = cut(&place.record.provider, LABEL);
        args![hash.as_slice(), place.user, place.times.started_at, place.id, provider]
    };
    let rows = made.iter().map(row).collect();
    STORED_OBJECTS.run(conn, rows).await.map(drop)
}

/// The two columns of a content: one that came compressed stays so, and is not opened.
fn columns(content: &Content) -> (&str, Option<Vec<u8>>) {
    match content {
        Content::Plain(text) => (cut(text, CONTENT), None),
        Content::Zstd(bytes) => ("", Some(bytes.clone())),
    }
}

/// A tool call's id in the form in which it is stored and looked up.
pub(crate) fn tool_call_id(id: &str) -> String {
    clean(cut(id, CALL_ID).to_owned())
}

fn children<'r, T: 'r>(
    records: &[Placed<'r>],
    list: impl Fn(&'r InterceptionRecord) -> &'r Vec<T>,
    row: impl Fn(&Placed<'r>, i64, &T) -> Args,
) -> Vec<Args> {
    let mut rows = Vec::new();
    for place in records {
        rows.extend(
            (0i64..)
                .zip(list(place.record))
                .map(|(position, item)| row(place, position, item)),
        );
    }
    rows
}
