//! Audit entries that the control plane writes on its own account: what replicas do. What users do is written by the store,
//! in the transaction of the deed itself.

use crate::state::failed_auth::Failure;
use crate::state::key_cache::KeySession;
use lychgate_authz::{Caller, Resource};
use lychgate_store::{AuditInsert, AuditOutcome};
use lychgate_types::ReplicaId;

/// The control plane writes the entry; the request is that of the replica's call.
pub(crate) fn caller(of: &Caller) -> Caller {
    Caller {
        request_id: of.request_id,
        ..Caller::control_plane()
    }
}

/// A replica attached or detached.
pub(crate) fn replica(action: &str, session: &KeySession, replica: ReplicaId) -> AuditInsert {
    AuditInsert {
        action: action.to_owned(),
        resource_type: Resource::AiGatewayKey,
        target_id: Some(session.key_id.as_uuid()),
        target_name: Some(session.name.clone()),
        target_prefix: Some(session.prefix.clone()),
        outcome: AuditOutcome::Ok,
        detail: Some(format!("replica {replica}")),
    }
}

/// Failed authentications, equal ones counted together.
pub(crate) fn refused(failure: Failure, count: u64) -> AuditInsert {
    let source = failure.source.map_or_else(
        || "several or unknown addresses".to_owned(),
        |source| source.to_string(),
    );
    AuditInsert {
        action: "refuse".to_owned(),
        resource_type: Resource::AiGatewayKey,
        target_id: None,
        target_name: None,
        target_prefix: failure.prefix,
        outcome: AuditOutcome::Denied,
        detail: Some(format!(
            "{} from {source}: {count} since the last report",
            failure.reason
        )),
    }
}
