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
    /// Those among them, and of a time before, that are yet to be written because the database could not be.
    carried: u64,
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
pub(crate) struct Rest {
    kind: Kind,
    since: Timestamp,
    more: u64,
    /// Who was refused last.
    pub(crate) caller: Caller,
}

impl Rest {
    /// The entry that tells it.
    pub(crate) fn entry(&self) -> AuditInsert {
        summary(&self.kind, self.more)
    }
}

impl Denials {
    /// Notes a refusal; whether it is to be written by itself.
    pub(crate) fn note(&self, caller: &Caller, entry: &AuditInsert, now: Timestamp) -> bool {
        let mut counts = self.0.lock();
        let count = counting(&mut counts, Kind::of(caller, entry), caller.clone(), now);
        count.refused += 1;
        count.refused <= WRITTEN
    }

    /// One that was to be written by itself could not be: it is counted with the rest.
    pub(crate) fn carry(&self, caller: &Caller, entry: &AuditInsert, now: Timestamp) {
        let mut counts = self.0.lock();
        counting(&mut counts, Kind::of(caller, entry), caller.clone(), now).carried += 1;
    }

    /// Takes what was counted in minutes that are over, or (`all`) so far.
    pub(crate) fn take(&self, now: Timestamp, all: bool) -> Vec<Rest> {
        let over = |_: &Kind, count: &mut Count| all || now >= count.since.plus(PERIOD);
        let taken = self.0.lock().extract_if(over).collect::<Vec<_>>();
        let rest = taken.into_iter().map(|(kind, count)| Rest {
            kind,
            since: count.since,
            more: count.carried + count.refused.saturating_sub(WRITTEN),
            caller: count.caller,
        });
        rest.filter(|rest| rest.more > 0).collect()
    }

    /// Takes back what could not be written.
    pub(crate) fn put_back(&self, rest: Vec<Rest>) {
        let mut counts = self.0.lock();
        for rest in rest {
            counting(&mut counts, rest.kind, rest.caller, rest.since).carried += rest.more;
        }
    }
}

impl Kind {
    fn of(caller: &Caller, entry: &AuditInsert) -> Self {
        Self {
            actor: match &caller.principal {
                Principal::User(user) => Some(user.user_id.as_uuid()),
                Principal::Replica { gateway_key_id } => Some(gateway_key_id.as_uuid()),
                Principal::ControlPlane => None,
            },
            verb: entry.action.clone(),
            resource: entry.resource_type,
        }
    }
}

/// The count of this kind, or the one of all that are beyond the bound.
fn counting(counts: &mut HashMap<Kind, Count>, mut kind: Kind, mut caller: Caller, since: Timestamp) -> &mut Count {
    if counts.len() >= COUNTED && !counts.contains_key(&kind) {
        (kind.actor, kind.verb) = (None, "various".to_owned());
        caller.principal = Principal::ControlPlane;
    }
    let count = counts.entry(kind).or_insert_with(|| Count {
        since,
        refused: 0,
        carried: 0,
        caller: caller.clone(),
    });
    count.caller = caller;
    count
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_counted_on() {
        let (denials, caller) = (Denials::default(), Caller::control_plane());
        let entry = summary(
            &Kind {
                actor: None,
                verb: "delete".into(),
                resource: Resource::User,
            },
            0,
        );
        let at = Timestamp::from_micros(0);
        let refuse = |count: u64| (0..count).filter(|_| denials.note(&caller, &entry, at)).count();
        let told = |rest: &[Rest]| -> Vec<_> { rest.iter().filter_map(|rest| rest.entry().detail).collect() };
        assert_eq!(refuse(WRITTEN + 5), 10, "the first ones are written one by one");
        assert!(denials.take(at, false).is_empty(), "the minute is not over");
        let rest = denials.take(at, true);
        assert_eq!(told(&rest), ["5 more within a minute"]);
        denials.put_back(rest);
        assert_eq!(refuse(WRITTEN + 2), 10);
        assert_eq!(told(&denials.take(at, true)), ["7 more within a minute"]);
        assert!(denials.take(at, true).is_empty());
        // One of the first ones could not be written.
        assert_eq!(refuse(1), 1);
        denials.carry(&caller, &entry, at);
        assert_eq!(told(&denials.take(at, true)), ["1 more within a minute"]);
    }
}
