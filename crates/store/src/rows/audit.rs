//! Entries of the audit log.

use crate::name_or_id::NameOrId;
use lychgate_authz::Resource;
use lychgate_types::{AuditEntryId, Id, RequestId, Timestamp, TokenId};
use std::collections::BTreeMap;
use uuid::Uuid;

lychgate_types::text_enum! {
    /// What came of an action.
    AuditOutcome {
        /// It was done.
        Ok = "ok",
        /// It was not allowed.
        Denied = "denied",
        /// It was allowed but could not be done.
        Failed = "failed",
    }
}

lychgate_types::text_enum! {
    /// What kind of principal acted.
    ActorKind {
        /// A user, by a token.
        User = "user",
        /// A replica, by a gateway key.
        Replica = "replica",
        /// The control plane on its own account.
        ControlPlane = "control_plane",
    }
}

/// What the product writes as [`AuditEntry::action`]. A filter may name each of them, also where nothing of the kind has happened yet.
pub(crate) const ACTIONS: [&str; 11] = [
    "create", "update", "delete", "rotate", "suspend", "activate", "revoke", "drain", "attach", "detach", "refuse",
];

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditEntryId,
    /// When.
    pub created_at: Timestamp,
    /// What kind of principal acted.
    pub actor_kind: ActorKind,
    /// The user's or gateway key's id; `None` for the control plane.
    pub actor_id: Option<Uuid>,
    /// The name of the user or gateway key at that time.
    pub actor_name: Option<String>,
    /// The token that the user acted by.
    pub actor_token_id: Option<TokenId>,
    /// For example `create`.
    pub action: String,
    /// For example `ai_gateway_key`.
    pub resource_type: Resource,
    /// The target of the action.
    pub target_id: Option<Uuid>,
    /// Its name at that time.
    pub target_name: Option<String>,
    /// The public prefix of that credential.
    pub target_prefix: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// More, in words.
    pub detail: Option<String>,
    /// What the action changed.
    pub change: AuditChange,
    /// In which request; `None` for work that no request caused.
    pub request_id: Option<RequestId>,
}

/// The fields of a row that an action changed, with their values as texts, cut where they are long. A field that is missing on one
/// side was not set before, or is not set any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditChange {
    /// What they were.
    pub before: BTreeMap<String, String>,
    /// What they became.
    pub after: BTreeMap<String, String>,
}

/// An entry to be written; actor, time and request come from the caller and the clock. Long texts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditInsert {
    /// For example `attach`.
    pub action: String,
    /// To what kind of thing.
    pub resource_type: Resource,
    /// To which one.
    pub target_id: Option<Uuid>,
    /// Its name.
    pub target_name: Option<String>,
    /// Its public prefix, for credentials.
    pub target_prefix: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// More, in words.
    pub detail: Option<String>,
}

/// Which entries are wanted; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// About this kind of thing.
    pub resource_type: Option<Resource>,
    /// Of this action.
    pub action: Option<String>,
    /// Only those of this actor, by id or name.
    pub actor: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// What an entry is about, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditTarget {
    pub(crate) id: Option<Uuid>,
    pub(crate) name: Option<String>,
    /// A credential's public prefix.
    pub(crate) prefix: Option<String>,
}

impl AuditTarget {
    pub(crate) fn new(id: impl Id, name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..Self::id(id)
        }
    }

    pub(crate) fn id(id: impl Id) -> Self {
        Self {
            id: Some(id.as_uuid()),
            ..Self::default()
        }
    }

    pub(crate) fn with_prefix(self, prefix: &str) -> Self {
        Self {
            prefix: Some(prefix.to_owned()),
            ..self
        }
    }
}

impl<I: Id> From<&NameOrId<I>> for AuditTarget {
    /// As the caller named it.
    fn from(named: &NameOrId<I>) -> Self {
        match named.id() {
            Some(id) => Self::id(id),
            None => Self {
                name: Some(named.name().to_owned()),
                ..Self::default()
            },
        }
    }
}
