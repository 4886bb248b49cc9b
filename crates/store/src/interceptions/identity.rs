//! What each delivered record is: whose, from when, under which id, and whether it can be taken at all. A replica is not trusted with
//! any of it.
//!
//! A record's identity is its gateway key and its id; a replica that takes another key, or one that another replaces, may deliver again
//! with the new one what is here under the old one. Ids tell which key they belong to ([`KeyTag`]). A record with the id of another key is
//! stored under an id that is made of both, whoever comes first, and can be found in the lists; so is one whose id, of a version without
//! that, another key has used. The same key with other content under an id that it has used is refused.
//!
//! A record is taken for a token that its key was told of, and for a provider that its key serves, or did when it began. The keys that
//! it replaces count, too, until they stop working; and for a process that has taken another key, the one that it is attached
//! with, since it may deliver before it has attached again.

use crate::ai_gateway_keys::replaced;
use crate::engine::Held;
use crate::error::StoreError;
use crate::rows::interceptions::{Deliverer, Placed, Times};
use crate::sql::ai_gateway_keys::{self, past_providers};
use crate::sql::interceptions::ingest::{self as sql, KnownToken, Stored};
use crate::sql::providers;
use crate::tokens::TOKEN_LEASE;
use aws_lc_rs::digest;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_types::{GatewayKeyId, InterceptionId, KeyTag, ProviderId, ReplicaId, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A replica's clock may be ahead by so much.
pub(crate) const AHEAD: Duration = Duration::from_secs(5 * 60);
/// A record may wait so long on its way here.
pub(crate) const BEHIND: Duration = Duration::from_secs(31 * 24 * 3600);
/// No request takes longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A replica that is cut off goes on for so long with what has ended meanwhile.
pub(crate) const AFTER_THE_END: Duration = TOKEN_LEASE.saturating_add(AHEAD);

const NO_TOKEN: &str = "it came with a token that this deployment does not know";
const NOT_GRANTED: &str = "its gateway key was never told that its token works";
const TOKEN_ENDED: &str = "it began when its token had stopped working";
const NOT_SERVED: &str = "it names a provider that its gateway key does not serve, and did not when it began";
const OTHER_CONTENT: &str = "another record of the same gateway key has this id";

/// What the database knows of a batch.
pub(crate) struct Known {
    tokens: HashMap<[u8; 32], KnownToken>,
    /// By id; those under made ids, too.
    stored: HashMap<InterceptionId, Stored>,
    /// The keys that count as the one that is shown, that one first; none for the embedded gateway.
    keys: Vec<GatewayKeyId>,
    replica: Option<ReplicaId>,
    /// What the ids of other keys end in; looked up where a record does not have an id of these.
    others: HashSet<KeyTag>,
    /// The names of the providers that none of the keys serves, with the time until which one did. One that was deleted
    /// meanwhile is not among them: what it was used for is still to be accounted for.
    not_served: HashMap<String, Option<Timestamp>>,
}

impl Known {
    pub(crate) async fn look_up(
        held: &mut Held,
        records: &[Arc<InterceptionRecord>],
        from: Deliverer,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let gateway_key = from.gateway_key;
        let keys = match gateway_key {
            Some(key) => replaced::counted(held, key, from.replica).await?,
            None => Vec::new(),
        };
        let hashes = records.iter().map(|record| record.token_hash).collect();
        let tokens = sql::tokens(held.conn(), &hashes, &keys).await?;
        let others = other_tags(held, &keys, records).await?;
        let mut stored = sql::stored(held.conn(), records.iter().map(|record| record.id)).await?;
        let taken = stored.iter().filter(|(_, stored)| stored.gateway_key != gateway_key);
        let taken = taken.map(|(id, _)| *id);
        let others_ids = records
            .iter()
            .map(|record| record.id)
            .filter(|id| others.contains(&KeyTag::in_id(*id)));
        let made: Vec<_> = taken.chain(others_ids).map(|id| made_id(gateway_key, id)).collect();
        if !made.is_empty() {
            stored.extend(sql::stored(held.conn(), made.into_iter()).await?);
        }
        Ok(Self {
            tokens,
            stored,
            not_served: not_served(held, &keys, now).await?,
            keys,
            replica: from.replica,
            others,
        })
    }

    /// Whether what is there under another gateway key came from the same replica, or from one of a key that counts as this one.
    fn is_of_before(&self, stored: &Stored) -> bool {
        let same_replica = self.replica.is_some() && stored.replica == self.replica;
        same_replica || stored.gateway_key.is_some_and(|key| self.keys.contains(&key))
    }
}

/// What the ids of other keys end in, if one of these records may have such an id. Ids of earlier versions end in anything.
async fn other_tags(
    held: &mut Held,
    keys: &[GatewayKeyId],
    records: &[Arc<InterceptionRecord>],
) -> Result<HashSet<KeyTag>, StoreError> {
    let own: HashSet<_> = match keys {
        [] => [KeyTag::of(None)].into(),
        keys => keys.iter().map(|key| KeyTag::of(Some(*key))).collect(),
    };
    if records.iter().all(|record| own.contains(&KeyTag::in_id(record.id))) {
        return Ok(HashSet::new());
    }
    let known = ai_gateway_keys::replaced::known(held.conn()).await?;
    let all = known.into_iter().map(Some).chain([None]).map(KeyTag::of);
    Ok(all.filter(|tag| !own.contains(tag)).collect())
}

/// Few keys are limited, and only for those the providers are read. What a key served that works no longer, it served until then.
async fn not_served(
    held: &mut Held,
    keys: &[GatewayKeyId],
    now: Timestamp,
) -> Result<HashMap<String, Option<Timestamp>>, StoreError> {
    // The embedded gateway serves all.
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let (mut served, mut ended) = (HashSet::<ProviderId>::new(), HashMap::<ProviderId, Timestamp>::new());
    let mut all_until: Option<Timestamp> = None;
    for key in keys {
        let Some(scope) = ai_gateway_keys::scope(held.conn(), *key, now).await? else {
            continue;
        };
        match (scope.providers, scope.ended_at) {
            (None, None) => return Ok(HashMap::new()),
            (None, Some(until)) => all_until = all_until.max(Some(until)),
            (Some(providers), None) => served.extend(providers),
            (Some(providers), Some(until)) => {
                for provider in providers {
                    keep_later(&mut ended, provider, until);
                }
            }
        }
    }
    for key in keys {
        for (provider, until) in past_providers::of_key(held.conn(), *key).await? {
            keep_later(&mut ended, provider, until);
        }
    }
    let all = providers::refs(held.conn()).await?.into_iter();
    let others = all.filter(|(provider, _)| !served.contains(&provider.id));
    Ok(others
        .map(|(provider, _)| (provider.name, ended.get(&provider.id).copied().max(all_until)))
        .collect())
}

fn keep_later(ended: &mut HashMap<ProviderId, Timestamp>, provider: ProviderId, until: Timestamp) {
    let last = ended.entry(provider).or_insert(until);
    *last = until.max(*last);
}

/// What can be taken and is not there yet, each id once, oldest first; and what never can be.
pub(crate) fn place<'r>(
    records: &'r [Arc<InterceptionRecord>],
    known: &Known,
    gateway_key: Option<GatewayKeyId>,
    now: Timestamp,
) -> (Vec<Placed<'r>>, Vec<(InterceptionId, String)>) {
    let mut rejected = Vec::new();
    let mut seen = HashSet::new();
    let mut placed = Vec::with_capacity(records.len());
    for record in records.iter().filter(|record| seen.insert(record.id)) {
        match place_one(record, known, gateway_key, now) {
            Ok(Some(place)) => placed.push(place),
            Ok(None) => {}
            Err(reason) => rejected.push((record.id, reason.to_owned())),
        }
    }
    placed.sort_by_key(|place| (place.times.started_at, place.id));
    (placed, rejected)
}

/// `None`: it is recorded already.
fn place_one<'r>(
    record: &'r InterceptionRecord,
    known: &Known,
    gateway_key: Option<GatewayKeyId>,
    now: Timestamp,
) -> Result<Option<Placed<'r>>, &'static str> {
    let (token, times) = admit(record, known, gateway_key, now)?;
    // It is; or it was completed since; or its process ended between the record and the removal of the line that stood for it until then.
    let may_be_of_before = matches!(record.outcome, Outcome::Interrupted | Outcome::Unfinished);
    let is_here =
        |stored: &Stored| stored.is(record, token.id, times) || (may_be_of_before && stored.continues(token.id, times));
    let mut id = record.id;
    let mut stored = known.stored.get(&id);
    let is_own = |stored: &Stored| stored.gateway_key == gateway_key || known.is_of_before(stored);
    if stored.is_some_and(|stored| is_own(stored) && is_here(stored)) {
        return Ok(None);
    }
    let is_taken = stored.is_some_and(|stored| stored.gateway_key != gateway_key);
    if is_taken || known.others.contains(&KeyTag::in_id(id)) {
        id = made_id(gateway_key, id);
        stored = known.stored.get(&id);
    }
    match stored {
        None => Ok(Some(Placed {
            record,
            id,
            times,
            received_at: now,
            token: token.id,
            user: token.user,
            session: id.as_uuid(),
            parent: None,
        })),
        Some(stored) if is_here(stored) => Ok(None),
        Some(_) => Err(OTHER_CONTENT),
    }
}

/// Whether its gateway key may tell of such a request, and from when it is.
pub(super) fn admit(
    record: &InterceptionRecord,
    known: &Known,
    gateway_key: Option<GatewayKeyId>,
    now: Timestamp,
) -> Result<(KnownToken, Times), &'static str> {
    let token = known.tokens.get(record.token_hash.as_bytes()).ok_or(NO_TOKEN)?;
    if !token.is_granted {
        return Err(NOT_GRANTED);
    }
    let times = believable(record.started_at, record.ended_at, now);
    // Where the times are those of the arrival, nothing tells when it began.
    let too_late = |end: Timestamp| !times.are_replaced && times.started_at > end.plus(AFTER_THE_END);
    if gateway_key.is_some() && token.works_until.is_some_and(too_late) {
        return Err(TOKEN_ENDED);
    }
    if let Some(served_until) = known.not_served.get(&record.provider)
        && served_until.is_none_or(too_late)
    {
        return Err(NOT_SERVED);
    }
    Ok((*token, times))
}

/// Times near the arrival stay as they are; in the place of others stand those of the arrival.
fn believable(started_at: Timestamp, ended_at: Timestamp, now: Timestamp) -> Times {
    let (earliest, latest) = (now.minus(BEHIND), now.plus(AHEAD));
    let fits = |at: Timestamp| (earliest..=latest).contains(&at);
    let took = ended_at.as_micros().saturating_sub(started_at.as_micros());
    let took = Duration::from_micros(u64::try_from(took).unwrap_or(0));
    if fits(started_at) && fits(ended_at) {
        return Times {
            started_at,
            // A clock that was set back in between.
            ended_at: ended_at.max(started_at),
            are_replaced: false,
        };
    }
    Times {
        started_at: now.minus(took.min(LONGEST)),
        ended_at: now,
        are_replaced: true,
    }
}

/// The id of a record whose own one another gateway key has used. It sorts by the same time.
fn made_id(gateway_key: Option<GatewayKeyId>, id: InterceptionId) -> InterceptionId {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(gateway_key.map_or(Uuid::nil(), |key| key.as_uuid()).as_bytes());
    hash.update(id.as_uuid().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finish().as_ref()[..16]);
    bytes[..6].copy_from_slice(&id.as_uuid().as_bytes()[..6]);
    let made = uuid::Builder::from_bytes(bytes)
        .with_variant(uuid::Variant::RFC4122)
        .with_version(uuid::Version::SortRand);
    KeyTag::of(gateway_key).put_in(InterceptionId::from_uuid(made.into_uuid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_near_the_arrival_are_believed() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let second = Duration::from_secs(1);
        for (started_at, ended_at) in [
            (now, now),
            (now.minus(BEHIND), now.minus(BEHIND)),
            (now, now.plus(AHEAD)),
            (now.minus(second), now),
        ] {
            let expected = Times {
                started_at,
                ended_at,
                are_replaced: false,
            };
            assert_eq!(believable(started_at, ended_at, now), expected);
        }
        assert_eq!(
            believable(now, now.minus(second), now).ended_at,
            now,
            "a clock that was set back"
        );
        let (first, last) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        for (started_at, ended_at, took) in [
            (now.minus(BEHIND + second), now.minus(BEHIND), second),
            (now.plus(AHEAD), now.plus(AHEAD + second), second),
            (Timestamp::from_micros(-1), Timestamp::from_micros(-1), Duration::ZERO),
            (last, last, Duration::ZERO),
            (last, first, Duration::ZERO),
            (first, last, LONGEST),
        ] {
            let expected = Times {
                started_at: now.minus(took),
                ended_at: now,
                are_replaced: true,
            };
            assert_eq!(believable(started_at, ended_at, now), expected);
        }
    }

    #[test]
    fn a_made_id_is_of_key_and_id_and_of_the_same_time() {
        let key = |n: u128| Some(GatewayKeyId::from_uuid(Uuid::from_u128(n)));
        let id = InterceptionId::from_uuid(Uuid::parse_str("01920000-0000-7000-8000-000000000001").unwrap());
        let made = [made_id(key(1), id), made_id(key(2), id), made_id(None, id), id];
        assert_eq!(HashSet::from(made).len(), 4);
        for made in made {
            assert_eq!(made.as_uuid().as_bytes()[..6], id.as_uuid().as_bytes()[..6]);
            assert_eq!(made.as_uuid().get_version_num(), 7);
        }
        assert_eq!(
            KeyTag::in_id(made_id(key(1), id)),
            KeyTag::of(key(1)),
            "nobody else can take it"
        );
        assert_eq!(made_id(key(1), id), made[0]);
    }
}
