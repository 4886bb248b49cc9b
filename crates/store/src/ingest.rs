//! Taking in what replicas deliver: whole batches, each in one transaction, the same record any number of times.

use crate::{Store, StoreError};
use lychgate_authz::Caller;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::{InterceptionId, ReplicaId};
use std::sync::Arc;

/// Which replica delivers; stamped on its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicaStamp {
    /// As it introduced itself.
    pub replica_id: Option<ReplicaId>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Records that can never be taken, with the reason.
    pub rejected: Vec<(InterceptionId, String)>,
}

impl Store {
    /// Takes a batch in. After `Ok`, all but the rejected records are on the books; those that were there already are left as
    /// they are. The gateway key on the records is the caller's own.
    pub async fn interception_ingest(&self, caller: &Caller, stamp: ReplicaStamp, records: &[Arc<InterceptionRecord>]) -> Result<IngestReport, StoreError> {
        todo!()
    }
}
