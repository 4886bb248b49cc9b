//! Taking in what replicas deliver: whole batches, each in one transaction, the same record any number of times.

use crate::engine::{Tx, is_about_values};
use crate::sql::ingest as sql;
use crate::sql::ingest::ThreadLink;
use crate::sql::replicas;
use crate::{Store, StoreError};
use aws_lc_rs::digest;
use lychgate_authz::{Action, Caller, Principal, Resource, Target, authorise};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::{GatewayKeyId, InterceptionId, ReplicaId, TokenId, UserId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Which replica delivers; stamped on its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicaStamp {
    /// As it introduced itself.
    pub replica_id: Option<ReplicaId>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct IngestReport {
    /// Records that are on the books now and were not before.
    pub new: u64,
    /// Records that were on the books before, or stood in the batch twice.
    pub known: u64,
    /// Records that can never be taken, with the reason.
    pub rejected: Vec<(InterceptionId, String)>,
    /// What the database said of those among them that it does not hold, for the log.
    pub errors: Vec<(InterceptionId, StoreError)>,
}

const NOT_HELD: &str = "the control plane's database can't hold it; the control plane's log says why";

impl Store {
    /// Takes a batch in. After `Ok`, all but the rejected records are on the books; those that were there already are left as
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
            match self.take_in(part, gateway_key, stamp).await {
                Ok(mut done) => {
                    report.new += done.new;
                    report.known += done.known;
                    report.rejected.append(&mut done.rejected);
                }
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
        Ok(report)
    }

    async fn take_in(
        &self,
        records: &[Arc<InterceptionRecord>],
        gateway_key: Option<GatewayKeyId>,
        stamp: ReplicaStamp,
    ) -> Result<IngestReport, StoreError> {
        let mut tx = self.engine.begin().await?;
        let replica = own_id(&mut tx, stamp, gateway_key).await?;
        let hashes = records.iter().map(|record| record.token_hash).collect();
        let tokens = sql::tokens(tx.conn(), &hashes).await?;
        let (mut placed, mut report) = place(records, &tokens);
        let parents = sql::parents(tx.conn(), &wanted_parents(&placed)).await?;
        link_threads(&mut placed, parents);
        // Two deliveries of the same records wait for each other; in one order, so that they can't wait in a circle.
        placed.sort_unstable_by_key(|place| place.record.id);
        let new = sql::interceptions(tx.conn(), &placed, gateway_key, replica).await?;
        placed.retain(|place| new.contains(&place.record.id));
        sql::token_usages(tx.conn(), &placed).await?;
        sql::prompts(tx.conn(), &placed).await?;
        sql::tool_usages(tx.conn(), &placed).await?;
        sql::model_thoughts(tx.conn(), &placed).await?;
        tx.commit().await?;
        report.new = placed.len() as u64;
        report.known = (records.len() - placed.len() - report.rejected.len()) as u64;
        Ok(report)
    }
}

/// A replica names itself, but it can't pass for one that came in by another key.
async fn own_id(
    tx: &mut Tx,
    stamp: ReplicaStamp,
    gateway_key: Option<GatewayKeyId>,
) -> Result<Option<ReplicaId>, StoreError> {
    let Some(id) = stamp.replica_id else { return Ok(None) };
    let key = replicas::key_of(tx.conn(), id).await?;
    Ok((key.is_none() || key == gateway_key).then_some(id))
}

/// A record with what the control plane knows of it.
pub(crate) struct Placed<'r> {
    pub(crate) record: &'r InterceptionRecord,
    pub(crate) token: TokenId,
    pub(crate) user: UserId,
    pub(crate) session: Uuid,
    pub(crate) parent: Option<ThreadLink>,
}

/// Finds each record's user; each id once, oldest first.
fn place<'r>(
    records: &'r [Arc<InterceptionRecord>],
    tokens: &HashMap<[u8; 32], (TokenId, UserId)>,
) -> (Vec<Placed<'r>>, IngestReport) {
    let mut report = IngestReport::default();
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
            None => report.rejected.push((
                record.id,
                "it came with a token that this deployment does not know".to_owned(),
            )),
        }
    }
    placed.sort_by_key(|place| (place.record.started_at, place.record.id));
    (placed, report)
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
