//! Refused changes on their way into the audit log: the first ones of a caller are written one by one, what follows within the same
//! minute is counted and written as one entry. So nobody fills the log by asking for what is refused.
//!
//! Not here: what is refused, and the entry itself (`mutation`).

use crate::rows::audit::{AuditInsert, AuditOutcome};
use lychgate_authz::{Caller, Principal, Resource};
use lychgate_types::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// So many refusals of one caller, action and resource are written one by one.
pub(crate) const WRITTEN: u64 = 10;
/// For so long the rest is counted.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);
/// So many are counted apart; those beyond are counted together.
pub(crate) const COUNTED: usize = 4096;

/// Who was refused what.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    /// The user or the gateway key; `None`: the control plane.
    actor: Option<Uuid>,
    verb: String,
    resource: Resource,
}

struct Count {
    since: Timestamp,
    refused: u64,
    /// The last one.
    caller: Caller,
}

/// The refusals of the last minute.
#[derive(Default)]
pub(crate) struct Denials(Mutex<HashMap<Kind, Count>>);

impl std::fmt::Debug for Denials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Denials")
    }
}

/// What was counted and is yet to be written.
pub(crate) type Rest = (Caller, AuditInsert);

impl Denials {
    /// Notes a refusal; whether it is to be written by itself.
    pub(crate) fn note(&self, caller: &Caller, entry: &AuditInsert, now: Timestamp) -> bool {
        let mut kind = Kind {
            actor: match &caller.principal {
                Principal::User(user) => Some(user.user_id.as_uuid()),
                Principal::Replica { gateway_key_id } => Some(gateway_key_id.as_uuid()),
                Principal::ControlPlane => None,
            },
            verb: entry.action.clone(),
            resource: entry.resource_type,
        };
        let mut counts = self.0.lock();
        let mut caller = caller.clone();
        if counts.len() >= COUNTED && !counts.contains_key(&kind) {
            (kind.actor, kind.verb) = (None, "various".to_owned());
            caller.principal = Principal::ControlPlane;
        }
        let count = counts.entry(kind).or_insert_with(|| Count {
            since: now,
            refused: 0,
            caller: caller.clone(),
        });
        count.refused += 1;
        count.caller = caller;
        count.refused <= WRITTEN
    }

    /// Takes what was counted in minutes that are over, or (`all`) so far.
    pub(crate) fn take(&self, now: Timestamp, all: bool) -> Vec<Rest> {
        let mut rest = Vec::new();
        self.0.lock().retain(|kind, count| {
            if !all && now < count.since.plus(PERIOD) {
                return true;
            }
            if let Some(more) = count.refused.checked_sub(WRITTEN).filter(|more| *more > 0) {
                rest.push((count.caller.clone(), summary(kind, more)));
            }
            false
        });
        rest
    }
}

fn summary(kind: &Kind, more: u64) -> AuditInsert {
    AuditInsert {
        action: kind.verb.clone(),
        resource_type: kind.resource,
        target_id: None,
        target_name: None,
        target_prefix: None,
        outcome: AuditOutcome::Denied,
        detail: Some(format!("{more} more within a minute")),
    }
}
