//! The question "may this caller do that", asked before every query; what it refuses to a change is written down.

use crate::connect::Store;
use crate::error::StoreError;
use crate::rows::audit::{AuditInsert, AuditOutcome};
use lychgate_authz::{Action, Caller, Denial, Principal, Resource, Target, authorise};
use lychgate_types::{Timestamp, UserId};
use uuid::Uuid;

/// What an audit entry says of a change, whatever comes of it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) action: &'static str,
    pub(crate) resource: Resource,
    pub(crate) id: Option<Uuid>,
    pub(crate) name: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) detail: Option<String>,
}

impl Event {
    /// An event about a thing of which only the kind is known so far.
    pub(crate) const fn new(action: &'static str, resource: Resource) -> Self {
        Self {
            action,
            resource,
            id: None,
            name: None,
            prefix: None,
            detail: None,
        }
    }

    /// Which thing.
    pub(crate) fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Its name.
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// A credential's public prefix.
    pub(crate) fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// More, in words, for when it is done.
    pub(crate) fn detail(mut self, words: String) -> Self {
        self.detail = Some(words);
        self
    }

    /// The entry for one outcome.
    pub(crate) fn entry(&self, outcome: AuditOutcome, detail: Option<String>) -> AuditInsert {
        AuditInsert {
            action: self.action.to_owned(),
            resource_type: self.resource,
            target_id: self.id,
            target_name: self.name.clone(),
            target_prefix: self.prefix.clone(),
            outcome,
            detail,
        }
    }
}

impl Store {
    /// Authorises a change. A refusal is in the audit log before the caller hears of it.
    pub(crate) async fn admit(
        &self,
        caller: &Caller,
        action: Action,
        target: Target,
        event: &Event,
    ) -> Result<(), StoreError> {
        match authorise(&caller.principal, action, event.resource, target) {
            Ok(()) => Ok(()),
            Err(denial) => self.refused(caller, event, Err(denial.into())).await,
        }
    }

    /// Passes a result on. If a rule or a right refused the change (and its transaction is gone), the audit log is told first.
    pub(crate) async fn refused<T>(
        &self,
        caller: &Caller,
        event: &Event,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let detail = match &result {
            Err(StoreError::Denied(_)) => None,
            Err(StoreError::Rule(rule)) => Some(rule.to_string()),
            _ => return result,
        };
        let mut held = self.engine.write().await?;
        let entry = event.entry(AuditOutcome::Denied, detail);
        crate::sql::audit::insert(held.conn(), caller, self.ambient.new_id(), self.now(), &entry).await?;
        result
    }
}

/// What the caller itself owns: whoever may not even do this to its own things may do it to none.
pub(crate) fn own(caller: &Caller) -> Target {
    caller.principal.user_id().map_or(Target::Shared, Target::OwnedBy)
}

/// For what no user ever sees, sealed secrets: only the control plane and replicas.
pub(crate) fn no_user(caller: &Caller) -> Result<(), Denial> {
    match caller.principal {
        Principal::User(_) => Err(Denial::Forbidden),
        Principal::Replica { .. } | Principal::ControlPlane => Ok(()),
    }
}

/// For what stays among control planes.
pub(crate) fn only_the_plane(caller: &Caller) -> Result<(), Denial> {
    match caller.principal {
        Principal::ControlPlane => Ok(()),
        Principal::User(_) | Principal::Replica { .. } => Err(Denial::Forbidden),
    }
}

/// For what replicas may only ask about one by one, by a hash that somebody showed them.
pub(crate) fn no_replica(caller: &Caller) -> Result<(), Denial> {
    match caller.principal {
        Principal::Replica { .. } => Err(Denial::Forbidden),
        Principal::User(_) | Principal::ControlPlane => Ok(()),
    }
}

/// An id or a name, whichever the text is.
pub(crate) fn id_or_name(text: &str) -> (Option<Uuid>, String) {
    let id = text.parse::<UserId>().ok().map(UserId::as_uuid);
    (id, text.to_ascii_lowercase())
}

/// A LIKE pattern that finds `part` anywhere in a name.
pub(crate) fn containing(part: Option<&str>) -> Option<String> {
    let mut pattern = String::from("%");
    for character in part?.to_ascii_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Some(pattern)
}

/// When a remembered answer is forgotten.
pub(crate) fn in_an_hour(now: Timestamp) -> Timestamp {
    now.plus(std::time::Duration::from_secs(3600))
}
