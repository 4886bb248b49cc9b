//! The question "may this caller do that", asked before anything is read, and again about each row that a look-up finds.
//!
//! A look-up by id or name gives a [`Found`]. The row in it can be reached in one way, for an action, and only by a caller who
//! may do that to it. Not here: what the audit log says of a refusal (`mutation`).

use crate::error::StoreError;
use crate::facts::{self, Facts};
use crate::rows::ai_gateway_keys::GatewayKey;
use crate::rows::audit::AuditTarget;
use crate::rows::interceptions::InterceptionSummary;
use crate::rows::providers::Provider;
use crate::rows::replicas::Replica;
use crate::rows::routes::Route;
use crate::rows::tokens::Token;
use crate::rows::users::User;
use lychgate_authz::{Action, Caller, Denial, Principal, Resource, Target, authorise};
use lychgate_types::UserId;
use std::ops::Deref;
use uuid::Uuid;

/// A row that callers look up by id or name. It belongs to no user, unless its type says to whom.
pub(crate) trait Guarded {
    const RESOURCE: Resource;
    /// What a row that is not there counts as. For rows that belong to users: another user's, so that no answer tells callers
    /// whether a row exists that they may not know of.
    const ABSENT: Target = Target::Shared;

    /// What an action on this row is aimed at.
    fn target(&self) -> Target {
        Target::Shared
    }

    /// How the audit log names it.
    fn audited(&self) -> AuditTarget;

    /// What the audit log tells of it before and after a change.
    fn facts(&self) -> Facts {
        Facts::new()
    }

    /// The same of one that is not there.
    fn facts_of_none() -> Facts {
        Facts::new()
    }
}

const ANOTHER_USERS: Target = Target::OwnedBy(UserId::from_uuid(Uuid::nil()));

impl Guarded for GatewayKey {
    const RESOURCE: Resource = Resource::AiGatewayKey;

    fn audited(&self) -> AuditTarget {
        AuditTarget::new(self.id, &self.name).with_prefix(&self.secret_prefix)
    }

    fn facts(&self) -> Facts {
        facts::of_key(self)
    }
}

impl Guarded for Provider {
    const RESOURCE: Resource = Resource::Provider;

    fn audited(&self) -> AuditTarget {
        AuditTarget::new(self.id, &self.name)
    }

    fn facts(&self) -> Facts {
        facts::of_provider(self)
    }

    fn facts_of_none() -> Facts {
        facts::of_no_provider()
    }
}

impl Guarded for Replica {
    const RESOURCE: Resource = Resource::Replica;

    fn audited(&self) -> AuditTarget {
        AuditTarget::new(self.id, &self.info.name)
    }
}

impl Guarded for Route {
    const RESOURCE: Resource = Resource::Route;

    fn audited(&self) -> AuditTarget {
        AuditTarget::new(self.id, &self.name)
    }

    fn facts(&self) -> Facts {
        facts::of_route(self)
    }
}

impl Guarded for InterceptionSummary {
    const RESOURCE: Resource = Resource::Interception;
    const ABSENT: Target = ANOTHER_USERS;

    fn target(&self) -> Target {
        Target::OwnedBy(self.user.id)
    }

    fn audited(&self) -> AuditTarget {
        AuditTarget::id(self.id)
    }
}

impl Guarded for Token {
    const RESOURCE: Resource = Resource::Token;
    const ABSENT: Target = ANOTHER_USERS;

    fn target(&self) -> Target {
        Target::OwnedBy(self.user.id)
    }

    fn audited(&self) -> AuditTarget {
        AuditTarget::new(self.id, &self.name).with_prefix(&self.secret_prefix)
    }

    fn facts(&self) -> Facts {
        facts::of_token(self)
    }
}

impl Guarded for User {
    const RESOURCE: Resource = Resource::User;
    const ABSENT: Target = ANOTHER_USERS;

    fn target(&self) -> Target {
        Target::OwnedBy(self.id)
    }

    fn audited(&self) -> AuditTarget {
        AuditTarget::new(self.id, &self.username)
    }

    fn facts(&self) -> Facts {
        facts::of_user(self)
    }
}

/// What a look-up gave, before anybody has asked who wants it and what for.
#[must_use]
pub(crate) struct Found<R>(Option<R>);

impl<R> Found<R> {
    pub(crate) const fn new(row: Option<R>) -> Self {
        Self(row)
    }
}

impl<R: Guarded> Found<R> {
    /// How the audit log names the row, whether or not the caller may know of it; `None` where there is none.
    pub(crate) fn audited(&self) -> Option<AuditTarget> {
        self.0.as_ref().map(R::audited)
    }

    /// The row, if the caller may do this to it.
    pub(crate) fn for_action(self, caller: &Caller, action: Action) -> Result<Authorised<R>, StoreError> {
        self.for_resource(caller, action, R::RESOURCE)
    }

    fn for_resource(self, caller: &Caller, action: Action, resource: Resource) -> Result<Authorised<R>, StoreError> {
        let target = self.0.as_ref().map_or(R::ABSENT, R::target);
        authorise(&caller.principal, action, resource, target)?;
        self.0.map(Authorised).ok_or(StoreError::NotFound)
    }
}

impl Found<User> {
    /// The user, if the caller may do this to what the user owns.
    pub(crate) fn owner_for(
        self,
        caller: &Caller,
        action: Action,
        owned: Resource,
    ) -> Result<Authorised<User>, StoreError> {
        self.for_resource(caller, action, owned)
    }
}

/// A row with which the caller may do what it was found for. Statements that change or delete one row take this.
pub(crate) struct Authorised<R>(R);

impl<R> Authorised<R> {
    pub(crate) fn into_row(self) -> R {
        self.0
    }
}

impl<R> Deref for Authorised<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

/// Whether there is a reason to look a row up: the caller may do this to some such row, or has rows of its own, whose refusal is
/// another one. If not, the refusal that another user's row would get.
pub(crate) fn may<R: Guarded>(caller: &Caller, action: Action) -> Result<(), Denial> {
    let to = |target| authorise(&caller.principal, action, R::RESOURCE, target);
    to(R::ABSENT).or_else(|denial| match caller.principal.user_id() {
        Some(user) if R::ABSENT == ANOTHER_USERS && to(Target::OwnedBy(user)) != Err(denial) => Ok(()),
        _ => Err(denial),
    })
}

/// For what no user ever sees, sealed secrets: only the control plane and replicas.
pub(crate) fn no_user(caller: &Caller) -> Result<(), Denial> {
    match caller.principal {
        Principal::User(_) => Err(Denial::Forbidden),
        Principal::Replica { .. } | Principal::ControlPlane => Ok(()),
    }
}

/// For what stays among control planes.
pub(crate) fn only_control_plane(caller: &Caller) -> Result<(), Denial> {
    match caller.principal {
        Principal::ControlPlane => Ok(()),
        Principal::User(_) | Principal::Replica { .. } => Err(Denial::Forbidden),
    }
}

/// For what replicas may only ask about one by one, by a hash that a client presented.
pub(crate) fn no_replica(caller: &Caller) -> Result<(), Denial> {
    match caller.principal {
        Principal::Replica { .. } => Err(Denial::Forbidden),
        Principal::User(_) | Principal::ControlPlane => Ok(()),
    }
}
