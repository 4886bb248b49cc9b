//! Taking in what replicas deliver: whole batches, the same record any number of times.
//!
//! What a batch refers to is looked up first, for all of it together; then it is written by several transactions at once, which
//! need not know of each other. So one replica with a full spool keeps more than one core of the database busy. A batch of
//! which a part fails is delivered again, and what is there already is left as it is.

use crate::connect::Store;
use crate::engine::{Conn, is_about_values};
use crate::error::StoreError;
use crate::interceptions::identity::{Known, place};
use crate::rows::interceptions::{Deliverer, KnownCalls, Placed, ReplicaStamp, ThreadLink};
use crate::sql::interceptions::ingest as sql;
use crate::sql::{replicas, stored_objects};
use crate::tokens::grants::gateway_key;
use aws_lc_rs::digest;
use futures_util::future::join_all;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::{GatewayKeyId, InterceptionId, UserId};
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
    /// Records that are stored under another id than the one they were delivered under (first), because another gateway key has
    /// delivered another record under that.
    pub displaced: Vec<(InterceptionId, InterceptionId)>,
    /// What the database said of those among them that it does not hold, for the log.
    pub errors: Vec<(InterceptionId, StoreError)>,
}

impl IngestReport {
    pub(super) fn reject(&mut self, id: InterceptionId, reason: &str) {
        self.rejected.push((id, reason.to_owned()));
    }
}

/// Fewer records than this are written by one transaction: its beginning and end cost as much as some hundred of them.
const LEAST_PART: usize = 256;

const NOT_HELD: &str = "the control plane's database can't hold it; the control plane's log says why";

/// Who delivers.
#[derive(Clone, Copy)]
struct Delivery {
    gateway_key: Option<GatewayKeyId>,
    stamp: ReplicaStamp,
}

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
        let gateway_key = gateway_key(caller);
        let from = Delivery { gateway_key, stamp };
        let mut report = IngestReport::default();
        let (ends, begun): (Vec<_>, Vec<_>) = records.iter().cloned().partition(|record| record.completes);
        let mut unsettled = Vec::new();
        // Whatever is not taken is halved until what can't be taken stands alone.
        let mut parts = vec![&begun[..]];
        while let Some(part) = parts.pop() {
            match Box::pin(self.take_in(part, from, &mut report)).await {
                Ok(mut rest) => unsettled.append(&mut rest),
                Err(error) if !is_about_values(&error) => return Err(error),
                Err(error) => match part {
                    [] => {}
                    [poison] => {
                        report.reject(poison.id, NOT_HELD);
                        report.errors.push((poison.id, error));
                    }
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        // Somebody else was faster with these ids: by now it is there to see with what.
        if !unsettled.is_empty() {
            Box::pin(self.take_in(&unsettled, from, &mut report)).await?;
        }
        // What they complete may stand in the same batch.
        for end in &ends {
            match Box::pin(self.take_end(end, from, &mut report)).await {
                Err(error) if is_about_values(&error) => {
                    report.reject(end.id, NOT_HELD);
                    report.errors.push((end.id, error));
                }
                taken => taken?,
            }
        }
        report.known = (records.len() - report.rejected.len()) as u64 - report.new;
        Ok(report)
    }

    /// Gives those under whose ids something appeared meanwhile, and adds to the report, even if it fails at other records.
    async fn take_in(
        &self,
        records: &[Arc<InterceptionRecord>],
        from: Delivery,
        report: &mut IngestReport,
    ) -> Result<Vec<Arc<InterceptionRecord>>, StoreError> {
        let mut held = self.engine.read().await?;
        let from = deliverer(held.conn(), from).await?;
        let now = self.now();
        let known = Known::look_up(&mut held, records, from, now).await?;
        let (mut placed, rejected) = place(records, &known, from.gateway_key, now);
        let wanted = wanted_parents(&placed);
        let parents = sql::parents(held.conn(), &wanted).await?;
        let wanted = placed.iter().filter_map(parent_response).collect();
        let makers = sql::makers(held.conn(), wanted).await?;
        drop(held);
        link_threads(&mut placed, parents, makers);
        // Two deliveries of the same records wait for each other; in one order, so that they can't wait in a circle.
        placed.sort_unstable_by_key(|place| place.id);
        let part = placed.len().div_ceil(self.engine.writers()).max(LEAST_PART);
        let writing = placed.chunks(part).map(|part| self.write(part, from));
        // All are waited for, whatever becomes of the first.
        let (mut done, mut new) = (Ok(()), HashSet::new());
        for written in join_all(writing).await {
            match written {
                Ok(ids) => new.extend(ids),
                Err(error) => done = Err(error),
            }
        }
        report.new += new.len() as u64;
        let is_new = |place: &Placed<'_>| new.contains(&place.id);
        report.displaced.extend(
            placed
                .iter()
                .filter(|place| is_new(place) && place.id != place.record.id)
                .map(|place| (place.record.id, place.id)),
        );
        done?;
        report.rejected.extend(rejected);
        let unsettled: HashSet<_> = placed
            .iter()
            .filter(|place| !is_new(place))
            .map(|place| place.record.id)
            .collect();
        let again = records.iter().filter(|record| unsettled.contains(&record.id));
        Ok(again.cloned().collect())
    }

    async fn take_end(
        &self,
        end: &Arc<InterceptionRecord>,
        from: Delivery,
        report: &mut IngestReport,
    ) -> Result<(), StoreError> {
        let from = deliverer(self.engine.read().await?.conn(), from).await?;
        self.complete(end, from, report).await
    }

    /// Writes records that are not there yet, in one transaction; gives which they were.
    async fn write(&self, placed: &[Placed<'_>], from: Deliverer) -> Result<HashSet<InterceptionId>, StoreError> {
        let mut tx = self.engine.begin().await?;
        let ids = sql::interceptions(tx.conn(), placed, from.gateway_key, from.replica).await?;
        let new: Vec<_> = placed.iter().filter(|place| ids.contains(&place.id)).copied().collect();
        sql::token_usages(tx.conn(), &new).await?;
        sql::prompts(tx.conn(), &new).await?;
        sql::tool_usages(tx.conn(), &new).await?;
        sql::model_thoughts(tx.conn(), &new).await?;
        sql::stored_objects(tx.conn(), &new).await?;
        tx.commit().await?;
        Ok(ids)
    }
}

/// A replica names itself, but it can't pass for one whose secret it does not show.
async fn deliverer(conn: Conn<'_>, from: Delivery) -> Result<Deliverer, StoreError> {
    let Delivery { gateway_key, stamp } = from;
    let replica = match stamp.replica_id {
        Some(id) => replicas::is_own(conn, id, stamp.process, gateway_key)
            .await?
            .then_some(id),
        None => None,
    };
    Ok(Deliverer { gateway_key, replica })
}

/// The call whose result this record brings back; empty ids, which some servers give, link nothing.
fn parent_call(place: &Placed<'_>) -> Option<String> {
    let call = place
        .record
        .thread_parent_tool_call_id
        .as_deref()
        .filter(|call| !call.is_empty())?;
    Some(sql::tool_call_id(call))
}

/// The response that this record's goes on from, as one of its user's.
fn parent_response(place: &Placed<'_>) -> Option<(UserId, Vec<u8>)> {
    let response = place.record.thread_parent_response_id.as_deref()?;
    Some((place.user, stored_objects::hash(response)))
}

fn wanted_parents(placed: &[Placed<'_>]) -> HashSet<(UserId, String, Uuid)> {
    let wanted = |place: &Placed<'_>| {
        Some((
            place.user,
            parent_call(place)?,
            client_session(place).unwrap_or_default(),
        ))
    };
    placed.iter().filter_map(wanted).collect()
}

/// The session that the client itself names.
fn client_session(place: &Placed<'_>) -> Option<Uuid> {
    let session = place
        .record
        .client_session_id
        .as_deref()
        .filter(|session| !session.is_empty())?;
    Some(session_id(place.user, &place.record.client, session))
}

/// Links each record to the one whose response it goes on from, else to the newest that asked for its tool call, in its client's
/// session if there is one, on record already or earlier in this batch; then names its session.
fn link_threads(placed: &mut [Placed<'_>], mut known: KnownCalls, mut makers: HashMap<(UserId, Vec<u8>), ThreadLink>) {
    for place in placed {
        let id = place.id;
        // A record delivered again would find itself.
        let session = client_session(place);
        let by_call = || known.find(place.user, parent_call(place)?, session.unwrap_or_default());
        place.parent = parent_response(place)
            .and_then(|response| makers.get(&response).copied())
            .or_else(by_call)
            .filter(|(parent, _)| *parent != id);
        let root = place.parent.map_or(id, |(_, root)| root);
        place.session = session.unwrap_or(root.as_uuid());
        if let Some(object) = &place.record.stored_object {
            makers.insert((place.user, stored_objects::hash(object)), (id, root));
        }
        for usage in &place.record.tool_usages {
            let call = sql::tool_call_id(&usage.tool_call_id);
            known.add(place.user, call, place.session, (id, root));
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
