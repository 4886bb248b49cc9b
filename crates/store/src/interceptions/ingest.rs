//! Taking in what replicas deliver: whole batches, the same record any number of times.
//!
//! What a batch refers to is looked up first, for all of it together; then it is written by several transactions at once, which
//! need not know of each other. So one replica with a full spool keeps more than one core of the database busy. A batch of
//! which a part fails is delivered again, and what is there already is left as it is.

use crate::connect::Store;
use crate::engine::{Conn, is_about_values};
use crate::error::StoreError;
use crate::rows::interceptions::{Placed, ReplicaStamp, ThreadLink};
use crate::sql::interceptions::ingest as sql;
use crate::sql::replicas;
use aws_lc_rs::digest;
use futures_util::future::join_all;
use lychgate_authz::{Action, Caller, Principal, Resource, Target, authorise};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::{GatewayKeyId, InterceptionId, ReplicaId, TokenId, UserId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct IngestReport {
    /// Records that are stored now and were not before.
    pub new: u64,
    /// Records that were stored before, or stood in the batch twice.
    pub known: u64,
    /// Records that can never be taken, with the reason.
    pub rejected: Vec<(InterceptionId, String)>,
    /// What the database said of those among them that it does not hold, for the log.
    pub errors: Vec<(InterceptionId, StoreError)>,
}

/// Fewer records than this are written by one transaction: its beginning and end cost as much as some hundred of them.
const LEAST_PART: usize = 256;

const NOT_HELD: &str = "the control plane's database can't hold it; the control plane's log says why";

impl Store {
    /// Takes a batch in. After `Ok`, all but the rejected records are stored; those that were there already are left as
    /// they are. The gateway key on the records is the caller's own.
    pub async fn interception_ingest(
        &self,
        caller: &Caller,
        stamp: ReplicaStamp,
        records: &[Arc<InterceptionRecord>],
    ) -> Result<IngestReport, StoreError> {
        authorise(
            &caller.principal,
            Action::Create,
            Resource::Interception,
            Target::Shared,
        )?;
        let gateway_key = match caller.principal {
            Principal::Replica { gateway_key_id } => Some(gateway_key_id),
            Principal::User(_) | Principal::ControlPlane => None,
        };
        let mut report = IngestReport::default();
        // Whatever is not taken is halved until what can't be taken stands alone.
        let mut parts = vec![records];
        while let Some(part) = parts.pop() {
            match Box::pin(self.take_in(part, gateway_key, stamp, &mut report.new)).await {
                Ok(mut rejected) => report.rejected.append(&mut rejected),
                Err(error) if !is_about_values(&error) => return Err(error),
                Err(error) => match part {
                    [] => {}
                    [poison] => {
                        report.rejected.push((poison.id, NOT_HELD.to_owned()));
                        report.errors.push((poison.id, error));
                    }
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        report.known = (records.len() - report.rejected.len()) as u64 - report.new;
        Ok(report)
    }

    /// Gives what can never be taken, and adds to `new` what is stored now, even if it fails at other records.
    async fn take_in(
        &self,
        records: &[Arc<InterceptionRecord>],
        gateway_key: Option<GatewayKeyId>,
        stamp: ReplicaStamp,
        new: &mut u64,
    ) -> Result<Vec<(InterceptionId, String)>, StoreError> {
        let mut held = self.engine.read().await?;
        let replica = own_id(held.conn(), stamp, gateway_key).await?;
        let hashes = records.iter().map(|record| record.token_hash).collect();
        let tokens = sql::tokens(held.conn(), &hashes).await?;
        let (mut placed, rejected) = place(records, &tokens);
        let wanted = wanted_parents(&placed);
        let parents = sql::parents(held.conn(), &wanted).await?;
        drop(held);
        link_threads(&mut placed, parents);
        // Two deliveries of the same records wait for each other; in one order, so that they can't wait in a circle.
        placed.sort_unstable_by_key(|place| place.record.id);
        let part = placed.len().div_ceil(self.engine.writers()).max(LEAST_PART);
        let writing = placed.chunks(part).map(|part| self.write(part, gateway_key, replica));
        // All are waited for, whatever becomes of the first.
        let mut done = Ok(rejected);
        for written in join_all(writing).await {
            match written {
                Ok(count) => *new += count,
                Err(error) => done = Err(error),
            }
        }
        done
    }

    /// Writes records that are not there yet, in one transaction; gives how many they were.
    async fn write(
        &self,
        placed: &[Placed<'_>],
        gateway_key: Option<GatewayKeyId>,
        replica: Option<ReplicaId>,
    ) -> Result<u64, StoreError> {
        let mut tx = self.engine.begin().await?;
        let new = sql::interceptions(tx.conn(), placed, gateway_key, replica).await?;
        let new: Vec<_> = placed
            .iter()
            .filter(|place| new.contains(&place.record.id))
            .copied()
            .collect();
        sql::token_usages(tx.conn(), &new).await?;
        sql::prompts(tx.conn(), &new).await?;
        sql::tool_usages(tx.conn(), &new).await?;
        sql::model_thoughts(tx.conn(), &new).await?;
        tx.commit().await?;
        Ok(new.len() as u64)
    }
}

/// A replica names itself, but it can't pass for one that attached with another key.
async fn own_id(
    conn: Conn<'_>,
    stamp: ReplicaStamp,
    gateway_key: Option<GatewayKeyId>,
) -> Result<Option<ReplicaId>, StoreError> {
    let Some(id) = stamp.replica_id else { return Ok(None) };
    let key = replicas::key_of(conn, id).await?;
    Ok((key.is_none() || key == gateway_key).then_some(id))
}

/// Finds each record's user; each id once, oldest first.
fn place<'r>(
    records: &'r [Arc<InterceptionRecord>],
    tokens: &HashMap<[u8; 32], (TokenId, UserId)>,
) -> (Vec<Placed<'r>>, Vec<(InterceptionId, String)>) {
    let mut rejected = Vec::new();
    let mut seen = HashSet::new();
    let mut placed = Vec::with_capacity(records.len());
    for record in records.iter().filter(|record| seen.insert(record.id)) {
        match tokens.get(record.token_hash.as_bytes()) {
            Some((token, user)) => placed.push(Placed {
                record,
                token: *token,
                user: *user,
                session: record.id.as_uuid(),
                parent: None,
            }),
            None => rejected.push((
                record.id,
                "it came with a token that this deployment does not know".to_owned(),
            )),
        }
    }
    placed.sort_by_key(|place| (place.record.started_at, place.record.id));
    (placed, rejected)
}

/// The call whose result this record brings back; empty ids, which some servers give, link nothing.
fn parent_call(place: &Placed<'_>) -> Option<(UserId, String)> {
    let call = place
        .record
        .thread_parent_tool_call_id
        .as_deref()
        .filter(|call| !call.is_empty())?;
    Some((place.user, sql::tool_call_id(call)))
}

fn wanted_parents(placed: &[Placed<'_>]) -> HashSet<(UserId, String)> {
    placed.iter().filter_map(parent_call).collect()
}

/// Links each record to the newest that asked for its tool call, on record already or earlier in this batch; then names its session.
fn link_threads(placed: &mut [Placed<'_>], mut known: HashMap<(UserId, String), ThreadLink>) {
    for place in placed {
        let id = place.record.id;
        // A record delivered again would find itself.
        place.parent = parent_call(place)
            .and_then(|call| known.get(&call).copied())
            .filter(|(parent, _)| *parent != id);
        let root = place.parent.map_or(id, |(_, root)| root);
        place.session = match place
            .record
            .client_session_id
            .as_deref()
            .filter(|session| !session.is_empty())
        {
            Some(session) => session_id(place.user, &place.record.client, session),
            None => root.as_uuid(),
        };
        for usage in &place.record.tool_usages {
            known.insert((place.user, sql::tool_call_id(&usage.tool_call_id)), (id, root));
        }
    }
}

/// One UUID for one session of one client program of one user.
fn session_id(user: UserId, client: &str, session: &str) -> Uuid {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(user.as_uuid().as_bytes());
    hash.update(&u64::try_from(client.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(client.as_bytes());
    hash.update(session.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finish().as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
