//! From the table to a yes or no.

use crate::policy::{Action, Reach, Resource, reach};
use crate::principal::Principal;
use lychgate_types::UserId;

/// What an action is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The collection as such: everybody knows that it exists.
    Collection,
    /// One thing that belongs to no user.
    Shared,
    /// One thing (present or about to be made) that belongs to this user.
    OwnedBy(UserId),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The caller may know of the thing, but not do this.
    Forbidden,
    /// The caller's role may allow it; the scopes of the token in use do not.
    OutOfScope {
        /// What it is to do.
        action: Action,
        /// To what.
        resource: Resource,
    },
    /// The caller may not even know of the thing: say that it is not there.
    Hidden,
}

/// Decides whether `principal` may do `action` to one `resource`.
pub fn authorise(principal: &Principal, action: Action, resource: Resource, target: Target) -> Result<(), Denial> {
    in_scope(principal, action, resource)?;
    if reaches(principal, action, resource, target) {
        Ok(())
    } else if target == Target::Collection || reaches(principal, Action::Read, resource, target) {
        Err(Denial::Forbidden)
    } else {
        Err(Denial::Hidden)
    }
}

/// Decides whether `principal` may list `resource`: all of it (`None`), or only what belongs to one user.
pub fn authorise_list(principal: &Principal, resource: Resource) -> Result<Option<UserId>, Denial> {
    in_scope(principal, Action::Read, resource)?;
    match (narrowed(principal, Action::Read, resource), principal.user_id()) {
        (Reach::Any, _) => Ok(None),
        (Reach::Own, Some(user)) => Ok(Some(user)),
        (Reach::Own, None) | (Reach::None, _) => Err(Denial::Forbidden),
    }
}

fn reaches(principal: &Principal, action: Action, resource: Resource, target: Target) -> bool {
    match narrowed(principal, action, resource) {
        Reach::Any => true,
        Reach::Own => matches!(target, Target::OwnedBy(owner) if principal.user_id() == Some(owner)),
        Reach::None => false,
    }
}

/// As far as both the table and the scopes of the token allow.
fn narrowed(principal: &Principal, action: Action, resource: Resource) -> Reach {
    reach(principal, action, resource).min(scopes_reach(principal, action, resource))
}

fn scopes_reach(principal: &Principal, action: Action, resource: Resource) -> Reach {
    match principal {
        Principal::User(user) => user.scopes.reach(action, resource),
        Principal::Replica { .. } | Principal::ControlPlane => Reach::Any,
    }
}

/// Refuses what the scopes leave out; whether that is the scopes' fault alone is said.
fn in_scope(principal: &Principal, action: Action, resource: Resource) -> Result<(), Denial> {
    match scopes_reach(principal, action, resource) {
        Reach::Own | Reach::Any => Ok(()),
        Reach::None if reach(principal, action, resource) == Reach::None => Err(Denial::Forbidden),
        Reach::None => Err(Denial::OutOfScope { action, resource }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Role, Scopes, UserPrincipal};
    use lychgate_types::{Ambient, TokenId};

    #[test]
    fn strangers_things_are_hidden_known_things_are_forbidden() {
        let ambient = Ambient::system();
        let (me, other): (UserId, UserId) = (ambient.new_id(), ambient.new_id());
        let token_id: TokenId = ambient.new_id();
        let as_role = |role, scopes| {
            Principal::User(UserPrincipal {
                user_id: me,
                token_id,
                role,
                scopes,
            })
        };
        let member = as_role(Role::Member, Scopes::all());
        let read = |p: &Principal, target| authorise(p, Action::Read, Resource::Token, target);
        assert_eq!(read(&member, Target::OwnedBy(me)), Ok(()));
        assert_eq!(read(&member, Target::OwnedBy(other)), Err(Denial::Hidden));
        assert_eq!(
            read(&as_role(Role::Member, Scopes::default()), Target::OwnedBy(me)),
            Err(Denial::OutOfScope {
                action: Action::Read,
                resource: Resource::Token
            })
        );
        let narrow = as_role(Role::Owner, Scopes::from_texts(["token:read:own"]).unwrap());
        assert_eq!(read(&narrow, Target::OwnedBy(me)), Ok(()));
        assert_eq!(read(&narrow, Target::OwnedBy(other)), Err(Denial::Hidden));
        assert_eq!(authorise_list(&narrow, Resource::Token), Ok(Some(me)));
        assert_eq!(
            authorise_list(&as_role(Role::Member, Scopes::default()), Resource::AiGatewayKey),
            Err(Denial::Forbidden),
            "no scope would help"
        );
        let delete_key = |p: &Principal| authorise(p, Action::Delete, Resource::AiGatewayKey, Target::Shared);
        assert_eq!(delete_key(&as_role(Role::Owner, Scopes::all())), Ok(()));
        assert_eq!(
            delete_key(&as_role(Role::Auditor, Scopes::all())),
            Err(Denial::Forbidden)
        );
        assert_eq!(delete_key(&member), Err(Denial::Hidden));
        assert_eq!(authorise_list(&member, Resource::Interception), Ok(Some(me)));
        assert_eq!(authorise_list(&member, Resource::AiGatewayKey), Err(Denial::Forbidden));
    }
}
